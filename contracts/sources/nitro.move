/// What a Nitro attestation document says of the code that runs: registers 0, 1 and 2 of image, kernel and
/// application.
module k3s_daas::nitro;

use k3s_daas::measurement::{Self, Measurement};
use sui::nitro_attestation::NitroAttestationDocument;

/// The Nitro document is of an enclave in debug mode: a register that measures its code is zero or missing.
const EDebugMode: u64 = 1;

/// Registers that measure the code.
const PCRS: u8 = 3;

/// The registers that measure the code; one that the document does not have is empty.
public(package) fun registers(document: &NitroAttestationDocument): vector<vector<u8>> {
    let mut values = vector[];
    let mut wanted = 0;
    while (wanted < PCRS) {
        values.push_back(register(document, wanted));
        wanted = wanted + 1;
    };
    values
}

/// The measurement that these registers are.
public(package) fun measured(registers: vector<vector<u8>>): Measurement {
    let mut i = 0;
    while (i < registers.length()) {
        assert!(!is_zero(&registers[i]), EDebugMode);
        i = i + 1;
    };
    let names = vector[b"pcr0".to_string(), b"pcr1".to_string(), b"pcr2".to_string()];
    measurement::new(b"nitro".to_string(), names, registers)
}

fun register(document: &NitroAttestationDocument, index: u8): vector<u8> {
    let pcrs = document.pcrs();
    let mut i = 0;
    while (i < pcrs.length()) {
        if (pcrs[i].index() == index) return *pcrs[i].value();
        i = i + 1;
    };
    vector[]
}

/// Whether there is no other byte than zero.
fun is_zero(bytes: &vector<u8>): bool {
    let mut i = 0;
    while (i < bytes.length()) {
        if (bytes[i] != 0) return false;
        i = i + 1;
    };
    true
}
