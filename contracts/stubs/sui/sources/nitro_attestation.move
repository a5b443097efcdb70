module sui::nitro_attestation;

public struct PCREntry has drop {
    index: u8,
    value: vector<u8>,
}

public struct NitroAttestationDocument has drop {
    module_id: vector<u8>,
    timestamp: u64,
    digest: vector<u8>,
    pcrs: vector<PCREntry>,
    public_key: Option<vector<u8>>,
    user_data: Option<vector<u8>>,
    nonce: Option<vector<u8>>,
}

public native fun timestamp(attestation: &NitroAttestationDocument): &u64;
public native fun pcrs(attestation: &NitroAttestationDocument): &vector<PCREntry>;
public native fun public_key(attestation: &NitroAttestationDocument): &Option<vector<u8>>;
public native fun user_data(attestation: &NitroAttestationDocument): &Option<vector<u8>>;
public native fun index(entry: &PCREntry): u8;
public native fun value(entry: &PCREntry): &vector<u8>;
