//! What evidence of the simulated platform passes, and that every violated clause is named.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use tee::{
    Evidence, KeyPolicy, Platform, PlatformKind, Policy, Refusal, Refusals, SimulatedPlatform, TeeError,
};

const NOW: u64 = 1_700_000_000_000;

fn platform(code: &[u8]) -> (tempfile::TempDir, SimulatedPlatform) {
    let dir = tempfile::tempdir().unwrap();
    let platform = SimulatedPlatform::open(dir.path(), &tee::measure_bytes(code)).unwrap();
    (dir, platform)
}

fn policy(platform: &SimulatedPlatform) -> Policy {
    Policy {
        allowed: vec![(PlatformKind::Simulated, platform.measurement())],
        allow_simulated: true,
        ..Policy::default()
    }
}

fn refusals(result: Result<tee::Claims, Refusals>) -> Vec<Refusal> {
    result.unwrap_err().iter().cloned().collect()
}

#[test]
fn good_evidence_gives_its_claims() {
    let (_dir, platform) = platform(b"good");
    let evidence = platform.attest(&[7; 64], NOW).unwrap();
    let decoded = Evidence::decode(&evidence.encode()).unwrap();
    let claims = tee::verify(&decoded, &policy(&platform), &[7; 64], NOW + 1).unwrap();
    assert!(claims.simulated);
    assert_eq!(claims.platform, PlatformKind::Simulated);
    assert_eq!(claims.measurements, platform.measurement());
    assert_eq!(claims.timestamp_ms, Some(NOW));
    assert_eq!(claims.report_data, [7; 64]);
    assert_eq!(claims.signers.len(), 1);
}

#[test]
fn each_clause_alone_is_named() {
    let (_dir, platform) = platform(b"good");
    let evidence = platform.attest(&[7; 64], NOW).unwrap();
    let good = policy(&platform);
    let check = |policy: &Policy, report_data: u8, now| {
        refusals(tee::verify(&evidence, policy, &[report_data; 64], now))
    };

    let strict = Policy { allow_simulated: false, ..good.clone() };
    assert_eq!(check(&strict, 7, NOW), [Refusal::Simulated]);

    let tdx_only = Policy { allowed: vec![(PlatformKind::Tdx, platform.measurement())], ..good.clone() };
    let not_allowed = Refusal::PlatformNotAllowed { platform: PlatformKind::Simulated };
    assert_eq!(check(&tdx_only, 7, NOW), std::slice::from_ref(&not_allowed));

    let names_nothing = Policy { allowed: vec![(PlatformKind::Simulated, BTreeMap::new())], ..good.clone() };
    assert_eq!(check(&names_nothing, 7, NOW), [not_allowed]);

    let [Refusal::ReportData { expected, actual }] = &check(&good, 8, NOW)[..] else { panic!() };
    assert_eq!((expected, actual), (&"08".repeat(64), &"07".repeat(64)));

    assert_eq!(check(&good, 7, NOW + 300_001), [Refusal::TooOld { age_ms: 300_001, max_age_ms: 300_000 }]);
    assert_eq!(check(&good, 7, NOW - 60_001), [Refusal::FromTheFuture { ahead_ms: 60_001 }]);
    assert!(tee::verify(&evidence, &good, &[7; 64], NOW - 60_000).is_ok());
}

#[test]
fn a_measurement_mismatch_names_the_closest_entry() {
    let (_dir, platform) = platform(b"actual");
    let evidence = platform.attest(&[7; 64], NOW).unwrap();
    let expected = tee::measure_bytes(b"expected");
    let far = BTreeMap::from([("code".to_owned(), vec![0; 48]), ("firmware".to_owned(), vec![1; 48])]);
    let near = BTreeMap::from([("code".to_owned(), expected.to_vec())]);
    let policy = Policy {
        allowed: vec![(PlatformKind::Simulated, far.clone()), (PlatformKind::Simulated, near)],
        ..policy(&platform)
    };
    let error = tee::verify(&evidence, &policy, &[7; 64], NOW).unwrap_err();
    let actual = tee::measure_bytes(b"actual");
    assert_eq!(
        error.to_string(),
        format!(
            "measurement \"code\" differs: expected {}, actual {}",
            hex::encode(expected),
            hex::encode(actual)
        )
    );

    let policy = Policy { allowed: vec![(PlatformKind::Simulated, far)], ..policy };
    let both = refusals(tee::verify(&evidence, &policy, &[7; 64], NOW));
    assert!(
        matches!(&both[..], [Refusal::Measurement { name: code, .. }, Refusal::Measurement { name, actual, .. }]
            if code == "code" && name == "firmware" && actual == "none"),
        "{both:?}"
    );
}

#[test]
fn all_violated_clauses_come_together() {
    let (_dir, platform) = platform(b"good");
    let evidence = platform.attest(&[7; 64], NOW).unwrap();
    let wrong = BTreeMap::from([("code".to_owned(), vec![0; 48])]);
    let policy = Policy { allowed: vec![(PlatformKind::Simulated, wrong)], ..Policy::default() };
    let all = refusals(tee::verify(&evidence, &policy, &[8; 64], NOW + 400_000));
    assert!(
        matches!(
            &all[..],
            [
                Refusal::Simulated,
                Refusal::Measurement { .. },
                Refusal::ReportData { .. },
                Refusal::TooOld { .. }
            ]
        ),
        "{all:?}"
    );
}

#[test]
fn root_secret_is_private_stable_and_guarded() {
    let (dir, first) = platform(b"one");
    let file = dir.path().join("simulated-tee.root");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let key = |platform: &SimulatedPlatform, policy| {
        *platform.sealing_key(policy).unwrap().derive("p", b"").as_bytes()
    };
    let again = SimulatedPlatform::open(dir.path(), &tee::measure_bytes(b"one")).unwrap();
    let next = SimulatedPlatform::open(dir.path(), &tee::measure_bytes(b"two")).unwrap();
    let (_other_dir, other) = platform(b"one");
    for policy in [KeyPolicy::Measurement, KeyPolicy::Signer] {
        assert_eq!(key(&first, policy), key(&again, policy));
        assert_ne!(key(&first, policy), key(&other, policy));
    }
    assert_ne!(key(&first, KeyPolicy::Measurement), key(&next, KeyPolicy::Measurement));
    assert_eq!(key(&first, KeyPolicy::Signer), key(&next, KeyPolicy::Signer));
    assert_ne!(key(&first, KeyPolicy::Measurement), key(&first, KeyPolicy::Signer));

    let reopen = || SimulatedPlatform::open(dir.path(), &[0; 48]).map(|_| ()).unwrap_err().to_string();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(reopen().contains("chmod 600"), "{}", reopen());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&file, [1; 31]).unwrap();
    assert!(reopen().contains("not a root secret of 32 bytes"), "{}", reopen());
    let error = SimulatedPlatform::open(dir.path(), b"code itself").map(|_| ()).unwrap_err();
    assert!(matches!(error, TeeError::MeasurementLength { length: 11 }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// A flipped bit either breaks the encoding or a clause; never does changed evidence pass.
    #[test]
    fn any_flipped_bit_is_refused(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let (_dir, platform) = platform(b"good");
        let evidence = platform.attest(&[7; 64], NOW).unwrap();
        let mut bytes = evidence.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(changed) = Evidence::decode(&bytes) {
            prop_assert_ne!(&changed, &evidence);
            prop_assert!(tee::verify(&changed, &policy(&platform), &[7; 64], NOW).is_err());
        }
    }

    #[test]
    fn only_the_same_report_data_passes(ours in any::<[u8; 32]>(), theirs in any::<[u8; 32]>(), late in 0u64..400_000) {
        let (_dir, platform) = platform(b"good");
        let (a, b) = (tee::report_data(&ours, &[1; 32], &[2; 32]), tee::report_data(&theirs, &[1; 32], &[2; 32]));
        let evidence = platform.attest(&a, NOW).unwrap();
        let passes = tee::verify(&evidence, &policy(&platform), &b, NOW + late).is_ok();
        prop_assert_eq!(passes, ours == theirs && late <= 300_000);
        prop_assert!(late > 300_000 || tee::verify(&evidence, &policy(&platform), &a, NOW + late).is_ok());
    }
}
