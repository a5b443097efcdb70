// Written by hand for `tools/test.mjs`: what our contracts and their tests use of the framework's module of this name, no more.
module sui::nitro_attestation;

use sui::clock::Clock;

public struct PCREntry has drop { index: u8, value: vector<u8> }

#[allow(unused_field)]
public struct NitroAttestationDocument has drop {
    module_id: vector<u8>,
    timestamp: u64,
    digest: vector<u8>,
    pcrs: vector<PCREntry>,
    public_key: Option<vector<u8>>,
    user_data: Option<vector<u8>>,
    nonce: Option<vector<u8>>,
}

entry fun load_nitro_attestation(attestation: vector<u8>, clock: &Clock): NitroAttestationDocument {
    load_nitro_attestation_internal(&attestation, clock.timestamp_ms())
}

public fun timestamp(a: &NitroAttestationDocument): &u64 { &a.timestamp }

public fun pcrs(a: &NitroAttestationDocument): &vector<PCREntry> { &a.pcrs }

public fun public_key(a: &NitroAttestationDocument): &Option<vector<u8>> { &a.public_key }

public fun user_data(a: &NitroAttestationDocument): &Option<vector<u8>> { &a.user_data }

public fun index(e: &PCREntry): u8 { e.index }

public fun value(e: &PCREntry): &vector<u8> { &e.value }

native fun load_nitro_attestation_internal(
    attestation: &vector<u8>,
    current_timestamp: u64,
): NitroAttestationDocument;
