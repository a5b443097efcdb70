/// The cluster's face on chain: where it is, which CA it has, what a stake must hold, and who may do what.
module k3s_daas::k8s_gateway;

use k3s_daas::anchor;
use k3s_daas::enclave::{Self, Enclave, Registry};
use k3s_daas::governance::{Self, AdminCap, Governance};
use k3s_daas::insurance;
use k3s_daas::rewards;
use std::string::String;
use sui::clock::Clock;
use sui::event;
use sui::table::{Self, Table};

/// The object has another version than this package: migrate it after an upgrade, or use the package that fits it.
const EWrongVersion: u64 = 1;
/// The object belongs to another cluster.
const EWrongCluster: u64 = 2;
/// A string is empty or too long.
const EBadString: u64 = 3;
/// The CA hash is not 32 bytes.
const EBadHash: u64 = 4;
/// There is no such tier.
const EBadTier: u64 = 5;
/// A configuration value is outside of its bounds.
const EOutOfBounds: u64 = 6;
/// The role is not view, edit, admin or cluster-admin, or cluster-admin is asked for one namespace.
const EBadRole: u64 = 7;
/// The name belongs to another stake.
const ENameTaken: u64 = 8;
/// The namespace is not a DNS label.
const EBadNamespace: u64 = 9;
/// The cluster is paused: no new stakes, penalties and escrows until that is over.
const EPaused: u64 = 10;
/// The cluster is not paused.
const ENotPaused: u64 = 11;

const TIERS: u64 = 3;
const MAX_STRING: u64 = 256;
const MAX_LABEL: u64 = 63;
const DAY_MS: u64 = 86_400_000;
const YEAR_MS: u64 = 31_536_000_000;
/// All SUI there can ever be, in MIST.
const MAX_MINIMUM: u64 = 10_000_000_000_000_000_000;
const MINUTE_MS: u64 = 60_000;
/// A pause ends by itself after at most this long: 14 days.
const MAX_PAUSE_MS: u64 = 1_209_600_000;
/// Intent of the enclave's statement of where the cluster is.
const INTENT_ENDPOINT: u8 = 1;

/// A cluster. Shared, and read by everybody; written only when its configuration or place changes.
public struct Cluster has key {
    id: UID,
    version: u64,
    name: String,
    /// URL of the gateway; empty until an enclave has set it.
    gateway: String,
    /// URL of kube-apiserver; empty until an enclave has set it.
    apiserver: String,
    /// SHA-256 of the cluster CA's DER; empty until an enclave has set it.
    ca_hash: vector<u8>,
    /// The enclave that set the place last.
    enclave: Option<ID>,
    config: Config,
    governance: ID,
    registry: ID,
    names: ID,
    anchor: ID,
    pool: ID,
    insurance: ID,
    /// Paused until this time; zero when it never was.
    paused_until_ms: u64,
}

/// What stakes and tokens of a cluster are held to. Index of `tiers`: 0 node, 1 user, 2 admin.
public struct Config has copy, drop, store {
    tiers: vector<Tier>,
    /// From asking for a stake back to having it, in milliseconds.
    unbonding_ms: u64,
    /// A seal token lives this long unless renewed, in milliseconds.
    token_lifetime_ms: u64,
}

/// What one tier demands.
public struct Tier has copy, drop, store {
    /// Smallest stake, in MIST.
    minimum: u64,
    /// A stake stays at least this long, in milliseconds.
    lock_ms: u64,
}

/// Node names of a cluster and the stakes they are pinned to. Shared; touched at registration only.
public struct Names has key {
    id: UID,
    version: u64,
    cluster: ID,
    stakes: Table<String, ID>,
}

/// A role of an address, in one namespace or in the whole cluster. Shared, so that anybody can read it.
public struct Grant has key {
    id: UID,
    version: u64,
    cluster: ID,
    grantee: address,
    /// Empty for the whole cluster.
    namespace: String,
    role: String,
}

/// What the enclave signs to say where the cluster is.
public struct Place has copy, drop {
    cluster: ID,
    gateway: String,
    apiserver: String,
    ca_hash: vector<u8>,
}

public struct ClusterCreated has copy, drop {
    cluster: ID,
    name: String,
    creator: address,
    governance: ID,
    registry: ID,
    names: ID,
    anchor: ID,
    pool: ID,
    insurance: ID,
    config: Config,
}

public struct ConfigChanged has copy, drop {
    cluster: ID,
    config: Config,
}

/// Zero when the pause has ended.
public struct PauseChanged has copy, drop {
    cluster: ID,
    paused_until_ms: u64,
}

public struct PlaceChanged has copy, drop {
    cluster: ID,
    enclave: ID,
    gateway: String,
    apiserver: String,
    ca_hash: vector<u8>,
}

public struct Granted has copy, drop {
    cluster: ID,
    grant: ID,
    grantee: address,
    namespace: String,
    role: String,
}

public struct GrantRevoked has copy, drop {
    cluster: ID,
    grant: ID,
    grantee: address,
    namespace: String,
    role: String,
}

/// Makes a cluster with the default configuration; its capability goes to the sender. `allow_simulated` can
/// only be chosen here: a cluster for real use never trusts a simulated enclave.
public fun create_cluster(name: String, allow_simulated: bool, ctx: &mut TxContext) {
    check_string(&name);
    let id = object::new(ctx);
    let cluster = id.to_inner();
    let governance = governance::create(cluster, ctx.sender(), ctx);
    let registry = enclave::create(cluster, allow_simulated, ctx);
    let anchor = anchor::create(cluster, ctx);
    let pool = rewards::create(cluster, ctx);
    let insurance = insurance::create(cluster, ctx);
    let names = Names { id: object::new(ctx), version: governance::version(), cluster, stakes: table::new(ctx) };
    let config = default_config();
    event::emit(ClusterCreated {
        cluster,
        name,
        creator: ctx.sender(),
        governance,
        registry,
        names: object::id(&names),
        anchor,
        pool,
        insurance,
        config,
    });
    transfer::share_object(Cluster {
        id,
        version: governance::version(),
        name,
        gateway: b"".to_string(),
        apiserver: b"".to_string(),
        ca_hash: vector[],
        enclave: option::none(),
        config,
        governance,
        registry,
        names: object::id(&names),
        anchor,
        pool,
        insurance,
        paused_until_ms: 0,
    });
    transfer::share_object(names);
}

/// Sets what stakes and tokens are held to from now on. `minimums` and `locks_ms` by tier.
public fun set_config(
    cluster: &mut Cluster,
    governance: &Governance,
    cap: &AdminCap,
    minimums: vector<u64>,
    locks_ms: vector<u64>,
    unbonding_ms: u64,
    token_lifetime_ms: u64,
    clock: &Clock,
) {
    check_admin(cluster, governance, cap, clock);
    assert!(minimums.length() == TIERS && locks_ms.length() == TIERS, EBadTier);
    assert!(unbonding_ms <= YEAR_MS, EOutOfBounds);
    assert!(token_lifetime_ms >= MINUTE_MS && token_lifetime_ms <= YEAR_MS, EOutOfBounds);
    let mut tiers = vector[];
    let mut i = 0;
    while (i < TIERS) {
        assert!(minimums[i] >= 1 && minimums[i] <= MAX_MINIMUM, EOutOfBounds);
        assert!(locks_ms[i] <= YEAR_MS, EOutOfBounds);
        tiers.push_back(Tier { minimum: minimums[i], lock_ms: locks_ms[i] });
        i = i + 1;
    };
    cluster.config = Config { tiers, unbonding_ms, token_lifetime_ms };
    event::emit(ConfigChanged { cluster: object::id(cluster), config: cluster.config });
}

/// Stops new stakes, penalties and escrows until `until_ms`, at most 14 days ahead. Money that is free to leave
/// leaves all the same.
public fun pause(cluster: &mut Cluster, governance: &Governance, cap: &AdminCap, until_ms: u64, clock: &Clock) {
    check_admin(cluster, governance, cap, clock);
    let now = clock.timestamp_ms();
    assert!(until_ms > now && until_ms <= now + MAX_PAUSE_MS, EOutOfBounds);
    set_pause(cluster, until_ms);
}

/// Ends a pause.
public fun unpause(cluster: &mut Cluster, governance: &Governance, cap: &AdminCap, clock: &Clock) {
    check_admin(cluster, governance, cap, clock);
    assert!(clock.timestamp_ms() < cluster.paused_until_ms, ENotPaused);
    set_pause(cluster, 0);
}

/// Says where the cluster is: only with a statement of an enclave in good standing.
public fun set_place(
    cluster: &mut Cluster,
    registry: &Registry,
    enclave: &mut Enclave,
    gateway: String,
    apiserver: String,
    ca_hash: vector<u8>,
    timestamp_ms: u64,
    signature: vector<u8>,
    clock: &Clock,
) {
    check_version(cluster);
    let id = object::id(cluster);
    assert!(enclave.cluster() == id, EWrongCluster);
    check_string(&gateway);
    check_string(&apiserver);
    assert!(ca_hash.length() == 32, EBadHash);
    let place = Place { cluster: id, gateway, apiserver, ca_hash };
    enclave.verify(registry, INTENT_ENDPOINT, timestamp_ms, place, &signature, clock);
    cluster.gateway = gateway;
    cluster.apiserver = apiserver;
    cluster.ca_hash = ca_hash;
    let by = object::id(enclave);
    cluster.enclave = option::some(by);
    event::emit(PlaceChanged { cluster: id, enclave: by, gateway, apiserver, ca_hash });
}

/// Gives an address a role in a namespace, or in the whole cluster when `namespace` is empty.
public fun grant(
    cluster: &Cluster,
    governance: &Governance,
    cap: &AdminCap,
    grantee: address,
    namespace: String,
    role: String,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    check_admin(cluster, governance, cap, clock);
    check_role(&role, &namespace);
    let made = Grant {
        id: object::new(ctx),
        version: governance::version(),
        cluster: object::id(cluster),
        grantee,
        namespace,
        role,
    };
    event::emit(Granted { cluster: made.cluster, grant: object::id(&made), grantee, namespace, role });
    transfer::share_object(made);
}

/// Takes a role back.
public fun revoke_grant(grant: Grant, governance: &Governance, cap: &AdminCap, clock: &Clock) {
    assert!(grant.version == governance::version(), EWrongVersion);
    assert!(grant.cluster == governance.cluster(), EWrongCluster);
    governance.check(cap, clock);
    let Grant { id, cluster, grantee, namespace, role, .. } = grant;
    event::emit(GrantRevoked { cluster, grant: id.to_inner(), grantee, namespace, role });
    id.delete();
}

/// Brings the cluster to the package's version, after governance.
public fun migrate_cluster(cluster: &mut Cluster, governance: &Governance) {
    let id = object::id(cluster);
    cluster.version = migrated(id, id, cluster.version, governance);
}

/// Brings the node names to the package's version, after governance.
public fun migrate_names(names: &mut Names, governance: &Governance) {
    names.version = migrated(names.cluster, object::id(names), names.version, governance);
}

/// Brings a grant to the package's version, after governance.
public fun migrate_grant(grant: &mut Grant, governance: &Governance) {
    grant.version = migrated(grant.cluster, object::id(grant), grant.version, governance);
}

/// Smallest stake of a tier, in MIST.
public fun minimum(cluster: &Cluster, tier: u8): u64 {
    tier_of(cluster, tier).minimum
}

/// How long a stake of a tier stays at least, in milliseconds.
public fun lock_ms(cluster: &Cluster, tier: u8): u64 {
    tier_of(cluster, tier).lock_ms
}

/// From asking for a stake back to having it, in milliseconds.
public fun unbonding_ms(cluster: &Cluster): u64 {
    cluster.config.unbonding_ms
}

/// How long a token lives unless renewed, in milliseconds.
public fun token_lifetime_ms(cluster: &Cluster): u64 {
    cluster.config.token_lifetime_ms
}

/// Aborts unless the object is of the version that this package works on.
public(package) fun check_version(cluster: &Cluster) {
    assert!(cluster.version == governance::version(), EWrongVersion);
}

/// Aborts while the cluster is paused.
public(package) fun check_running(cluster: &Cluster, clock: &Clock) {
    check_version(cluster);
    assert!(clock.timestamp_ms() >= cluster.paused_until_ms, EPaused);
}

/// Pins a name to a stake.
public(package) fun pin_name(names: &mut Names, cluster: ID, name: String, stake: ID) {
    assert!(names.version == governance::version(), EWrongVersion);
    assert!(names.cluster == cluster, EWrongCluster);
    assert!(!names.stakes.contains(name), ENameTaken);
    names.stakes.add(name, stake);
}

/// Aborts unless the names are those of the cluster.
public(package) fun check_cluster(names: &Names, cluster: ID) {
    assert!(names.cluster == cluster, EWrongCluster);
}

/// Frees the name of a stake that is withdrawn.
public(package) fun free_name(names: &mut Names, cluster: ID, name: String, stake: ID) {
    assert!(names.version == governance::version(), EWrongVersion);
    assert!(names.cluster == cluster, EWrongCluster);
    assert!(names.stakes.remove(name) == stake, ENameTaken);
}

/// Whether the text is a DNS label (RFC 1123): 1 to 63 of a-z, 0-9 and `-`, no `-` at the ends.
public fun is_label(text: &String): bool {
    let bytes = text.as_bytes();
    let count = bytes.length();
    if (count == 0 || count > MAX_LABEL) return false;
    let mut i = 0;
    while (i < count) {
        let byte = bytes[i];
        let inner = (byte >= 97 && byte <= 122) || (byte >= 48 && byte <= 57);
        let dash = byte == 45 && i > 0 && i < count - 1;
        if (!inner && !dash) return false;
        i = i + 1;
    };
    true
}

fun check_admin(cluster: &Cluster, governance: &Governance, cap: &AdminCap, clock: &Clock) {
    check_version(cluster);
    assert!(object::id(cluster) == governance.cluster(), EWrongCluster);
    governance.check(cap, clock);
}

fun set_pause(cluster: &mut Cluster, until_ms: u64) {
    cluster.paused_until_ms = until_ms;
    event::emit(PauseChanged { cluster: object::id(cluster), paused_until_ms: until_ms });
}

/// Checks and announces that an object of an older version gets that of the package, which it gives.
fun migrated(cluster: ID, object: ID, version: u64, governance: &Governance): u64 {
    governance.check_version();
    assert!(cluster == governance.cluster(), EWrongCluster);
    assert!(version < governance::version(), EWrongVersion);
    governance::announce_migration(cluster, object);
    governance::version()
}

fun check_role(role: &String, namespace: &String) {
    let bytes = role.as_bytes();
    let whole = namespace.is_empty();
    assert!(whole || is_label(namespace), EBadNamespace);
    let narrow = *bytes == b"view" || *bytes == b"edit" || *bytes == b"admin";
    assert!(narrow || (whole && *bytes == b"cluster-admin"), EBadRole);
}

fun check_string(text: &String) {
    assert!(!text.is_empty() && text.length() <= MAX_STRING, EBadString);
}

fun tier_of(cluster: &Cluster, tier: u8): &Tier {
    assert!((tier as u64) < TIERS, EBadTier);
    &cluster.config.tiers[tier as u64]
}

fun default_config(): Config {
    Config {
        tiers: vector[
            Tier { minimum: 100, lock_ms: 7 * DAY_MS },
            Tier { minimum: 1_000, lock_ms: DAY_MS },
            Tier { minimum: 10_000, lock_ms: 7 * DAY_MS },
        ],
        unbonding_ms: 7 * DAY_MS,
        token_lifetime_ms: 30 * DAY_MS,
    }
}

#[test_only]
public(package) fun set_version_for_testing(cluster: &mut Cluster, version: u64) {
    cluster.version = version;
}

#[test_only]
public(package) fun set_names_version_for_testing(names: &mut Names, version: u64) {
    names.version = version;
}

#[test_only]
public(package) fun set_grant_version_for_testing(grant: &mut Grant, version: u64) {
    grant.version = version;
}
