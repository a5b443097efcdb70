/// The form of what enclaves and verifiers sign, and whether enough of them did.
module k3s_daas::intent_message;

use std::bcs;
use sui::ed25519;

/// Fewer distinct registered verifiers signed than the threshold demands.
const ETooFewSignatures: u64 = 1;
/// A signature does not fit the key.
const EBadSignature: u64 = 2;

/// A statement may be this much older or younger than the chain's clock: 5 minutes.
const MAX_DRIFT_MS: u64 = 300_000;

/// The form of everything that a key of ours signs.
public struct IntentMessage<T: drop> has copy, drop {
    intent: u8,
    timestamp_ms: u64,
    payload: T,
}

/// The bytes that are signed.
public(package) fun encode<T: drop>(intent: u8, timestamp_ms: u64, payload: T): vector<u8> {
    bcs::to_bytes(&IntentMessage { intent, timestamp_ms, payload })
}

/// Whether a statement of this time may be one of now.
public(package) fun near(timestamp_ms: u64, now: u64): bool {
    timestamp_ms <= now + MAX_DRIFT_MS && now <= timestamp_ms + MAX_DRIFT_MS
}

/// Aborts unless the key signed the message.
public(package) fun check(signature: &vector<u8>, public_key: &vector<u8>, message: &vector<u8>) {
    assert!(ed25519::ed25519_verify(signature, public_key, message), EBadSignature);
}

/// Aborts unless at least `threshold` of the keys that are `known` signed the message: `keys[i]` with
/// `signatures[i]`, each key once.
public(package) fun check_quorum(
    known: &vector<vector<u8>>,
    threshold: u64,
    message: &vector<u8>,
    keys: &vector<vector<u8>>,
    signatures: &vector<vector<u8>>,
) {
    let count = keys.length();
    assert!(count == signatures.length() && count >= threshold, ETooFewSignatures);
    let mut i = 0;
    while (i < count) {
        let key = &keys[i];
        assert!(known.contains(key), ETooFewSignatures);
        let (_, first) = keys.index_of(key);
        assert!(first == i, ETooFewSignatures);
        check(&signatures[i], key, message);
        i = i + 1;
    };
}
