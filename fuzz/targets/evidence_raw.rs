//! Evidence by a stranger: the first byte chooses the platform, the rest is the evidence as the platform gives it out.
//! Verified with no collateral, and asked for what has to be fetched for it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tee::{Anchors, Collateral, Evidence, PlatformKind, Policy, Verifier};

fuzz_target!(|data: &[u8]| {
    let Some((&first, bytes)) = data.split_first() else { return };
    let platform = PlatformKind::ALL[usize::from(first) % PlatformKind::ALL.len()];
    let Ok(evidence) = Evidence::from_raw(platform, bytes) else { return };
    let verifier = Verifier {
        anchors: &Anchors::default(),
        collateral: &Collateral::default(),
        now_ms: 1_700_000_000_000,
    };
    if platform != PlatformKind::Nitro {
        // Nobody fuzzes a signature: only recorded documents could pass, and they are of another time.
        assert!(verifier.verify(&evidence, &Policy::genuine(), None).is_err());
    }
    let _ = tee::collateral_requests(&evidence);
});
