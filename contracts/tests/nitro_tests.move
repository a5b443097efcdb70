#[test_only]
module k3s_daas::nitro_tests;

use k3s_daas::world;
use sui::nitro_attestation;

/// The chain does not load what is no attestation document, so it never gets to `register_nitro`. What that does
/// with the fields of a document is in `enclave_tests`.
#[test, expected_failure]
fun a_document_is_verified_by_the_chain() {
    let mut world = world::begin(false);
    let (_, _, registry, _, clock, ctx) = world.parts();
    let document = nitro_attestation::load_nitro_attestation(b"no document", clock);
    registry.register_nitro(document, world::start_ms() + 1, clock, ctx);
    world.end();
}
