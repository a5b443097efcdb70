/// Penalties. One is proposed with evidence, which freezes its amount; the staker may contest it, which gives
/// governance more time to dismiss it; when that time is over anybody executes it. Of each penalty the reporter
/// has a share and the insurance pool the rest. A fault is judged once, whatever comes of it.
///
/// Evidence is a statement of an enclave of the cluster, or, without one, two statements of the staker's own key
/// that contradict each other. What is announced is all that a third party needs to check it: the statement, its
/// signature, and where the records are and their hash.
module k3s_daas::slashing;

use k3s_daas::economics;
use k3s_daas::enclave::{Enclave, Registry};
use k3s_daas::governance::{Self, AdminCap, Governance};
use k3s_daas::insurance::Insurance;
use k3s_daas::k8s_gateway::Cluster;
use k3s_daas::measurement::{Self, Measurement};
use k3s_daas::staking::Stake;
use std::bcs;
use std::string::String;
use sui::clock::Clock;
use sui::coin;
use sui::ed25519;
use sui::event;
use sui::hash;

/// The object has another version than this package: migrate it after an upgrade, or use the package that fits it.
const EWrongVersion: u64 = 1;
/// The object belongs to another cluster.
const EWrongCluster: u64 = 2;
/// The penalty is of another stake.
const EWrongStake: u64 = 3;
/// There is no such reason: 0 downtime, 1 attestation, 3 tampering; contradiction has an entry of its own.
const EBadReason: u64 = 4;
/// The hash of the records is not 32 bytes.
const EBadHash: u64 = 5;
/// It is not said where the records are, or at too great a length.
const EBadLocator: u64 = 6;
/// The fault was before the stake, is to come, too long ago, or over too short a time.
const EBadPeriod: u64 = 7;
/// The node was up as it had agreed.
const EUptimeKept: u64 = 8;
/// The measurement is allowed, or was when the fault is said to begin.
const EMeasurementAllowed: u64 = 9;
/// The key never spoke for the stake, or the token is not the stake's.
const EWrongKey: u64 = 10;
/// The statements do not contradict each other.
const ENoContradiction: u64 = 11;
/// A statement is not signed by the key.
const EBadSignature: u64 = 12;
/// The sender does not own the stake.
const ENotOwner: u64 = 13;
/// It was contested before.
const EContested: u64 = 14;
/// The time for that is over.
const ETooLate: u64 = 15;
/// It is too early: the time to contest it, or to execute it, is not over.
const ETooEarly: u64 = 16;
/// What a statement is about is empty or too long.
const EBadSubject: u64 = 17;
/// The measurement is of code that workers may run.
const EWorkerCode: u64 = 18;

const DOWNTIME: u8 = 0;
const ATTESTATION: u8 = 1;
const CONTRADICTION: u8 = 2;
const TAMPERING: u8 = 3;
const WHOLE_BPS: u128 = 10_000;
const MAX_LOCATOR_BYTES: u64 = 256;
const MAX_SUBJECT_BYTES: u64 = 128;
/// Intent of an enclave's evidence.
const INTENT_EVIDENCE: u8 = 5;
/// Intent of what a staker's key states about its node.
const INTENT_NODE: u8 = 6;

/// A penalty that was proposed. Shared.
public struct Case has key {
    id: UID,
    version: u64,
    cluster: ID,
    stake: ID,
    owner: address,
    /// 0 downtime, 1 attestation, 2 contradiction, 3 tampering.
    reason: u8,
    /// What is frozen, in MIST.
    amount: u64,
    /// The period of the stake's cap that it counts in.
    period_ms: u64,
    reporter: address,
    reporter_bps: u64,
    /// How much a contest delays it.
    extension_ms: u64,
    contested: bool,
    /// Not executed before this time, when contesting is over too.
    executes_ms: u64,
    /// Not executed from this time on.
    lapses_ms: u64,
}

/// What an enclave signs.
public struct Evidence has copy, drop {
    cluster: ID,
    stake: ID,
    reason: u8,
    /// When the fault was.
    from_ms: u64,
    to_ms: u64,
    /// For how much of this time the node was up; zero for other reasons than downtime.
    up_ms: u64,
    /// What the node ran, when that is the fault.
    measurement: Option<Measurement>,
    /// SHA-256 of the records that show it.
    digest: vector<u8>,
    /// Where the records are.
    locator: String,
    reporter: address,
}

/// What a staker's key states about its node: it signs the BCS of `Signed`. Of one subject and sequence number
/// there may be one digest only.
public struct NodeStatement has copy, drop {
    cluster: ID,
    token: ID,
    subject: vector<u8>,
    sequence: u64,
    digest: vector<u8>,
}

/// The form of what is signed, as in `enclave`.
public struct Signed has copy, drop {
    intent: u8,
    timestamp_ms: u64,
    payload: NodeStatement,
}

/// Its hash tells faults apart.
public struct Fault has copy, drop {
    reason: u8,
    stake: ID,
    digest: vector<u8>,
}

/// What two statements of one key contradict each other about.
public struct Subject has copy, drop {
    subject: vector<u8>,
    sequence: u64,
}

public struct SlashProposed has copy, drop {
    cluster: ID,
    case: ID,
    stake: ID,
    owner: address,
    reason: u8,
    fault: vector<u8>,
    amount: u64,
    period_ms: u64,
    reporter: address,
    reporter_bps: u64,
    extension_ms: u64,
    executes_ms: u64,
    lapses_ms: u64,
}

/// The evidence of a penalty, as it is checked: by an enclave of the cluster.
public struct EvidenceShown has copy, drop {
    cluster: ID,
    case: ID,
    enclave: ID,
    evidence: Evidence,
    timestamp_ms: u64,
    signature: vector<u8>,
}

/// The evidence of a penalty, as it is checked: by the staker's own key.
public struct ContradictionShown has copy, drop {
    cluster: ID,
    case: ID,
    public_key: vector<u8>,
    first: NodeStatement,
    first_ms: u64,
    first_signature: vector<u8>,
    second: NodeStatement,
    second_ms: u64,
    second_signature: vector<u8>,
}

public struct SlashContested has copy, drop {
    cluster: ID,
    case: ID,
    stake: ID,
    /// SHA-256 of what the staker has to say.
    statement: vector<u8>,
    executes_ms: u64,
    lapses_ms: u64,
}

public struct SlashExecuted has copy, drop {
    cluster: ID,
    case: ID,
    stake: ID,
    reporter: address,
    /// What was taken, and of it the reporter's share.
    amount: u64,
    reported: u64,
    /// What is left of the stake.
    left: u64,
}

/// A penalty is void: dismissed by governance, or not executed in time.
public struct SlashDropped has copy, drop {
    cluster: ID,
    case: ID,
    stake: ID,
    amount: u64,
    by_governance: bool,
}

/// Proposes the penalty for downtime (0), failed attestation (1) or tampering (3) that an enclave saw.
public fun propose(
    stake: &mut Stake,
    cluster: &Cluster,
    governance: &Governance,
    registry: &Registry,
    enclave: &Enclave,
    reason: u8,
    from_ms: u64,
    to_ms: u64,
    up_ms: u64,
    digest: vector<u8>,
    locator: String,
    reporter: address,
    timestamp_ms: u64,
    signature: vector<u8>,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    assert!(reason == DOWNTIME || reason == ATTESTATION || reason == TAMPERING, EBadReason);
    if (reason == DOWNTIME) {
        check_downtime(governance, from_ms, to_ms, up_ms);
    } else {
        assert!(up_ms == 0, EBadReason);
    };
    let evidence = Evidence {
        cluster: stake.cluster(),
        stake: object::id(stake),
        reason,
        from_ms,
        to_ms,
        up_ms,
        measurement: option::none(),
        digest,
        locator,
        reporter,
    };
    propose_shown(stake, cluster, governance, registry, enclave, evidence, timestamp_ms, signature, clock, ctx);
}

/// Proposes the penalty for running code whose measurement is on neither list of the registry, or no longer, as an
/// enclave saw it.
public fun propose_measurement(
    stake: &mut Stake,
    cluster: &Cluster,
    governance: &Governance,
    registry: &Registry,
    enclave: &Enclave,
    platform: String,
    names: vector<String>,
    values: vector<vector<u8>>,
    from_ms: u64,
    to_ms: u64,
    digest: vector<u8>,
    locator: String,
    reporter: address,
    timestamp_ms: u64,
    signature: vector<u8>,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    let measurement = measurement::new(platform, names, values);
    assert!(!registry.is_allowed_at(&measurement, from_ms), EMeasurementAllowed);
    assert!(!registry.is_worker_code(&measurement), EWorkerCode);
    let evidence = Evidence {
        cluster: stake.cluster(),
        stake: object::id(stake),
        reason: ATTESTATION,
        from_ms,
        to_ms,
        up_ms: 0,
        measurement: option::some(measurement),
        digest,
        locator,
        reporter,
    };
    propose_shown(stake, cluster, governance, registry, enclave, evidence, timestamp_ms, signature, clock, ctx);
}

/// Proposes the penalty for two statements of a key of the stake about the same subject and sequence number that
/// do not say the same. Needs no enclave; the sender reports it.
public fun propose_contradiction(
    stake: &mut Stake,
    cluster: &Cluster,
    governance: &Governance,
    token: ID,
    public_key: vector<u8>,
    subject: vector<u8>,
    sequence: u64,
    first_ms: u64,
    first_digest: vector<u8>,
    first_signature: vector<u8>,
    second_ms: u64,
    second_digest: vector<u8>,
    second_signature: vector<u8>,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    let id = stake.cluster();
    assert!(stake.token() == option::some(token) && stake.held(public_key), EWrongKey);
    assert!(subject.length() >= 1 && subject.length() <= MAX_SUBJECT_BYTES, EBadSubject);
    assert!(first_digest.length() == 32 && second_digest.length() == 32, EBadHash);
    assert!(first_digest != second_digest, ENoContradiction);
    let first = NodeStatement { cluster: id, token, subject, sequence, digest: first_digest };
    let second = NodeStatement { cluster: id, token, subject, sequence, digest: second_digest };
    check_stated(first, first_ms, &public_key, &first_signature);
    check_stated(second, second_ms, &public_key, &second_signature);
    let digest = hash::blake2b256(&bcs::to_bytes(&Subject { subject, sequence }));
    let case = open(stake, cluster, governance, CONTRADICTION, digest, ctx.sender(), clock, ctx);
    event::emit(ContradictionShown {
        cluster: id,
        case: object::id(&case),
        public_key,
        first,
        first_ms,
        first_signature,
        second,
        second_ms,
        second_signature,
    });
    transfer::share_object(case);
}

/// Contests a penalty before it can be executed: governance has more time to look at it. Once for each.
/// `statement` is the SHA-256 of what the staker has to say.
public fun contest(case: &mut Case, statement: vector<u8>, clock: &Clock, ctx: &TxContext) {
    check_version(case);
    assert!(case.owner == ctx.sender(), ENotOwner);
    assert!(statement.length() == 32, EBadHash);
    assert!(!case.contested, EContested);
    assert!(clock.timestamp_ms() < case.executes_ms, ETooLate);
    case.contested = true;
    case.executes_ms = case.executes_ms + case.extension_ms;
    case.lapses_ms = case.lapses_ms + case.extension_ms;
    event::emit(SlashContested {
        cluster: case.cluster,
        case: object::id(case),
        stake: case.stake,
        statement,
        executes_ms: case.executes_ms,
        lapses_ms: case.lapses_ms,
    });
}

/// Executes a penalty whose time has come; anybody may.
public fun execute(
    case: Case,
    stake: &mut Stake,
    cluster: &Cluster,
    insurance: &mut Insurance,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    check_case(&case, stake);
    cluster.check_running(clock);
    insurance.check_version();
    assert!(case.cluster == object::id(cluster) && case.cluster == insurance.cluster(), EWrongCluster);
    let now = clock.timestamp_ms();
    assert!(now >= case.executes_ms, ETooEarly);
    assert!(now < case.lapses_ms, ETooLate);
    let Case { id, cluster, stake: stake_id, amount, reporter, reporter_bps, .. } = case;
    let mut taken = stake.take_penalty(amount);
    let reported = economics::share(amount, reporter_bps);
    event::emit(SlashExecuted {
        cluster,
        case: id.to_inner(),
        stake: stake_id,
        reporter,
        amount,
        reported,
        left: stake.amount(),
    });
    if (reported > 0) {
        transfer::public_transfer(coin::take(&mut taken, reported, ctx), reporter);
    };
    insurance.take_in(taken);
    id.delete();
}

/// Dismisses a penalty that is not executed yet.
public fun dismiss(case: Case, stake: &mut Stake, governance: &Governance, cap: &AdminCap, clock: &Clock) {
    check_case(&case, stake);
    assert!(case.cluster == governance.cluster(), EWrongCluster);
    governance.check(cap, clock);
    release(case, stake, true);
}

/// Frees a stake of a penalty that was not executed in time; anybody may.
public fun lapse(case: Case, stake: &mut Stake, clock: &Clock) {
    check_case(&case, stake);
    assert!(clock.timestamp_ms() >= case.lapses_ms, ETooEarly);
    release(case, stake, false);
}

/// Brings a penalty to the package's version, after governance.
public fun migrate(case: &mut Case, governance: &Governance) {
    governance.check_version();
    assert!(case.cluster == governance.cluster(), EWrongCluster);
    assert!(case.version < governance::version(), EWrongVersion);
    case.version = governance::version();
    governance::announce_migration(case.cluster, object::id(case));
}

/// The time was long enough, and of it the node was up for less than agreed.
fun check_downtime(governance: &Governance, from_ms: u64, to_ms: u64, up_ms: u64) {
    let economics = governance.economics();
    assert!(from_ms < to_ms && to_ms - from_ms >= economics.epoch_ms(), EBadPeriod);
    let agreed = ((to_ms - from_ms) as u128) * (economics.uptime_bps() as u128);
    assert!((up_ms as u128) * WHOLE_BPS < agreed, EUptimeKept);
}

/// Checks an enclave's evidence and opens the case.
fun propose_shown(
    stake: &mut Stake,
    cluster: &Cluster,
    governance: &Governance,
    registry: &Registry,
    enclave: &Enclave,
    evidence: Evidence,
    timestamp_ms: u64,
    signature: vector<u8>,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    let Evidence { reason, from_ms, to_ms, digest, locator, reporter, .. } = evidence;
    assert!(enclave.cluster() == evidence.cluster, EWrongCluster);
    assert!(digest.length() == 32, EBadHash);
    assert!(!locator.is_empty() && locator.length() <= MAX_LOCATOR_BYTES, EBadLocator);
    let now = clock.timestamp_ms();
    // It was seen after it happened and before it is shown.
    assert!(from_ms >= stake.staked_ms() && from_ms < to_ms && to_ms <= timestamp_ms, EBadPeriod);
    assert!(timestamp_ms <= now && now - to_ms <= governance.economics().evidence_age_ms(), EBadPeriod);
    enclave.check_mature(governance, clock);
    enclave.check_signed(registry, INTENT_EVIDENCE, timestamp_ms, evidence, &signature, clock);
    if (reason != TAMPERING) {
        stake.judge_time(reason, from_ms, to_ms);
    };
    let case = open(stake, cluster, governance, reason, digest, reporter, clock, ctx);
    event::emit(EvidenceShown {
        cluster: case.cluster,
        case: object::id(&case),
        enclave: object::id(enclave),
        evidence,
        timestamp_ms,
        signature,
    });
    transfer::share_object(case);
}

/// Freezes the penalty of a fault that was never judged.
fun open(
    stake: &mut Stake,
    cluster: &Cluster,
    governance: &Governance,
    reason: u8,
    digest: vector<u8>,
    reporter: address,
    clock: &Clock,
    ctx: &mut TxContext,
): Case {
    cluster.check_running(clock);
    governance.check_version();
    stake.check_version();
    let id = object::id(cluster);
    assert!(stake.cluster() == id && governance.cluster() == id, EWrongCluster);
    let economics = governance.economics();
    let stake_id = object::id(stake);
    let fault = hash::blake2b256(&bcs::to_bytes(&Fault { reason, stake: stake_id, digest }));
    stake.judge(fault);
    let now = clock.timestamp_ms();
    let (amount, period_ms) = stake.freeze_penalty(economics, reason, now);
    let executes_ms = now + economics.contest_ms();
    let case = Case {
        id: object::new(ctx),
        version: governance::version(),
        cluster: id,
        stake: stake_id,
        owner: stake.owner(),
        reason,
        amount,
        period_ms,
        reporter,
        reporter_bps: economics.reporter_bps(),
        extension_ms: economics.extension_ms(),
        contested: false,
        executes_ms,
        lapses_ms: executes_ms + economics.execute_ms(),
    };
    event::emit(SlashProposed {
        cluster: id,
        case: object::id(&case),
        stake: stake_id,
        owner: case.owner,
        reason,
        fault,
        amount,
        period_ms,
        reporter,
        reporter_bps: case.reporter_bps,
        extension_ms: case.extension_ms,
        executes_ms,
        lapses_ms: case.lapses_ms,
    });
    case
}

fun check_stated(payload: NodeStatement, timestamp_ms: u64, public_key: &vector<u8>, signature: &vector<u8>) {
    let message = bcs::to_bytes(&Signed { intent: INTENT_NODE, timestamp_ms, payload });
    assert!(ed25519::ed25519_verify(signature, public_key, &message), EBadSignature);
}

fun release(case: Case, stake: &mut Stake, by_governance: bool) {
    let Case { id, cluster, stake: stake_id, amount, period_ms, .. } = case;
    stake.release_penalty(amount, period_ms);
    event::emit(SlashDropped { cluster, case: id.to_inner(), stake: stake_id, amount, by_governance });
    id.delete();
}

fun check_case(case: &Case, stake: &Stake) {
    check_version(case);
    stake.check_version();
    assert!(case.stake == object::id(stake), EWrongStake);
}

fun check_version(case: &Case) {
    assert!(case.version == governance::version(), EWrongVersion);
}

#[test_only]
public(package) fun set_version_for_testing(case: &mut Case, version: u64) {
    case.version = version;
}
