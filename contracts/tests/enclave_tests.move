/// The keys' seeds are 32 bytes of 1 (a verifier), 2 (the enclave) and 4 (another verifier). The signatures are
/// over the BCS of what `enclave` describes, with the ids that objects have in these scenarios: the cluster is
/// the second object of the first transaction, the enclave the first of the second.
#[test_only]
module k3s_daas::enclave_tests;

use k3s_daas::enclave;
use k3s_daas::intent_message;
use k3s_daas::k8s_gateway;
use k3s_daas::measurement;
use k3s_daas::nitro;
use k3s_daas::world::{Self, World};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;
const VERIFIER: vector<u8> = x"8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
const OTHER_VERIFIER: vector<u8> = x"ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c";
const KEY: vector<u8> = x"8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394";
/// By the verifiers, over the enclave's claims at the start, for an hour.
const CLAIMED: vector<u8> =
    x"d5cbfc87ab8d2a26cc3f810e2fec29f17928569e85fcfcf9b6bbe2bbc95354cfae1a7ca39f301cca19e58d17b82ac6fc9ccbb1981763ab7b34021606064ec90d";
const CLAIMED_TOO: vector<u8> =
    x"920f800b795835ce34ef411e8ebeb8808a99254dc696953ddd590c4f0b93eb22653916fce7b824fe040d734e681825031d270c9b7d6f0e155a89b607219f0202";
/// By the enclave, over the cluster's place at the start and a millisecond later.
const PLACED: vector<u8> =
    x"f42b23dc674c0de3f63af316e2921d78a1925e7a4ce6f70341103cb4905e4bf174db6f68875a2f0b46de2115be2de5df05083526acb7e7babbebc62492bfff06";
const PLACED_LATER: vector<u8> =
    x"a0bc45e2026bc9089fafe06ec99c9996ce15249d18ba416c83c15f9255b7b1deb6437aa33186ca5447d422a499a6b9d0cc3c042c44c5e5261bdd19fd3925690c";
const CA_HASH: vector<u8> = x"0303030303030303030303030303030303030303030303030303030303030303";

fun gateway(): vector<u8> { b"https://a:9345" }

/// A world that trusts one measurement and both verifiers.
fun trusting(threshold: u64): World {
    let mut world = world::begin(true);
    world.allow(b"simulated", vector[b"code"], vector[b"1"]);
    world.set_verifiers(vector[VERIFIER, OTHER_VERIFIER], threshold);
    world
}

fun register(world: &mut World, verifiers: vector<vector<u8>>, signatures: vector<vector<u8>>) {
    let now = world::start_ms();
    world.register(b"simulated", KEY, now + HOUR_MS, now, verifiers, signatures);
}

/// A world with the enclave in good standing.
fun registered(): World {
    let mut world = trusting(2);
    register(&mut world, vector[VERIFIER, OTHER_VERIFIER], vector[CLAIMED, CLAIMED_TOO]);
    world.next(world::operator())
}

fun allow_values(names: vector<vector<u8>>, values: vector<vector<u8>>) {
    let mut world = world::begin(true);
    world.allow(b"simulated", names, values);
    world.end();
}

#[test]
fun an_enclave_says_where_the_cluster_is() {
    let mut world = registered();
    let mut enclave = world.take_enclave();
    world.check_standing(&enclave);
    assert!(enclave.cluster() == object::id(world.cluster()));
    world.set_place(&mut enclave, gateway(), CA_HASH, world::start_ms(), PLACED);
    world.set_place(&mut enclave, gateway(), CA_HASH, world::start_ms() + 1, PLACED_LATER);
    world::share(enclave);
    // Each uses up a statement and changes the place.
    assert!(world.events_of() == 4);
}

#[test, expected_failure(abort_code = enclave::EBadTimestamp)]
fun a_statement_is_not_replayed() {
    let mut world = registered();
    let mut enclave = world.take_enclave();
    world.set_place(&mut enclave, gateway(), CA_HASH, world::start_ms() + 1, PLACED_LATER);
    world.set_place(&mut enclave, gateway(), CA_HASH, world::start_ms(), PLACED);
    world::share(enclave);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EBadTimestamp)]
fun a_statement_is_made_now() {
    let mut world = registered();
    let mut enclave = world.take_enclave();
    world.advance(300_001);
    world.set_place(&mut enclave, gateway(), CA_HASH, world::start_ms(), PLACED);
    world::share(enclave);
    world.end();
}

#[test, expected_failure(abort_code = intent_message::EBadSignature)]
fun a_statement_is_signed_as_it_is() {
    let mut world = registered();
    let mut enclave = world.take_enclave();
    world.set_place(&mut enclave, b"https://b:9345", CA_HASH, world::start_ms(), PLACED);
    world::share(enclave);
    world.end();
}

#[test, expected_failure(abort_code = intent_message::EBadSignature)]
fun a_statement_is_for_one_registration() {
    let mut world = registered();
    register(&mut world, vector[VERIFIER, OTHER_VERIFIER], vector[CLAIMED, CLAIMED_TOO]);
    let first = world.take_enclave();
    world = world.next(world::operator());
    // The first is taken, so this is the second.
    let mut second = world.take_enclave();
    world::share(first);
    world.set_place(&mut second, gateway(), CA_HASH, world::start_ms(), PLACED);
    world::share(second);
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EBadHash)]
fun a_ca_hash_has_32_bytes() {
    let mut world = registered();
    let mut enclave = world.take_enclave();
    world.set_place(&mut enclave, gateway(), b"short", world::start_ms(), PLACED);
    world::share(enclave);
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EBadString)]
fun a_place_is_not_empty() {
    let mut world = registered();
    let mut enclave = world.take_enclave();
    world.set_place(&mut enclave, b"", CA_HASH, world::start_ms(), PLACED);
    world::share(enclave);
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EWrongCluster)]
fun an_enclave_speaks_for_its_cluster() {
    let mut world = registered().with_other(b"cluster");
    let mut enclave = world.take_enclave();
    world.set_place(&mut enclave, gateway(), CA_HASH, world::start_ms(), PLACED);
    world::share(enclave);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EWrongCluster)]
fun an_enclave_is_trusted_by_its_cluster() {
    let world = registered().with_other(b"registry");
    let enclave = world.take_enclave();
    world.check_standing(&enclave);
    world::share(enclave);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EMeasurementNotAllowed)]
fun a_retired_measurement_ends_standing() {
    let mut world = registered();
    let enclave = world.take_enclave();
    world.retire(b"simulated", vector[b"code"], vector[b"1"]);
    world.check_standing(&enclave);
    world::share(enclave);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EExpired)]
fun a_registration_expires() {
    let mut world = registered();
    let enclave = world.take_enclave();
    world.advance(HOUR_MS);
    world.check_standing(&enclave);
    world::share(enclave);
    world.end();
}

#[test, expected_failure(abort_code = intent_message::ETooFewSignatures)]
fun one_of_two_verifiers_is_too_few() {
    let mut world = trusting(2);
    register(&mut world, vector[VERIFIER], vector[CLAIMED]);
    world.end();
}

#[test, expected_failure(abort_code = intent_message::ETooFewSignatures)]
fun a_verifier_counts_once() {
    let mut world = trusting(2);
    register(&mut world, vector[VERIFIER, VERIFIER], vector[CLAIMED, CLAIMED]);
    world.end();
}

#[test, expected_failure(abort_code = intent_message::ETooFewSignatures)]
fun a_stranger_verifies_nothing() {
    let mut world = trusting(1);
    world.set_verifiers(vector[OTHER_VERIFIER], 1);
    register(&mut world, vector[VERIFIER], vector[CLAIMED]);
    world.end();
}

#[test, expected_failure(abort_code = intent_message::EBadSignature)]
fun a_verifier_signs_itself() {
    let mut world = trusting(1);
    register(&mut world, vector[VERIFIER], vector[CLAIMED_TOO]);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EBadKey)]
fun an_enclaves_key_has_32_bytes() {
    let mut world = trusting(1);
    let now = world::start_ms();
    world.register(b"simulated", b"short", now + HOUR_MS, now, vector[VERIFIER], vector[CLAIMED]);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EExpired)]
fun a_registration_ends_within_a_month() {
    let mut world = trusting(1);
    let now = world::start_ms();
    world.register(b"simulated", KEY, now + 30 * DAY_MS + 1, now, vector[VERIFIER], vector[CLAIMED]);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EBadTimestamp)]
fun claims_are_made_now() {
    let mut world = trusting(1);
    let now = world::start_ms();
    world.register(b"simulated", KEY, now + HOUR_MS, now + 300_001, vector[VERIFIER], vector[CLAIMED]);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EMeasurementNotAllowed)]
fun an_unknown_measurement_is_not_registered() {
    let mut world = trusting(1);
    let now = world::start_ms();
    world.register(b"tdx", KEY, now + HOUR_MS, now, vector[VERIFIER], vector[CLAIMED]);
    world.end();
}

#[test, expected_failure(abort_code = enclave::ESimulated)]
fun a_simulated_enclave_is_not_registered_everywhere() {
    let mut world = world::begin(false);
    register(&mut world, vector[VERIFIER], vector[CLAIMED]);
    world.end();
}

#[test, expected_failure(abort_code = enclave::ESimulated)]
fun a_simulated_measurement_is_not_allowed_everywhere() {
    let mut world = world::begin(false);
    world.allow(b"simulated", vector[b"code"], vector[b"1"]);
    world.end();
}

#[test, expected_failure(abort_code = measurement::EUnknownPlatform)]
fun a_platform_has_its_exact_name() {
    let mut world = world::begin(true);
    world.allow(b"Simulated", vector[b"code"], vector[b"1"]);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EAlreadyAllowed)]
fun a_measurement_is_allowed_once() {
    let mut world = trusting(1);
    world.allow(b"simulated", vector[b"code"], vector[b"1"]);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EMeasurementNotAllowed)]
fun only_what_is_allowed_is_retired() {
    let mut world = trusting(1);
    world.retire(b"simulated", vector[b"code"], vector[b"2"]);
    world.end();
}

#[test]
fun names_ascend() {
    allow_values(vector[b"a", b"ab", b"b"], vector[b"1", b"2", b"3"]);
}

#[test, expected_failure(abort_code = measurement::EBadMeasurement)]
fun a_measurement_measures_something() {
    allow_values(vector[], vector[]);
}

#[test, expected_failure(abort_code = measurement::EBadMeasurement)]
fun names_do_not_descend() {
    allow_values(vector[b"b", b"a"], vector[b"1", b"2"]);
}

#[test, expected_failure(abort_code = measurement::EBadMeasurement)]
fun a_name_comes_once() {
    allow_values(vector[b"a", b"a"], vector[b"1", b"2"]);
}

#[test, expected_failure(abort_code = measurement::EBadMeasurement)]
fun every_name_has_a_value() {
    allow_values(vector[b"a", b"b"], vector[b"1"]);
}

#[test, expected_failure(abort_code = enclave::EBadThreshold)]
fun somebody_verifies() {
    let mut world = world::begin(true);
    world.set_verifiers(vector[VERIFIER], 0);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EBadThreshold)]
fun the_threshold_can_be_reached() {
    let mut world = world::begin(true);
    world.set_verifiers(vector[VERIFIER], 2);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EBadKey)]
fun a_verifier_is_listed_once() {
    let mut world = world::begin(true);
    world.set_verifiers(vector[VERIFIER, VERIFIER], 1);
    world.end();
}

#[test, expected_failure(abort_code = enclave::ETooMany)]
fun there_is_a_limit_to_verifiers() {
    let mut world = world::begin(true);
    let mut keys = vector[];
    while (keys.length() < 33) keys.push_back(VERIFIER);
    world.set_verifiers(keys, 1);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EWrongCluster)]
fun another_clusters_registry_is_left_alone() {
    let mut world = world::begin(true).with_other(b"registry");
    world.set_verifiers(vector[VERIFIER], 1);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EWrongVersion)]
fun a_registry_of_another_version_is_left_alone() {
    let mut world = world::begin(true);
    world.registry_mut().set_version_for_testing(2);
    world.set_verifiers(vector[VERIFIER], 1);
    world.end();
}

/// The operator plans to retire the enclave's measurement.
fun plan(world: &mut World, code: vector<u8>, at_ms: u64) {
    let (registry, governance, cap, clock) = world.registry_parts();
    let names = vector[b"code".to_string()];
    registry.plan_retirement(governance, cap, b"simulated".to_string(), names, vector[code], at_ms, clock);
}

#[test]
fun a_measurement_and_its_successor_overlap() {
    let mut world = registered();
    plan(&mut world, b"1", world::start_ms() + 1_000);
    world.allow(b"simulated", vector[b"code"], vector[b"2"]);
    world.advance(999);
    let enclave = world.take_enclave();
    world.check_standing(&enclave);
    world::share(enclave);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EMeasurementNotAllowed)]
fun a_planned_retirement_ends_standing() {
    let mut world = registered();
    plan(&mut world, b"1", world::start_ms() + 1_000);
    world.advance(1_000);
    let enclave = world.take_enclave();
    world.check_standing(&enclave);
    world::share(enclave);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EMeasurementNotAllowed)]
fun only_what_is_allowed_has_a_retirement() {
    let mut world = registered();
    plan(&mut world, b"2", world::start_ms() + 1_000);
    world.end();
}

#[test, expected_failure(abort_code = enclave::ERetiredBefore)]
fun a_retirement_is_planned_ahead() {
    let mut world = registered();
    plan(&mut world, b"1", world::start_ms());
    world.end();
}

#[test, expected_failure(abort_code = enclave::EExpired)]
fun a_revoked_enclave_has_no_standing() {
    let mut world = registered();
    let mut enclave = world.take_enclave();
    let (_, governance, _, cap, clock, _) = world.parts();
    enclave.revoke_enclave(governance, cap, clock);
    world.check_standing(&enclave);
    world::share(enclave);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EWrongCluster)]
fun another_clusters_governance_revokes_nothing() {
    let mut world = registered().with_other(b"governance");
    let mut enclave = world.take_enclave();
    let (_, governance, _, cap, clock, _) = world.parts();
    enclave.revoke_enclave(governance, cap, clock);
    world::share(enclave);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EWrongVersion)]
fun an_enclave_of_another_version_does_not_stand() {
    let world = registered();
    let mut enclave = world.take_enclave();
    enclave.set_enclave_version_for_testing(0);
    world.check_standing(&enclave);
    world::share(enclave);
    world.end();
}

#[test]
fun registry_and_enclave_are_migrated() {
    let mut world = registered();
    let mut enclave = world.take_enclave();
    enclave.set_enclave_version_for_testing(0);
    let (registry, governance, _, _) = world.registry_parts();
    registry.set_version_for_testing(0);
    registry.migrate_registry(governance);
    enclave.migrate_enclave(governance);
    world.check_standing(&enclave);
    world::share(enclave);
    assert!(world.events_of() == 2);
}

fun pcr(byte: u8): vector<u8> {
    let mut bytes = vector[];
    while (bytes.length() < 48) bytes.push_back(byte);
    bytes
}

/// A world that trusts a Nitro image.
fun trusting_nitro(): World {
    let mut world = world::begin(false);
    world.allow(b"nitro", vector[b"pcr0", b"pcr1", b"pcr2"], vector[pcr(1), pcr(2), pcr(3)]);
    world
}

/// Registers by what a document of Nitro says, whose signatures `0x2::nitro_attestation` has checked.
fun register_document(
    world: &mut World,
    first_pcr: vector<u8>,
    key: Option<vector<u8>>,
    user_data: Option<vector<u8>>,
    timestamp_ms: u64,
) {
    let (_, _, registry, _, clock, ctx) = world.parts();
    let expires_ms = clock.timestamp_ms() + HOUR_MS;
    let pcrs = vector[first_pcr, pcr(2), pcr(3)];
    registry.register_document(pcrs, key, user_data, timestamp_ms, expires_ms, clock, ctx);
}

fun cluster_bytes(world: &World): Option<vector<u8>> {
    option::some(object::id(world.cluster()).to_bytes())
}

#[test]
fun a_nitro_enclave_is_registered_by_its_document() {
    let mut world = trusting_nitro();
    let user_data = cluster_bytes(&world);
    register_document(&mut world, pcr(1), option::some(KEY), user_data, world::start_ms());
    world = world.next(world::operator());
    let enclave = world.take_enclave();
    world.check_standing(&enclave);
    world::share(enclave);
    world.end();
}

#[test, expected_failure(abort_code = nitro::EDebugMode)]
fun a_nitro_enclave_in_debug_mode_is_refused() {
    let mut world = trusting_nitro();
    let user_data = cluster_bytes(&world);
    register_document(&mut world, pcr(0), option::some(KEY), user_data, world::start_ms());
    world.end();
}

#[test, expected_failure(abort_code = enclave::EWrongUserData)]
fun a_nitro_document_is_for_one_cluster() {
    let mut world = trusting_nitro();
    register_document(&mut world, pcr(1), option::some(KEY), option::none(), world::start_ms());
    world.end();
}

#[test, expected_failure(abort_code = enclave::EBadKey)]
fun a_nitro_document_has_the_enclaves_key() {
    let mut world = trusting_nitro();
    let user_data = cluster_bytes(&world);
    register_document(&mut world, pcr(1), option::none(), user_data, world::start_ms());
    world.end();
}

#[test, expected_failure(abort_code = enclave::EMeasurementNotAllowed)]
fun a_nitro_image_is_allowed_first() {
    let mut world = trusting_nitro();
    let user_data = cluster_bytes(&world);
    register_document(&mut world, pcr(9), option::some(KEY), user_data, world::start_ms());
    world.end();
}

#[test, expected_failure(abort_code = enclave::EBadTimestamp)]
fun a_nitro_document_is_of_now() {
    let mut world = trusting_nitro();
    let user_data = cluster_bytes(&world);
    register_document(&mut world, pcr(1), option::some(KEY), user_data, world::start_ms() - 300_001);
    world.end();
}
