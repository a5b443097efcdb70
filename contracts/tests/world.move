/// What the tests share: a cluster, its operator and two more people, and one call for each entry function.
#[test_only]
module k3s_daas::world;

use k3s_daas::enclave::{Self, Enclave, Registry};
use k3s_daas::governance::{Self, AdminCap, Governance};
use k3s_daas::k8s_gateway::{Self, Cluster, Grant, Names};
use k3s_daas::seal_token::{Self, SealToken};
use k3s_daas::staking::{Self, Stake};
use sui::clock::{Self, Clock};
use sui::coin;
use sui::sui::SUI;
use sui::test_scenario::{Self, Scenario};

const OPERATOR: address = @0xA;
const STAKER: address = @0xB;
const STRANGER: address = @0xC;
/// When the story begins; any time that is not near zero.
const START_MS: u64 = 1_700_000_000_000;

/// A scenario in the middle of a transaction, with the cluster's objects at hand.
public struct World {
    scenario: Scenario,
    clock: Clock,
    cluster: Cluster,
    governance: Governance,
    registry: Registry,
    names: Names,
    cap: AdminCap,
}

public fun operator(): address { OPERATOR }

public fun staker(): address { STAKER }

public fun stranger(): address { STRANGER }

public fun start_ms(): u64 { START_MS }

/// A new cluster; the next transaction is the operator's.
public fun begin(allow_simulated: bool): World {
    let mut scenario = test_scenario::begin(OPERATOR);
    let mut clock = clock::create_for_testing(scenario.ctx());
    clock.set_for_testing(START_MS);
    k8s_gateway::create_cluster(b"test".to_string(), allow_simulated, scenario.ctx());
    scenario.next_tx(OPERATOR);
    take_all(scenario, clock)
}

/// Ends the transaction and begins one of `sender`.
public fun next(world: World, sender: address): World {
    let (mut scenario, clock) = put_back(world);
    scenario.next_tx(sender);
    take_all(scenario, clock)
}

public fun end(world: World) {
    let (scenario, clock) = put_back(world);
    clock.destroy_for_testing();
    scenario.end();
}

/// The world with one of its objects replaced by that of another cluster, which its operator has too and which
/// trusts no simulated enclave: `cluster`, `governance`, `registry`, `names` or `cap`.
public fun with_other(world: World, replaced: vector<u8>): World {
    let World { mut scenario, clock, cluster, governance, registry, names, cap } = world;
    let sender = scenario.sender();
    scenario.next_tx(STRANGER);
    k8s_gateway::create_cluster(b"other".to_string(), false, scenario.ctx());
    scenario.next_tx(sender);
    // The first cluster's objects are taken, so these are the second's.
    let other_cluster = scenario.take_shared<Cluster>();
    let other_governance = scenario.take_shared<Governance>();
    let other_registry = scenario.take_shared<Registry>();
    let other_names = scenario.take_shared<Names>();
    let other_cap = scenario.take_from_address<AdminCap>(STRANGER);
    let (cluster, first_cluster) = choose(replaced == b"cluster", other_cluster, cluster);
    let (governance, first_governance) = choose(replaced == b"governance", other_governance, governance);
    let (registry, first_registry) = choose(replaced == b"registry", other_registry, registry);
    let (names, first_names) = choose(replaced == b"names", other_names, names);
    test_scenario::return_shared(first_cluster);
    test_scenario::return_shared(first_governance);
    test_scenario::return_shared(first_registry);
    test_scenario::return_shared(first_names);
    let cap = if (replaced == b"cap") {
        test_scenario::return_to_address(OPERATOR, cap);
        other_cap
    } else {
        test_scenario::return_to_address(STRANGER, other_cap);
        cap
    };
    World { scenario, clock, cluster, governance, registry, names, cap }
}

fun choose<T>(second: bool, other: T, first: T): (T, T) {
    if (second) (other, first) else (first, other)
}

public fun advance(world: &mut World, ms: u64) {
    world.clock.increment_for_testing(ms);
}

public fun now(world: &World): u64 {
    world.clock.timestamp_ms()
}

/// Events of the transaction so far are counted when it ends.
public fun events_of(world: World): u64 {
    let (mut scenario, clock) = put_back(world);
    let events = scenario.next_tx(OPERATOR).num_user_events();
    take_all(scenario, clock).end();
    events
}

public fun cluster(world: &World): &Cluster { &world.cluster }

public fun cluster_mut(world: &mut World): &mut Cluster { &mut world.cluster }

public fun governance_mut(world: &mut World): &mut Governance { &mut world.governance }

public fun registry(world: &World): &Registry { &world.registry }

public fun registry_mut(world: &mut World): &mut Registry { &mut world.registry }

public fun names_mut(world: &mut World): &mut Names { &mut world.names }

/// What most calls take, at once.
public fun parts(world: &mut World): (&Cluster, &Governance, &Registry, &AdminCap, &Clock, &mut TxContext) {
    (
        &world.cluster,
        &world.governance,
        &world.registry,
        &world.cap,
        &world.clock,
        world.scenario.ctx(),
    )
}

/// The same for calls that change the cluster.
public fun cluster_parts(world: &mut World): (&mut Cluster, &Governance, &AdminCap, &Clock) {
    (&mut world.cluster, &world.governance, &world.cap, &world.clock)
}

/// The same for calls that change its governance.
public fun governance_parts(world: &mut World): (&mut Governance, &AdminCap, &Clock, &mut TxContext) {
    (&mut world.governance, &world.cap, &world.clock, world.scenario.ctx())
}

/// The same for calls that change its registry.
public fun registry_parts(world: &mut World): (&mut Registry, &Governance, &AdminCap, &Clock) {
    (&mut world.registry, &world.governance, &world.cap, &world.clock)
}

/// A coin of so many MIST.
public fun coin(world: &mut World, mist: u64): coin::Coin<SUI> {
    coin::mint_for_testing(mist, world.scenario.ctx())
}

/// The last shared object of a kind that is not taken.
public fun take<T: key>(world: &World): T {
    world.scenario.take_shared()
}

public fun cap_id(world: &World): ID { object::id(&world.cap) }

// === what is shared or owned ===

public fun take_stake(world: &World): Stake { world.scenario.take_shared() }

public fun take_token(world: &World): SealToken { world.scenario.take_shared() }

public fun take_enclave(world: &World): Enclave { world.scenario.take_shared() }

public fun take_grant(world: &World): Grant { world.scenario.take_shared() }

public fun take_cap(world: &World, holder: address): AdminCap { world.scenario.take_from_address(holder) }

public fun share<T: key>(object: T) { test_scenario::return_shared(object) }

/// Gives a capability back to its holder.
public fun give_back(holder: address, cap: AdminCap) { test_scenario::return_to_address(holder, cap) }

/// MIST of the last coin that came to an address.
public fun received(world: &World, owner: address): u64 {
    let coin = world.scenario.take_from_address<coin::Coin<SUI>>(owner);
    let value = coin.value();
    test_scenario::return_to_address(owner, coin);
    value
}

// === governance ===

public fun issue_cap(world: &mut World, recipient: address, expires_ms: u64) {
    governance::issue_cap(
        &mut world.governance,
        &world.cap,
        recipient,
        expires_ms,
        &world.clock,
        world.scenario.ctx(),
    );
}

public fun issue_cap_with(world: &mut World, cap: &AdminCap, recipient: address, expires_ms: u64) {
    governance::issue_cap(&mut world.governance, cap, recipient, expires_ms, &world.clock, world.scenario.ctx());
}

public fun revoke_cap(world: &mut World, revoked: ID) {
    governance::revoke_cap(&mut world.governance, &world.cap, revoked, &world.clock);
}

public fun revoke_cap_with(world: &mut World, cap: &AdminCap, revoked: ID) {
    governance::revoke_cap(&mut world.governance, cap, revoked, &world.clock);
}

public fun check_cap(world: &World, cap: &AdminCap) {
    world.governance.check(cap, &world.clock);
}

// === k8s_gateway ===

public fun set_config(
    world: &mut World,
    minimums: vector<u64>,
    locks_ms: vector<u64>,
    unbonding_ms: u64,
    token_lifetime_ms: u64,
) {
    world
        .cluster
        .set_config(
            &world.governance,
            &world.cap,
            minimums,
            locks_ms,
            unbonding_ms,
            token_lifetime_ms,
            &world.clock,
        );
}

public fun set_place(
    world: &mut World,
    enclave: &mut Enclave,
    gateway: vector<u8>,
    ca_hash: vector<u8>,
    timestamp_ms: u64,
    signature: vector<u8>,
) {
    world
        .cluster
        .set_place(
            &world.registry,
            enclave,
            gateway.to_string(),
            b"https://a:6443".to_string(),
            ca_hash,
            timestamp_ms,
            signature,
            &world.clock,
        );
}

public fun grant(world: &mut World, namespace: vector<u8>, role: vector<u8>) {
    world
        .cluster
        .grant(
            &world.governance,
            &world.cap,
            STAKER,
            namespace.to_string(),
            role.to_string(),
            &world.clock,
            world.scenario.ctx(),
        );
}

public fun revoke_grant(world: &World, grant: Grant) {
    k8s_gateway::revoke_grant(grant, &world.governance, &world.cap, &world.clock);
}

public fun migrate_names(world: &mut World) {
    world.names.migrate_names(&world.governance);
}

// === enclave ===

public fun allow(world: &mut World, platform: vector<u8>, names: vector<vector<u8>>, values: vector<vector<u8>>) {
    world
        .registry
        .allow_measurement(
            &world.governance,
            &world.cap,
            platform.to_string(),
            strings(names),
            values,
            &world.clock,
        );
}

public fun retire(world: &mut World, platform: vector<u8>, names: vector<vector<u8>>, values: vector<vector<u8>>) {
    world
        .registry
        .retire_measurement(
            &world.governance,
            &world.cap,
            platform.to_string(),
            strings(names),
            values,
            &world.clock,
        );
}

public fun allow_worker(
    world: &mut World,
    platform: vector<u8>,
    names: vector<vector<u8>>,
    values: vector<vector<u8>>,
) {
    world
        .registry
        .allow_worker_measurement(
            &world.governance,
            &world.cap,
            platform.to_string(),
            strings(names),
            values,
            &world.clock,
        );
}

public fun retire_worker(
    world: &mut World,
    platform: vector<u8>,
    names: vector<vector<u8>>,
    values: vector<vector<u8>>,
) {
    world
        .registry
        .retire_worker_measurement(
            &world.governance,
            &world.cap,
            platform.to_string(),
            strings(names),
            values,
            &world.clock,
        );
}

public fun set_bounds(
    world: &mut World,
    platform: vector<u8>,
    components: vector<vector<u8>>,
    minimums: vector<u64>,
    statuses: vector<vector<u8>>,
    advisories: vector<vector<u8>>,
    max_age_ms: u64,
) {
    world
        .registry
        .set_tcb_bounds(
            &world.governance,
            &world.cap,
            platform.to_string(),
            strings(components),
            minimums,
            strings(statuses),
            false,
            strings(advisories),
            max_age_ms,
            &world.clock,
        );
}

public fun clear_bounds(world: &mut World, platform: vector<u8>) {
    world.registry.clear_tcb_bounds(&world.governance, &world.cap, platform.to_string(), &world.clock);
}

public fun set_verifiers(world: &mut World, verifiers: vector<vector<u8>>, threshold: u64) {
    world.registry.set_verifiers(&world.governance, &world.cap, verifiers, threshold, &world.clock);
}

public fun register(
    world: &mut World,
    platform: vector<u8>,
    public_key: vector<u8>,
    expires_ms: u64,
    timestamp_ms: u64,
    verifiers: vector<vector<u8>>,
    signatures: vector<vector<u8>>,
) {
    enclave::register_enclave(
        &world.registry,
        platform.to_string(),
        strings(vector[b"code"]),
        vector[b"1"],
        public_key,
        expires_ms,
        timestamp_ms,
        verifiers,
        signatures,
        &world.clock,
        world.scenario.ctx(),
    );
}

public fun check_standing(world: &World, enclave: &Enclave) {
    enclave.check_standing(&world.registry, &world.clock);
}

// === staking ===

public fun stake(world: &mut World, tier: u8, mist: u64) {
    let coin = coin::mint_for_testing(mist, world.scenario.ctx());
    staking::stake(&world.cluster, tier, coin, &world.clock, world.scenario.ctx());
}

public fun top_up(world: &mut World, stake: &mut Stake, mist: u64) {
    let coin = coin::mint_for_testing(mist, world.scenario.ctx());
    stake.top_up(coin, world.scenario.ctx());
}

public fun request_unstake(world: &mut World, stake: &mut Stake) {
    stake.request_unstake(&world.cluster, &world.clock, world.scenario.ctx());
}

public fun withdraw(world: &mut World, stake: Stake) {
    stake.withdraw(&mut world.names, &world.clock, world.scenario.ctx());
}

// === seal_token ===

public fun issue(world: &mut World, stake: &mut Stake, public_key: vector<u8>, name: vector<u8>) {
    seal_token::issue(
        stake,
        &world.cluster,
        &mut world.names,
        public_key,
        name.to_string(),
        &world.clock,
        world.scenario.ctx(),
    );
}

public fun reissue(world: &mut World, token: &mut SealToken, stake: &mut Stake, public_key: vector<u8>) {
    token.reissue(stake, &world.cluster, public_key, &world.clock, world.scenario.ctx());
}

public fun renew(world: &mut World, token: &mut SealToken, stake: &Stake) {
    token.renew(stake, &world.cluster, &world.clock, world.scenario.ctx());
}

public fun rotate(
    world: &mut World,
    token: &mut SealToken,
    stake: &mut Stake,
    public_key: vector<u8>,
    signature: vector<u8>,
) {
    token.rotate_key(stake, &world.cluster, public_key, signature, &world.clock, world.scenario.ctx());
}

public fun revoke(world: &mut World, token: &mut SealToken) {
    token.revoke(world.scenario.ctx());
}

public fun revoke_by_governance(world: &World, token: &mut SealToken) {
    token.revoke_by_governance(&world.governance, &world.cap, &world.clock);
}

fun strings(texts: vector<vector<u8>>): vector<std::string::String> {
    let mut strings = vector[];
    let mut i = 0;
    while (i < texts.length()) {
        strings.push_back(texts[i].to_string());
        i = i + 1;
    };
    strings
}

fun take_all(scenario: Scenario, clock: Clock): World {
    let cluster = scenario.take_shared<Cluster>();
    let governance = scenario.take_shared<Governance>();
    let registry = scenario.take_shared<Registry>();
    let names = scenario.take_shared<Names>();
    let cap = scenario.take_from_address<AdminCap>(OPERATOR);
    World { scenario, clock, cluster, governance, registry, names, cap }
}

fun put_back(world: World): (Scenario, Clock) {
    let World { scenario, clock, cluster, governance, registry, names, cap } = world;
    test_scenario::return_shared(cluster);
    test_scenario::return_shared(governance);
    test_scenario::return_shared(registry);
    test_scenario::return_shared(names);
    test_scenario::return_to_address(OPERATOR, cap);
    (scenario, clock)
}
