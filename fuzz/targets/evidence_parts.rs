//! Parts that come beside the main one: a TPM's signature, registers, public area and event log, a host's certificate table,
//! certificates and keys in files, collateral. The input is our envelope, or one of these files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tee::{Anchors, Collateral, Evidence, Policy, Verifier};

fuzz_target!(|data: &[u8]| {
    let _ = tee::read_material(data);
    let collateral = Collateral::from_json(data).unwrap_or_default();
    if let Ok(evidence) = Evidence::decode(data) {
        assert_eq!(evidence.encode(), data);
        let verifier =
            Verifier { anchors: &Anchors::default(), collateral: &collateral, now_ms: 1_700_000_000_000 };
        let _ = verifier.verify(&evidence, &Policy::genuine(), Some(&[0; 64]));
    }
});
