/// Which code a cluster trusts, and which enclaves run it. Measurements are allowed by governance; an enclave is
/// registered with signatures of t of n verifiers over the same claims, or, on Nitro, by its attestation document,
/// which the chain itself verifies. Retiring a measurement ends the standing of its enclaves, at once or at a
/// time to come, so that a new one can be rolled out while the old one still counts. What platforms have to be like, and which
/// code a worker may prove, stands here too, for those who verify evidence.
module k3s_daas::enclave;

use k3s_daas::governance::{Self, AdminCap, Governance};
use k3s_daas::intent_message;
use k3s_daas::measurement::{Self, Measurement};
use k3s_daas::nitro;
use k3s_daas::tcb::{Self, Bounds};
use std::string::String;
use sui::clock::Clock;
use sui::event;
use sui::hash;
use sui::nitro_attestation::NitroAttestationDocument;

/// The object has another version than this package: migrate it after an upgrade, or use the package that fits it.
const EWrongVersion: u64 = 1;
/// The object belongs to another cluster.
const EWrongCluster: u64 = 2;
/// The public key is not 32 bytes.
const EBadKey: u64 = 3;
/// The platform is simulated and this cluster does not allow that.
const ESimulated: u64 = 4;
/// The measurement is not allowed for this platform: governance allows it first.
const EMeasurementNotAllowed: u64 = 5;
/// The enclave's registration has expired, or would at once.
const EExpired: u64 = 6;
/// The statement's time is not after the last one of the same intent, or not near the chain's clock.
const EBadTimestamp: u64 = 7;
/// The threshold is not between one and the number of verifiers.
const EBadThreshold: u64 = 8;
/// The measurement is there already.
const EAlreadyAllowed: u64 = 9;
/// A list is as long as it may be.
const ETooMany: u64 = 10;
/// The measurement is to be retired in the past.
const ERetiredBefore: u64 = 11;
/// The user data of the Nitro document is not the id of the cluster.
const EWrongUserData: u64 = 12;
/// The enclave was registered less than the timelock ago: it moves no money yet.
const ETooNew: u64 = 13;
/// The platform has no bounds.
const ENoBounds: u64 = 14;

const MAX_ALLOWED: u64 = 64;
const MAX_VERIFIERS: u64 = 32;
/// A registration lasts at most this long: 30 days.
const MAX_LIFETIME_MS: u64 = 2_592_000_000;
/// A measurement that is not to be retired.
const NEVER: u64 = 18_446_744_073_709_551_615;
/// Intent of the claims that verifiers sign.
const INTENT_REGISTER: u8 = 0;

/// What a cluster trusts. Shared.
public struct Registry has key {
    id: UID,
    version: u64,
    cluster: ID,
    allow_simulated: bool,
    allowed: vector<Measurement>,
    /// When each of them counts no longer; the largest number when that is not planned.
    retires_ms: vector<u64>,
    verifiers: vector<vector<u8>>,
    threshold: u64,
    /// What platforms are held to, at most once each.
    bounds: vector<Bounds>,
    /// Code that a worker may prove; it makes no master.
    worker_code: vector<Measurement>,
}

/// One registered enclave. Shared.
public struct Enclave has key {
    id: UID,
    version: u64,
    cluster: ID,
    public_key: vector<u8>,
    measurement: Measurement,
    expires_ms: u64,
    registered_ms: u64,
    /// The latest statement of each intent that was accepted: index is the intent.
    latest_ms: vector<u64>,
}

/// What verifiers sign, as BCS of `IntentMessage { INTENT_REGISTER, timestamp_ms, Claims }`.
public struct Claims has copy, drop {
    cluster: ID,
    measurement: Measurement,
    public_key: vector<u8>,
    expires_ms: u64,
}

/// What an enclave signs is bound to its registration: another one with the same key cannot be used to
/// replay it. BCS of `IntentMessage { intent, timestamp_ms, Statement }`.
public struct Statement<T: drop> has copy, drop {
    enclave: ID,
    payload: T,
}

public struct RegistryCreated has copy, drop {
    cluster: ID,
    registry: ID,
    allow_simulated: bool,
}

public struct MeasurementAllowed has copy, drop {
    cluster: ID,
    measurement: Measurement,
}

public struct MeasurementRetired has copy, drop {
    cluster: ID,
    measurement: Measurement,
}

/// A measurement counts until `at_ms` and not from then on.
public struct RetirementPlanned has copy, drop {
    cluster: ID,
    measurement: Measurement,
    at_ms: u64,
}

public struct VerifiersSet has copy, drop {
    cluster: ID,
    verifiers: vector<vector<u8>>,
    threshold: u64,
}

public struct TcbBoundsSet has copy, drop {
    cluster: ID,
    bounds: Bounds,
}

public struct TcbBoundsCleared has copy, drop {
    cluster: ID,
    platform: String,
}

public struct WorkerMeasurementAllowed has copy, drop {
    cluster: ID,
    measurement: Measurement,
}

public struct WorkerMeasurementRetired has copy, drop {
    cluster: ID,
    measurement: Measurement,
}

public struct EnclaveRegistered has copy, drop {
    cluster: ID,
    enclave: ID,
    public_key: vector<u8>,
    measurement: Measurement,
    expires_ms: u64,
    registered_ms: u64,
}

/// A statement was used up: of this intent only later ones of the enclave count from now on.
public struct StatementAccepted has copy, drop {
    cluster: ID,
    enclave: ID,
    intent: u8,
    timestamp_ms: u64,
}

public struct EnclaveRevoked has copy, drop {
    cluster: ID,
    enclave: ID,
}

/// Allows code with this measurement to be a master.
public fun allow_measurement(
    registry: &mut Registry,
    governance: &Governance,
    cap: &AdminCap,
    platform: String,
    names: vector<String>,
    values: vector<vector<u8>>,
    clock: &Clock,
) {
    check_admin(registry, governance, cap, clock);
    assert!(registry.allow_simulated || !measurement::is_simulated(&platform), ESimulated);
    let measurement = measurement::new(platform, names, values);
    assert!(!registry.allowed.contains(&measurement), EAlreadyAllowed);
    assert!(registry.allowed.length() < MAX_ALLOWED, ETooMany);
    registry.allowed.push_back(measurement);
    registry.retires_ms.push_back(NEVER);
    event::emit(MeasurementAllowed { cluster: registry.cluster, measurement });
}

/// Takes that back; enclaves with it have no standing for as long as it is not allowed again.
public fun retire_measurement(
    registry: &mut Registry,
    governance: &Governance,
    cap: &AdminCap,
    platform: String,
    names: vector<String>,
    values: vector<vector<u8>>,
    clock: &Clock,
) {
    check_admin(registry, governance, cap, clock);
    let measurement = measurement::new(platform, names, values);
    let (found, at) = registry.allowed.index_of(&measurement);
    assert!(found, EMeasurementNotAllowed);
    registry.allowed.remove(at);
    registry.retires_ms.remove(at);
    event::emit(MeasurementRetired { cluster: registry.cluster, measurement });
}

/// Plans when an allowed measurement counts no longer, so that its enclaves and those of its successor overlap
/// until then. Replaces an earlier plan; `retire_measurement` still ends it at once.
public fun plan_retirement(
    registry: &mut Registry,
    governance: &Governance,
    cap: &AdminCap,
    platform: String,
    names: vector<String>,
    values: vector<vector<u8>>,
    at_ms: u64,
    clock: &Clock,
) {
    check_admin(registry, governance, cap, clock);
    let measurement = measurement::new(platform, names, values);
    let (found, at) = registry.allowed.index_of(&measurement);
    assert!(found, EMeasurementNotAllowed);
    assert!(at_ms > clock.timestamp_ms(), ERetiredBefore);
    *registry.retires_ms.borrow_mut(at) = at_ms;
    event::emit(RetirementPlanned { cluster: registry.cluster, measurement, at_ms });
}

/// Sets who verifies evidence, and how many of them it takes.
public fun set_verifiers(
    registry: &mut Registry,
    governance: &Governance,
    cap: &AdminCap,
    verifiers: vector<vector<u8>>,
    threshold: u64,
    clock: &Clock,
) {
    check_admin(registry, governance, cap, clock);
    let count = verifiers.length();
    assert!(count <= MAX_VERIFIERS, ETooMany);
    assert!(threshold >= 1 && threshold <= count, EBadThreshold);
    let mut i = 0;
    while (i < count) {
        assert!(verifiers[i].length() == 32, EBadKey);
        let (_, first) = verifiers.index_of(&verifiers[i]);
        assert!(first == i, EBadKey);
        i = i + 1;
    };
    registry.verifiers = verifiers;
    registry.threshold = threshold;
    event::emit(VerifiersSet { cluster: registry.cluster, verifiers, threshold });
}

/// Sets what a platform is held to, in place of what it was before: at once, as whoever verifies follows the chain.
public fun set_tcb_bounds(
    registry: &mut Registry,
    governance: &Governance,
    cap: &AdminCap,
    platform: String,
    components: vector<String>,
    minimums: vector<u64>,
    statuses: vector<String>,
    any_advisory: bool,
    advisories: vector<String>,
    max_age_ms: u64,
    clock: &Clock,
) {
    check_admin(registry, governance, cap, clock);
    let bounds = tcb::new(platform, components, minimums, statuses, any_advisory, advisories, max_age_ms);
    let at = tcb::find(&registry.bounds, &platform);
    if (at.is_some()) {
        *registry.bounds.borrow_mut(*at.borrow()) = bounds;
    } else {
        registry.bounds.push_back(bounds);
    };
    event::emit(TcbBoundsSet { cluster: registry.cluster, bounds });
}

/// Takes a platform's bounds away: it is held to the policies of those who verify alone.
public fun clear_tcb_bounds(
    registry: &mut Registry,
    governance: &Governance,
    cap: &AdminCap,
    platform: String,
    clock: &Clock,
) {
    check_admin(registry, governance, cap, clock);
    let at = tcb::find(&registry.bounds, &platform);
    assert!(at.is_some(), ENoBounds);
    let bounds = registry.bounds.remove(*at.borrow());
    event::emit(TcbBoundsCleared { cluster: registry.cluster, platform: bounds.platform() });
}

/// Lets workers prove that they run code with this measurement. It makes no master of anybody.
public fun allow_worker_measurement(
    registry: &mut Registry,
    governance: &Governance,
    cap: &AdminCap,
    platform: String,
    names: vector<String>,
    values: vector<vector<u8>>,
    clock: &Clock,
) {
    check_admin(registry, governance, cap, clock);
    assert!(registry.allow_simulated || !measurement::is_simulated(&platform), ESimulated);
    let measurement = measurement::new(platform, names, values);
    assert!(!registry.worker_code.contains(&measurement), EAlreadyAllowed);
    assert!(registry.worker_code.length() < MAX_ALLOWED, ETooMany);
    registry.worker_code.push_back(measurement);
    event::emit(WorkerMeasurementAllowed { cluster: registry.cluster, measurement });
}

/// Takes that back: masters take the label from nodes that proved it.
public fun retire_worker_measurement(
    registry: &mut Registry,
    governance: &Governance,
    cap: &AdminCap,
    platform: String,
    names: vector<String>,
    values: vector<vector<u8>>,
    clock: &Clock,
) {
    check_admin(registry, governance, cap, clock);
    let measurement = measurement::new(platform, names, values);
    let (found, at) = registry.worker_code.index_of(&measurement);
    assert!(found, EMeasurementNotAllowed);
    registry.worker_code.remove(at);
    event::emit(WorkerMeasurementRetired { cluster: registry.cluster, measurement });
}

/// Registers an enclave: `verifiers[i]` signed the claims at `timestamp_ms` with `signatures[i]`.
public fun register_enclave(
    registry: &Registry,
    platform: String,
    names: vector<String>,
    values: vector<vector<u8>>,
    public_key: vector<u8>,
    expires_ms: u64,
    timestamp_ms: u64,
    verifiers: vector<vector<u8>>,
    signatures: vector<vector<u8>>,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    check_registry(registry);
    assert!(public_key.length() == 32, EBadKey);
    assert!(registry.allow_simulated || !measurement::is_simulated(&platform), ESimulated);
    let measurement = measurement::new(platform, names, values);
    check_new(registry, &measurement, expires_ms, timestamp_ms, clock);
    let payload = Claims { cluster: registry.cluster, measurement, public_key, expires_ms };
    let message = intent_message::encode(INTENT_REGISTER, timestamp_ms, payload);
    let Registry { verifiers: known, threshold, .. } = registry;
    intent_message::check_quorum(known, *threshold, &message, &verifiers, &signatures);
    share_enclave(registry, public_key, measurement, expires_ms, clock, ctx);
}

/// Registers a Nitro enclave by its attestation document, which `0x2::nitro_attestation::load_nitro_attestation`
/// has verified in the same transaction: PCR 0, 1 and 2 are its measurement, the document's public key is the
/// enclave's ed25519 key and its user data the id of the cluster.
public fun register_nitro(
    registry: &Registry,
    document: NitroAttestationDocument,
    expires_ms: u64,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    register_document(
        registry,
        nitro::registers(&document),
        *document.public_key(),
        *document.user_data(),
        *document.timestamp(),
        expires_ms,
        clock,
        ctx,
    );
}

/// What `register_nitro` does with a document whose signatures are known to be good.
public(package) fun register_document(
    registry: &Registry,
    pcrs: vector<vector<u8>>,
    public_key: Option<vector<u8>>,
    user_data: Option<vector<u8>>,
    timestamp_ms: u64,
    expires_ms: u64,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    check_registry(registry);
    let measurement = nitro::measured(pcrs);
    assert!(public_key.is_some() && public_key.borrow().length() == 32, EBadKey);
    assert!(user_data == option::some(registry.cluster.to_bytes()), EWrongUserData);
    check_new(registry, &measurement, expires_ms, timestamp_ms, clock);
    share_enclave(registry, *public_key.borrow(), measurement, expires_ms, clock, ctx);
}

/// Ends the standing of one enclave for good, whose key may have leaked.
public fun revoke_enclave(enclave: &mut Enclave, governance: &Governance, cap: &AdminCap, clock: &Clock) {
    check_version(enclave);
    assert!(enclave.cluster == governance.cluster(), EWrongCluster);
    governance.check(cap, clock);
    enclave.expires_ms = 0;
    event::emit(EnclaveRevoked { cluster: enclave.cluster, enclave: object::id(enclave) });
}

/// Brings the registry to the package's version, after governance.
public fun migrate_registry(registry: &mut Registry, governance: &Governance) {
    governance.check_version();
    assert!(registry.cluster == governance.cluster(), EWrongCluster);
    assert!(registry.version < governance::version(), EWrongVersion);
    registry.version = governance::version();
    governance::announce_migration(registry.cluster, object::id(registry));
}

/// Brings an enclave to the package's version, after governance.
public fun migrate_enclave(enclave: &mut Enclave, governance: &Governance) {
    governance.check_version();
    assert!(enclave.cluster == governance.cluster(), EWrongCluster);
    assert!(enclave.version < governance::version(), EWrongVersion);
    enclave.version = governance::version();
    governance::announce_migration(enclave.cluster, object::id(enclave));
}

/// Aborts unless the enclave is in good standing and signed this payload now: later than every statement of
/// the same intent before, and near the chain's clock. Remembers the time, so that it cannot be replayed. For
/// this package only: who else may use up a statement could keep it from where it was meant to go.
public(package) fun verify<T: drop>(
    enclave: &mut Enclave,
    registry: &Registry,
    intent: u8,
    timestamp_ms: u64,
    payload: T,
    signature: &vector<u8>,
    clock: &Clock,
) {
    assert!(intent_message::near(timestamp_ms, clock.timestamp_ms()), EBadTimestamp);
    let at = intent as u64;
    while (enclave.latest_ms.length() <= at) {
        enclave.latest_ms.push_back(0);
    };
    assert!(timestamp_ms > enclave.latest_ms[at], EBadTimestamp);
    check_signed(enclave, registry, intent, timestamp_ms, payload, signature, clock);
    *enclave.latest_ms.borrow_mut(at) = timestamp_ms;
    event::emit(StatementAccepted {
        cluster: enclave.cluster,
        enclave: object::id(enclave),
        intent,
        timestamp_ms,
    });
}

/// Aborts unless the enclave is in good standing and signed this payload. Does not keep a statement from being
/// used again, nor look at its time: the caller does.
public(package) fun check_signed<T: drop>(
    enclave: &Enclave,
    registry: &Registry,
    intent: u8,
    timestamp_ms: u64,
    payload: T,
    signature: &vector<u8>,
    clock: &Clock,
) {
    check_standing(enclave, registry, clock);
    let statement = Statement { enclave: object::id(enclave), payload };
    let message = intent_message::encode(intent, timestamp_ms, statement);
    intent_message::check(signature, &enclave.public_key, &message);
}

/// Aborts unless the enclave belongs to the registry's cluster, has not expired and its measurement is allowed.
public fun check_standing(enclave: &Enclave, registry: &Registry, clock: &Clock) {
    check_registry(registry);
    check_version(enclave);
    assert!(enclave.cluster == registry.cluster, EWrongCluster);
    assert!(clock.timestamp_ms() < enclave.expires_ms, EExpired);
    assert!(is_allowed(registry, &enclave.measurement, clock), EMeasurementNotAllowed);
}

/// Aborts unless the enclave was registered at least the timelock ago. What it signs may then move money: whoever
/// has taken over a capability cannot make an enclave of their own and empty a pool before that is noticed.
public(package) fun check_mature(enclave: &Enclave, governance: &Governance, clock: &Clock) {
    let mature_ms = enclave.registered_ms + governance.economics().timelock_ms();
    assert!(clock.timestamp_ms() >= mature_ms, ETooNew);
}

/// Whether code with this measurement may be trusted now.
public(package) fun is_allowed(registry: &Registry, measurement: &Measurement, clock: &Clock): bool {
    is_allowed_at(registry, measurement, clock.timestamp_ms())
}

/// Whether it may, or might, at `time_ms`. What was retired at once is not remembered.
public(package) fun is_allowed_at(registry: &Registry, measurement: &Measurement, time_ms: u64): bool {
    let (found, at) = registry.allowed.index_of(measurement);
    found && time_ms < registry.retires_ms[at]
}

/// Whether workers may prove that they run code with this measurement.
public(package) fun is_worker_code(registry: &Registry, measurement: &Measurement): bool {
    registry.worker_code.contains(measurement)
}

/// The cluster that an enclave serves.
public fun cluster(enclave: &Enclave): ID {
    enclave.cluster
}

/// The address of the enclave's key, as Sui derives it from ed25519 keys.
public(package) fun address_bytes(enclave: &Enclave): vector<u8> {
    let mut scheme_and_key = vector[0u8];
    scheme_and_key.append(enclave.public_key);
    hash::blake2b256(&scheme_and_key)
}

/// The registry of a new cluster, without measurements and verifiers.
public(package) fun create(cluster: ID, allow_simulated: bool, ctx: &mut TxContext): ID {
    let registry = Registry {
        id: object::new(ctx),
        version: governance::version(),
        cluster,
        allow_simulated,
        allowed: vector[],
        retires_ms: vector[],
        verifiers: vector[],
        threshold: 1,
        bounds: vector[],
        worker_code: vector[],
    };
    let id = object::id(&registry);
    event::emit(RegistryCreated { cluster, registry: id, allow_simulated });
    transfer::share_object(registry);
    id
}

fun check_admin(registry: &Registry, governance: &Governance, cap: &AdminCap, clock: &Clock) {
    check_registry(registry);
    assert!(registry.cluster == governance.cluster(), EWrongCluster);
    governance::check(governance, cap, clock);
}

fun check_registry(registry: &Registry) {
    assert!(registry.version == governance::version(), EWrongVersion);
}

fun check_version(enclave: &Enclave) {
    assert!(enclave.version == governance::version(), EWrongVersion);
}

/// What every registration is held to.
fun check_new(
    registry: &Registry,
    measurement: &Measurement,
    expires_ms: u64,
    timestamp_ms: u64,
    clock: &Clock,
) {
    assert!(is_allowed(registry, measurement, clock), EMeasurementNotAllowed);
    let now = clock.timestamp_ms();
    assert!(expires_ms > now && expires_ms <= now + MAX_LIFETIME_MS, EExpired);
    assert!(intent_message::near(timestamp_ms, now), EBadTimestamp);
}

fun share_enclave(
    registry: &Registry,
    public_key: vector<u8>,
    measurement: Measurement,
    expires_ms: u64,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    let enclave = Enclave {
        id: object::new(ctx),
        version: governance::version(),
        cluster: registry.cluster,
        public_key,
        measurement,
        expires_ms,
        registered_ms: clock.timestamp_ms(),
        latest_ms: vector[],
    };
    event::emit(EnclaveRegistered {
        cluster: registry.cluster,
        enclave: object::id(&enclave),
        public_key,
        measurement,
        expires_ms,
        registered_ms: enclave.registered_ms,
    });
    transfer::share_object(enclave);
}

#[test_only]
public(package) fun set_version_for_testing(registry: &mut Registry, version: u64) {
    registry.version = version;
}

#[test_only]
public(package) fun set_enclave_version_for_testing(enclave: &mut Enclave, version: u64) {
    enclave.version = version;
}
