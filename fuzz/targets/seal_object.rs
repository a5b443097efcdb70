//! What lies on chain as sealed to key servers of Seal, and what key servers say.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use tee::custody::seal::{EncryptedObject, IdentityKey, ReplyKey, ServerKey};

/// G1's generator, compressed: a key that fits nothing.
const GENERATOR: &str =
    "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";

fuzz_target!(|data: &[u8]| {
    if let Ok(object) = EncryptedObject::decode(data) {
        assert_eq!(object.encode(), data);
        let bytes: Vec<u8> =
            (0..48).map(|at| u8::from_str_radix(&GENERATOR[2 * at..2 * at + 2], 16).unwrap()).collect();
        let key = IdentityKey::from_bytes(&bytes).unwrap();
        let keys: BTreeMap<_, _> = (0..object.threshold()).map(|at| (at, key.clone())).collect();
        assert!(object.open(&keys).is_err());
    }
    let _ = ServerKey::from_bytes(data);
    let half = data.len() / 2;
    let _ = ReplyKey::generate().unwrap().open([&data[..half], &data[half..]]);
});
