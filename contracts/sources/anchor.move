/// How far a cluster's sealed state is: what an enclave last wrote, so that an old copy of the disk is recognized.
module k3s_daas::anchor;

use k3s_daas::enclave::{Enclave, Registry};
use k3s_daas::governance::{Self, Governance};
use sui::clock::Clock;
use sui::event;

/// The object has another version than this package: migrate it after an upgrade, or use the package that fits it.
const EWrongVersion: u64 = 1;
/// The object belongs to another cluster.
const EWrongCluster: u64 = 2;
/// A state root or log hash is not 32 bytes.
const EBadHash: u64 = 3;
/// The id of the snapshot is too long.
const EBadBlob: u64 = 4;
/// The revision is not above the one that is anchored.
const ENotNewer: u64 = 5;
/// The epoch of the sealing key is below the one that is anchored.
const EOldKey: u64 = 6;

const MAX_BLOB_BYTES: u64 = 64;
/// Intent of the enclave's statement.
const INTENT_ANCHOR: u8 = 3;
/// Intent of the statement that it has served without having read the anchor.
const INTENT_UNANCHORED: u8 = 7;

/// The latest point of a cluster's state. Shared; written by its enclaves only.
public struct Anchor has key {
    id: UID,
    version: u64,
    cluster: ID,
    revision: u64,
    state_root: vector<u8>,
    log_hash: vector<u8>,
    /// Id of the latest snapshot on cold storage; empty while there is none.
    blob: vector<u8>,
    key_epoch: u64,
    /// The enclave that said so; none before the first time.
    enclave: Option<ID>,
    anchored_ms: u64,
}

/// What the enclave signs.
public struct Point has copy, drop {
    cluster: ID,
    revision: u64,
    state_root: vector<u8>,
    log_hash: vector<u8>,
    blob: vector<u8>,
    key_epoch: u64,
}

/// What the enclave signs when it has opened a state without having reached the chain.
public struct Unanchored has copy, drop {
    cluster: ID,
    revision: u64,
    state_root: vector<u8>,
    opened_ms: u64,
}

public struct AnchorCreated has copy, drop {
    cluster: ID,
    anchor: ID,
}

public struct Anchored has copy, drop {
    cluster: ID,
    anchor: ID,
    enclave: ID,
    revision: u64,
    state_root: vector<u8>,
    log_hash: vector<u8>,
    blob: vector<u8>,
    key_epoch: u64,
    anchored_ms: u64,
}

/// An enclave has served a state that it could not hold against the anchor.
public struct OpenedUnanchored has copy, drop {
    cluster: ID,
    anchor: ID,
    enclave: ID,
    revision: u64,
    state_root: vector<u8>,
    opened_ms: u64,
    declared_ms: u64,
}

/// Anchors a point that is after the last one, with a statement of an enclave in good standing.
public fun record(
    anchor: &mut Anchor,
    registry: &Registry,
    enclave: &mut Enclave,
    revision: u64,
    state_root: vector<u8>,
    log_hash: vector<u8>,
    blob: vector<u8>,
    key_epoch: u64,
    timestamp_ms: u64,
    signature: vector<u8>,
    clock: &Clock,
) {
    check_version(anchor);
    let cluster = anchor.cluster;
    assert!(enclave.cluster() == cluster, EWrongCluster);
    assert!(state_root.length() == 32 && log_hash.length() == 32, EBadHash);
    assert!(blob.length() <= MAX_BLOB_BYTES, EBadBlob);
    assert!(revision > anchor.revision, ENotNewer);
    assert!(key_epoch >= anchor.key_epoch, EOldKey);
    let point = Point { cluster, revision, state_root, log_hash, blob, key_epoch };
    enclave.verify(registry, INTENT_ANCHOR, timestamp_ms, point, &signature, clock);
    let by = object::id(enclave);
    anchor.revision = revision;
    anchor.state_root = state_root;
    anchor.log_hash = log_hash;
    anchor.blob = blob;
    anchor.key_epoch = key_epoch;
    anchor.enclave = option::some(by);
    anchor.anchored_ms = clock.timestamp_ms();
    event::emit(Anchored {
        cluster,
        anchor: object::id(anchor),
        enclave: by,
        revision,
        state_root,
        log_hash,
        blob,
        key_epoch,
        anchored_ms: anchor.anchored_ms,
    });
}

/// Declares that an enclave in good standing opened a state before it could read the anchor. Changes nothing: whoever
/// relies on the cluster sees it.
public fun declare_unanchored(
    anchor: &Anchor,
    registry: &Registry,
    enclave: &mut Enclave,
    revision: u64,
    state_root: vector<u8>,
    opened_ms: u64,
    timestamp_ms: u64,
    signature: vector<u8>,
    clock: &Clock,
) {
    check_version(anchor);
    let cluster = anchor.cluster;
    assert!(enclave.cluster() == cluster, EWrongCluster);
    assert!(state_root.length() == 32, EBadHash);
    let opened = Unanchored { cluster, revision, state_root, opened_ms };
    enclave.verify(registry, INTENT_UNANCHORED, timestamp_ms, opened, &signature, clock);
    event::emit(OpenedUnanchored {
        cluster,
        anchor: object::id(anchor),
        enclave: object::id(enclave),
        revision,
        state_root,
        opened_ms,
        declared_ms: clock.timestamp_ms(),
    });
}

/// Brings the anchor to the package's version, after governance.
public fun migrate(anchor: &mut Anchor, governance: &Governance) {
    governance.check_version();
    assert!(anchor.cluster == governance.cluster(), EWrongCluster);
    assert!(anchor.version < governance::version(), EWrongVersion);
    anchor.version = governance::version();
    governance::announce_migration(anchor.cluster, object::id(anchor));
}

/// Aborts unless the anchor is of this package's version.
public(package) fun check_version(anchor: &Anchor) {
    assert!(anchor.version == governance::version(), EWrongVersion);
}

/// The cluster whose state it is about.
public(package) fun cluster(anchor: &Anchor): ID {
    anchor.cluster
}

/// Where this package keeps what else it takes to bring a cluster back.
public(package) fun place(anchor: &mut Anchor): &mut UID {
    &mut anchor.id
}

/// The anchor of a new cluster, at revision zero.
public(package) fun create(cluster: ID, ctx: &mut TxContext): ID {
    let anchor = Anchor {
        id: object::new(ctx),
        version: governance::version(),
        cluster,
        revision: 0,
        state_root: vector[],
        log_hash: vector[],
        blob: vector[],
        key_epoch: 0,
        enclave: option::none(),
        anchored_ms: 0,
    };
    let id = object::id(&anchor);
    event::emit(AnchorCreated { cluster, anchor: id });
    transfer::share_object(anchor);
    id
}

#[test_only]
public(package) fun set_version_for_testing(anchor: &mut Anchor, version: u64) {
    anchor.version = version;
}
