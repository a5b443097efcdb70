#!/usr/bin/env node
// Breaks the contracts in one place at a time and shows that a test notices.
//
//   node mutants.mjs [--framework DIR] [--test NAME] [WORD…]     all mutants, or those whose name contains a word;
//                                                               all tests, or this one
//
// The tests are those that run the published bytecode, of crates/chain (tests/contracts*.rs, tests/money.rs) and of
// crates/devnet (tests/invariants). What all of them do not notice is shown to the Move unit tests, as test.mjs runs them.
// Exits with 1 when a mutant survives. The mutants are made in directories of their own, never in build/.
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const contracts = resolve(dirname(fileURLToPath(import.meta.url)), "..");
// Package and test, the quickest first.
const TESTS = [
  ["chain", "contracts_aborts"],
  ["chain", "money"],
  ["chain", "contracts"],
  ["devnet", "invariants"],
  ["chain", "contracts_sequences"],
];

// name, module, what is there, what the mutant has instead
const MUTANTS = [
  ["a stake may be one MIST short", "staking", "assert!(amount >= cluster.minimum(tier), ETooSmall);", "assert!(amount + 1 >= cluster.minimum(tier), ETooSmall);"],
  ["lock-up ignores the role", "staking", "locked_until_ms: now + cluster.lock_ms(tier),", "locked_until_ms: now + cluster.lock_ms(0),"],
  ["lock-up is not checked", "staking", "assert!(clock.timestamp_ms() >= stake.locked_until_ms, ELocked);", ""],
  ["withdraw without asking back", "staking", "assert!(stake.unbonding_ms.is_some(), ENotUnbonding);", ""],
  ["anybody may withdraw", "staking", "    check_owner(&stake, ctx);\n", ""],
  ["unbonding shortens the lock-up", "staking", "    if (unbonded > stake.locked_until_ms) {\n        stake.locked_until_ms = unbonded;\n    };", "    stake.locked_until_ms = unbonded;"],
  ["unbonding does not lengthen the stay", "staking", "if (unbonded > stake.locked_until_ms)", "if (unbonded < stake.locked_until_ms)"],
  ["a stake in unbonding still covers its tier", "staking", "    assert!(stake.unbonding_ms.is_none(), EUnbonding);\n    assert!(stake.balance", "    assert!(stake.balance"],
  ["a raised minimum does not count", "staking", "    assert!(stake.balance.value() >= cluster.minimum(stake.tier), ETooSmall);\n", ""],
  ["a stake counts in any cluster", "staking", "assert!(stake.cluster == object::id(cluster), EWrongCluster);\n    assert!(stake.unbonding_ms.is_none(), EUnbonding);\n    let now", "assert!(stake.unbonding_ms.is_none(), EUnbonding);\n    let now"],
  ["the name stays pinned after withdrawal", "staking", "if (node_name.is_some())", "if (node_name.is_none())"],
  ["two live tokens of a stake", "seal_token", "    assert!(stake.token().is_none(), ELiveToken);\n", ""],
  ["reissue while the token lives", "seal_token", "    assert!(token.revoked || now >= token.expires_ms, ELiveToken);\n", ""],
  ["the owner reissues what governance revoked", "seal_token", "    assert!(!token.barred, EBarred);\n    let now", "    let now"],
  ["rotation without possession", "seal_token", "    assert!(ed25519::ed25519_verify(&signature, &public_key, &bcs::to_bytes(&statement)), EBadSignature);\n", ""],
  ["an expired token is renewed", "seal_token", "assert!(clock.timestamp_ms() < token.expires_ms, EExpired);", ""],
  ["anybody may revoke a token", "seal_token", "    assert!(token.owner == ctx.sender(), EWrongStake);\n", ""],
  ["a token is renewed by another stake", "seal_token", "    assert!(token.stake == object::id(stake), EWrongStake);\n", ""],
  ["a name is taken twice", "k8s_gateway", "    assert!(!names.stakes.contains(name), ENameTaken);\n    names.stakes.add(name, stake);", "    if (!names.stakes.contains(name)) names.stakes.add(name, stake);"],
  ["a label ends with a dash", "k8s_gateway", "let dash = byte == 45 && i > 0 && i < count - 1;", "let dash = byte == 45 && i > 0;"],
  ["a label of 64", "k8s_gateway", "const MAX_LABEL: u64 = 63;", "const MAX_LABEL: u64 = 64;"],
  ["cluster-admin in a namespace", "k8s_gateway", "narrow || (whole && *bytes", "narrow || (*bytes"],
  ["no bound on the lock-up", "k8s_gateway", "        assert!(locks_ms[i] <= YEAR_MS, EOutOfBounds);\n", ""],
  ["governance of another cluster", "k8s_gateway", "    assert!(object::id(cluster) == governance.cluster(), EWrongCluster);\n", ""],
  ["a revoked capability works", "governance", "    assert!(live, ERevoked);\n", ""],
  ["an expired capability works", "governance", "    assert!(clock.timestamp_ms() < cap.expires_ms, EExpired);\n", ""],
  ["a deputy outlives", "governance", "    assert!(expires_ms <= cap.expires_ms, EOutlives);\n    assert!(governance", "    assert!(governance"],
  ["a cluster loses its governance", "governance", "count_never(governance) > 1", "governance.caps.length() > 1"],
  ["a retired measurement keeps its standing", "enclave", "    assert!(is_allowed(registry, &enclave.measurement, clock), EMeasurementNotAllowed);\n", ""],
  ["bounds of any age", "tcb", "max_age_ms >= MIN_AGE_MS && max_age_ms <= MAX_AGE_MS", "max_age_ms >= MIN_AGE_MS"],
  ["components without order", "tcb", "        assert!(i == 0 || measurement::is_before(names[i - 1].as_bytes(), names[i].as_bytes()), EBadBounds);\n", ""],
  ["a component without a minimum", "tcb", "    assert!(components.length() == minimums.length(), EBadBounds);\n", ""],
  ["a platform is bound twice", "enclave", "    if (at.is_some()) {\n        *registry.bounds.borrow_mut(*at.borrow()) = bounds;\n    } else {\n        registry.bounds.push_back(bounds);\n    };", "    registry.bounds.push_back(bounds);"],
  ["anybody sets bounds", "enclave", "    check_admin(registry, governance, cap, clock);\n    let bounds = tcb::new", "    let bounds = tcb::new"],
  ["code of workers makes masters", "enclave", "    registry.worker_code.push_back(measurement);", "    registry.allowed.push_back(measurement);\n    registry.retires_ms.push_back(NEVER);"],
  ["simulated workers everywhere", "enclave", "    assert!(registry.allow_simulated || !measurement::is_simulated(&platform), ESimulated);\n    let measurement = measurement::new(platform, names, values);\n    assert!(!registry.worker_code", "    let measurement = measurement::new(platform, names, values);\n    assert!(!registry.worker_code"],
  ["retired code of workers stays", "enclave", "    registry.worker_code.remove(at);\n", ""],
  ["an expired enclave keeps its standing", "enclave", "    assert!(clock.timestamp_ms() < enclave.expires_ms, EExpired);\n", ""],
  ["a statement is replayed", "enclave", "assert!(timestamp_ms > enclave.latest_ms[at], EBadTimestamp);", "assert!(timestamp_ms >= enclave.latest_ms[at], EBadTimestamp);"],
  ["the time of a statement is forgotten", "enclave", "    *enclave.latest_ms.borrow_mut(at) = timestamp_ms;\n", ""],
  ["a statement is not bound to its enclave", "enclave", "Statement { enclave: object::id(enclave), payload }", "Statement { enclave: enclave.cluster, payload }"],
  ["a verifier counts twice", "intent_message", "        assert!(first == i, ETooFewSignatures);\n", ""],
  ["anybody is a verifier", "intent_message", "        assert!(known.contains(key), ETooFewSignatures);\n", ""],
  ["one signature fewer", "intent_message", "count >= threshold, ETooFewSignatures", "count + 1 >= threshold, ETooFewSignatures"],
  ["simulated enclaves everywhere", "enclave", "assert!(registry.allow_simulated || !measurement::is_simulated(&platform), ESimulated);\n    let measurement = measurement::new(platform, names, values);\n    check_new", "let measurement = measurement::new(platform, names, values);\n    check_new"],
  ["a registration without end", "enclave", "expires_ms > now && expires_ms <= now + MAX_LIFETIME_MS", "expires_ms > now"],
  ["old claims of verifiers", "intent_message", "timestamp_ms <= now + MAX_DRIFT_MS && now <= timestamp_ms + MAX_DRIFT_MS", "timestamp_ms <= now + MAX_DRIFT_MS"],
  ["a planned retirement never comes", "enclave", "found && clock.timestamp_ms() < registry.retires_ms[at]", "found"],
  ["a new enclave moves money", "enclave", "assert!(clock.timestamp_ms() >= mature_ms, ETooNew);", "assert!(mature_ms > 0, ETooNew);"],
  ["a frozen stake leaves", "staking", "    assert!(stake.penalties.cases == 0, EFrozen);\n", ""],
  ["penalties have no cap", "staking", "least(least(penalty, left), locked - penalties.frozen)", "least(penalty, locked - penalties.frozen)"],
  ["the cap forgets what was taken", "staking", "    penalties.taken = penalties.taken + amount;\n", ""],
  ["each penalty begins a new period", "staking", "if (now >= penalties.period_ms + economics.cap_period_ms()) {", "if (now >= penalties.period_ms) {"],
  ["a fault is judged again", "staking", "EJudged);\n    dynamic_field::add(&mut stake.id, key, true);", "EJudged);"],
  ["a time is judged in slices", "staking", "    assert!(from_ms >= *judged_ms, EJudged);\n", ""],
  ["a dismissed penalty stays frozen", "staking", "    penalties.cases = penalties.cases - 1;\n    if (penalties", "    if (penalties"],
  ["an executed penalty stays frozen", "staking", "    stake.penalties.cases = stake.penalties.cases - 1;\n    stake.balance", "    stake.balance"],
  ["governance lengthens a stake's stay", "staking", "let unbonded = now + stake.notice_ms;", "let unbonded = now + cluster.unbonding_ms();"],
  ["a penalty without a window to contest it", "slashing", "    assert!(now >= case.executes_ms, ETooEarly);\n", ""],
  ["a penalty is executed whenever", "slashing", "    assert!(now < case.lapses_ms, ETooLate);\n", ""],
  ["a contest delays nothing", "slashing", "    case.executes_ms = case.executes_ms + case.extension_ms;\n", ""],
  ["anybody contests", "slashing", "    assert!(case.owner == ctx.sender(), ENotOwner);\n", ""],
  ["the reporter takes the pool's part", "slashing", "let reported = economics::share(amount, reporter_bps);", "let reported = amount - economics::share(amount, reporter_bps);"],
  ["a penalty of one stake takes of another", "slashing", "    assert!(case.stake == object::id(stake), EWrongStake);\n", ""],
  ["agreed uptime is punished", "slashing", "(up_ms as u128) * WHOLE_BPS < agreed", "(up_ms as u128) * WHOLE_BPS <= agreed"],
  ["evidence never gets too old", "slashing", "timestamp_ms <= now && now - to_ms <= governance.economics().evidence_age_ms()", "timestamp_ms <= now"],
  ["a fault before the stake", "slashing", "from_ms >= stake.staked_ms() && from_ms < to_ms", "from_ms < to_ms"],
  ["a pause does not stop penalties", "slashing", "    cluster.check_running(clock);\n    governance.check_version();\n    stake", "    governance.check_version();\n    stake"],
  ["a key that is not the stake's", "slashing", "stake.token() == option::some(token) && stake.held(public_key)", "stake.token() == option::some(token)"],
  ["the same statement twice", "slashing", "    assert!(first_digest != second_digest, ENoContradiction);\n", ""],
  ["a reward is claimed twice", "rewards", "    shard.claimed = with_bit(shard.claimed, index);\n", ""],
  ["a shard is opened twice", "rewards", "    epoch.opened = with_bit(epoch.opened, index);\n", ""],
  ["a claim has many places", "rewards", "place == 0 && node == *root", "node == *root"],
  ["shards take more than the epoch has", "rewards", "weight <= epoch.weight - epoch.opened_weight", "weight <= epoch.weight"],
  ["rounding in the staker's favour", "rewards", "    (((amount as u128) * (weight as u128)) / (whole as u128)) as u64", "    (((amount as u128) * (weight as u128) + (whole as u128) - 1) / (whole as u128)) as u64"],
  ["a claim after the deadline", "rewards", "    assert!(clock.timestamp_ms() < shard.deadline_ms, ETooLate);\n", ""],
  ["swept before the deadline", "rewards", "    assert!(clock.timestamp_ms() >= shard.deadline_ms, ETooEarly);\n", ""],
  ["epochs overlap", "rewards", "from_ms >= pool.until_ms && from_ms < to_ms", "from_ms < to_ms"],
  ["an epoch is posted twice", "rewards", "    assert!(number == pool.epoch + 1, EWrongEpoch);\n", ""],
  ["parts of seconds are lost", "usage", "escrow.settled_ms = escrow.settled_ms + paid * SECOND_MS;", "escrow.settled_ms = clock.timestamp_ms();"],
  ["withdrawn below the grace time", "usage", "ctx);\n    assert!(!is_low(escrow, governance), ETooLow);", "ctx);"],
  ["suspended time is paid for", "usage", "        escrow.settled_ms = clock.timestamp_ms();\n", "        escrow.settled_ms = escrow.settled_ms + 0;\n"],
  ["anybody closes an escrow", "usage", "    check_owner(&escrow, ctx);\n", ""],
  ["use that is not paid goes on", "usage", "if (passed > affordable)", "if (passed > affordable + 1)"],
  ["a payout without the timelock", "insurance", "    assert!(clock.timestamp_ms() >= ripe_ms, ETooEarly);\n", ""],
  ["a payout is paid twice", "insurance", "    insurance.payouts.remove(at);\n    let coin", "    let coin"],
  ["economics without the timelock", "governance", "    assert!(clock.timestamp_ms() >= ripe_ms, ETooEarly);\n", ""],
  ["anybody accepts a capability", "governance", "    assert!(governance.offers.contains(&offer), ENotOffered);\n", "    assert!(offer.recipient == ctx.sender(), ENotOffered);\n"],
  ["who hands a capability on keeps it", "governance", "    end(governance, at);\n    mint(", "    mint("],
  ["an anchor goes back", "anchor", "assert!(revision > anchor.revision, ENotNewer);", "assert!(revision != anchor.revision, ENotNewer);"],
  ["an old sealing key comes back", "anchor", "    assert!(key_epoch >= anchor.key_epoch, EOldKey);\n", ""],
  ["an upgrade without the timelock", "upgrade", "    assert!(clock.timestamp_ms() >= ripe_ms, ETooEarly);\n", ""],
  ["anybody proposes an upgrade", "upgrade", "    assert!(upgrader.version == governance::version(), EWrongVersion);\n    assert!(upgrader.owner == ctx.sender(), ENotOwner);\n", ""],
  ["a pause without end", "k8s_gateway", "until_ms > now && until_ms <= now + MAX_PAUSE_MS", "until_ms > now"],
  ["a stake leaves by the names of another cluster", "staking", "    names.check_cluster(cluster);\n", ""],
  ["an escrow ends at the pool of another cluster", "usage", "    assert!(escrow.cluster == pool.cluster(), EWrongCluster);\n    if", "    if"],
  ["an anchor is of another cluster", "anchor", "    assert!(enclave.cluster() == cluster, EWrongCluster);\n    assert!(state_root.length() == 32 && log_hash", "    assert!(state_root.length() == 32 && log_hash"],
  ["unanchored of another cluster", "anchor", "    assert!(enclave.cluster() == cluster, EWrongCluster);\n    assert!(state_root.length() == 32, EBadHash);", "    assert!(state_root.length() == 32, EBadHash);"],
  ["old code goes on with new objects", "staking", "    assert!(stake.version == governance::version(), EWrongVersion);\n", ""],
  ["objects migrate before their governance", "seal_token", "    governance.check_version();\n    assert!(token.cluster == governance.cluster(), EWrongStake);\n    assert!(token.version", "    assert!(token.version"],
  ["a planned retirement is in the past", "enclave", "    assert!(at_ms > clock.timestamp_ms(), ERetiredBefore);\n", ""],
  ["what is allowed is punished", "slashing", "    assert!(!registry.is_allowed_at(&measurement, from_ms), EMeasurementAllowed);\n", ""],
  ["what was allowed then is punished", "slashing", "registry.is_allowed_at(&measurement, from_ms)", "registry.is_allowed(&measurement, clock)"],
  ["what workers may run is punished", "slashing", "    assert!(!registry.is_worker_code(&measurement), EWorkerCode);\n", ""],
  ["a Nitro enclave in debug mode", "nitro", "        assert!(!is_zero(&registers[i]), EDebugMode);\n", ""],
  ["a Nitro document for another cluster", "enclave", "    assert!(user_data == option::some(registry.cluster.to_bytes()), EWrongUserData);\n", ""],
  ["maintenance of any length", "staking", "    assert!(to_ms - from_ms <= MAX_MAINTENANCE_MS, EBadMaintenance);\n", ""],
  ["anybody announces maintenance", "staking", "    check_owner(stake, ctx);\n    assert!(clock.timestamp_ms() <= from_ms", "    assert!(clock.timestamp_ms() <= from_ms"],
  ["a pause does not stop stakes", "staking", "cluster.check_running(clock);", "cluster.check_version();"],
  ["Seal's keys for any identity", "seal_policy", "        assert!(id[i] == cluster[i], EWrongIdentity);\n", ""],
  ["Seal's keys for anybody", "seal_policy", "    assert!(bcs::to_bytes(&ctx.sender()) == enclave.address_bytes(), ENotEnclave);\n", ""],
  ["Seal's keys for retired code", "seal_policy", "    enclave.check_standing(registry, clock);\n", ""],
  ["Seal's secret of another cluster", "seal_policy", "    assert!(enclave.cluster() == cluster, EWrongCluster);\n", ""],
];

function testBinaries() {
  return TESTS.filter(([, name]) => !only || name === only).map(([crate, name]) => {
    const args = ["test", "-p", crate, "--no-run", "--message-format=json", "--test", name];
    const out = execFileSync("cargo", args, { cwd: contracts, encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "inherit"] });
    const messages = out.split("\n").filter(Boolean).map((line) => JSON.parse(line));
    return [crate, messages.find((m) => m.executable && m.target?.name === name).executable];
  });
}

// The first test that fails with the contracts in `build`.
function firstFailure(binaries, build) {
  const env = { ...process.env, RUST_BACKTRACE: "0", PROPTEST_DISABLE_FAILURE_PERSISTENCE: "1" };
  if (build) env.K3S_DAAS_CONTRACTS = build;
  for (const [crate, binary] of binaries) {
    const run = spawnSync(binary, [], { env, cwd: join(contracts, "../crates", crate), encoding: "utf8", timeout: 300_000 });
    if (run.status !== 0) return run.stdout.match(/^test (\S+) \.\.\. FAILED$/m)?.[1] ?? `${binary} (${run.signal ?? run.status})`;
  }
  return null;
}

// The first Move unit test that fails on a package.
function firstUnitFailure(dir) {
  cpSync(join(contracts, "tests"), join(dir, "tests"), { recursive: true });
  const args = [join(contracts, "tools/test.mjs"), "--package", dir];
  if (framework) args.push("--framework", framework);
  const run = spawnSync("node", args, { encoding: "utf8", timeout: 300_000 });
  if (run.status === 0) return null;
  return run.stdout.replace(/\x1b\[[0-9;]*m/g, "").match(/FAIL\s+\] (\S+)/)?.[1] ?? "the Move unit tests";
}

const words = process.argv.slice(2);
const option = (name) => (words[0] === name ? words.splice(0, 2)[1] : null);
const framework = option("--framework");
const only = option("--test");
const chosen = MUTANTS.filter(([name]) => words.length === 0 || words.some((word) => name.includes(word)));
const binaries = testBinaries();
const broken = firstFailure(binaries, null);
if (broken) {
  console.error(`mutants: the contracts themselves fail ${broken}`);
  process.exit(1);
}
let survivors = 0;
for (const [name, module, from, to] of chosen) {
  const dir = mkdtempSync(join(tmpdir(), "mutant-"));
  try {
    cpSync(join(contracts, "Move.toml"), join(dir, "Move.toml"));
    cpSync(join(contracts, "sources"), join(dir, "sources"), { recursive: true });
    const path = join(dir, "sources", `${module}.move`);
    const source = readFileSync(path, "utf8");
    if (source.split(from).length !== 2) throw new Error(`${name}: ${module} does not have exactly one\n${from}`);
    writeFileSync(path, source.replace(from, () => to));
    const build = join(dir, "build");
    execFileSync("node", [join(contracts, "tools/build.mjs"), "--package", dir, "--out", build], { stdio: ["ignore", "ignore", "pipe"] });
    const failure = firstFailure(binaries, build) ?? (only ? null : firstUnitFailure(dir));
    console.log(failure ? `caught    ${name}: ${failure}` : `SURVIVED  ${name}`);
    if (!failure) survivors++;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
console.log(`mutants: ${chosen.length - survivors} of ${chosen.length} caught`);
process.exit(survivors ? 1 : 0);
