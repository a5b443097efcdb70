#!/usr/bin/env node
// Breaks the contracts in one place at a time and shows that a test notices.
//
//   node mutants.mjs [WORD…]     all mutants, or those whose name contains a word
//
// The tests are those of crates/chain that run the published bytecode (tests/contracts*.rs). Exits with 1 when
// a mutant survives.
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const contracts = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const TESTS = ["contracts", "contracts_aborts", "contracts_sequences"];

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
  ["a retired measurement keeps its standing", "enclave", "    assert!(clock.timestamp_ms() < enclave.expires_ms, EExpired);\n    assert!(registry.allowed.contains(&enclave.measurement), EMeasurementNotAllowed);", "    assert!(clock.timestamp_ms() < enclave.expires_ms, EExpired);"],
  ["an expired enclave keeps its standing", "enclave", "    assert!(clock.timestamp_ms() < enclave.expires_ms, EExpired);\n", ""],
  ["a statement is replayed", "enclave", "assert!(timestamp_ms > enclave.latest_ms[at], EBadTimestamp);", "assert!(timestamp_ms >= enclave.latest_ms[at], EBadTimestamp);"],
  ["the time of a statement is forgotten", "enclave", "    *enclave.latest_ms.borrow_mut(at) = timestamp_ms;\n", ""],
  ["a statement is not bound to its enclave", "enclave", "Statement { enclave: object::id(enclave), payload }", "Statement { enclave: enclave.cluster, payload }"],
  ["a verifier counts twice", "enclave", "        assert!(first == i, ETooFewSignatures);\n", ""],
  ["anybody is a verifier", "enclave", "        assert!(registry.verifiers.contains(verifier), ETooFewSignatures);\n", ""],
  ["one signature fewer", "enclave", "count >= registry.threshold, ETooFewSignatures", "count + 1 >= registry.threshold, ETooFewSignatures"],
  ["simulated enclaves everywhere", "enclave", "assert!(registry.allow_simulated || !is_simulated(&platform), ESimulated);\n    let measurement = new_measurement(platform, names, values);\n    assert!(registry.allowed", "let measurement = new_measurement(platform, names, values);\n    assert!(registry.allowed"],
  ["a registration without end", "enclave", "expires_ms > now && expires_ms <= now + MAX_LIFETIME_MS", "expires_ms > now"],
  ["old claims of verifiers", "enclave", "timestamp_ms <= now + MAX_DRIFT_MS && now <= timestamp_ms + MAX_DRIFT_MS", "timestamp_ms <= now + MAX_DRIFT_MS"],
];

function testBinaries() {
  const args = ["test", "-p", "chain", "--no-run", "--message-format=json", ...TESTS.flatMap((name) => ["--test", name])];
  const out = execFileSync("cargo", args, { cwd: contracts, encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "inherit"] });
  const messages = out.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  return TESTS.map((name) => messages.find((m) => m.executable && m.target?.name === name).executable);
}

// The first test that fails with the contracts in `build`.
function firstFailure(binaries, build) {
  const env = { ...process.env, RUST_BACKTRACE: "0", PROPTEST_DISABLE_FAILURE_PERSISTENCE: "1" };
  if (build) env.K3S_DAAS_CONTRACTS = build;
  for (const binary of binaries) {
    const run = spawnSync(binary, [], { env, cwd: join(contracts, "../crates/chain"), encoding: "utf8", timeout: 300_000 });
    if (run.status !== 0) return run.stdout.match(/^test (\S+) \.\.\. FAILED$/m)?.[1] ?? `${binary} (${run.signal ?? run.status})`;
  }
  return null;
}

const words = process.argv.slice(2);
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
    const failure = firstFailure(binaries, build);
    console.log(failure ? `caught    ${name}: ${failure}` : `SURVIVED  ${name}`);
    if (!failure) survivors++;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
console.log(`mutants: ${chosen.length - survivors} of ${chosen.length} caught`);
process.exit(survivors ? 1 : 0);
