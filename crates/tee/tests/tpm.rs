//! The life of a machine with a TPM, on a real TPM 2.0 in software.

#![allow(clippy::unwrap_used, reason = "a step that fails is a failed test")]

#[path = "support/swtpm.rs"]
mod swtpm;

use std::path::Path;

use swtpm::SoftwareTpm;
use tee::{
    Anchors, Claims, ClusterSecret, Collateral, Evidence, KeyPolicy, Material, Measurements, Platform,
    PlatformKind, Policy, Refusals, TeeError, TpmConfig, TpmError, TpmPlatform, Verifier, measure_bytes,
    read_material, sealed_file::SealedError,
};

fn open(tpm: &SoftwareTpm, dir: &Path, code: &[u8]) -> Result<TpmPlatform, TeeError> {
    TpmPlatform::open(&TpmConfig::new(tpm.address.clone()), dir, &measure_bytes(code))
}

fn key(platform: &TpmPlatform) -> Result<[u8; 32], TeeError> {
    platform.sealing_key(KeyPolicy::Measurement).map(|key| *key.derive("test", b"").as_bytes())
}

#[test]
fn the_key_is_there_again_after_a_restart_of_the_machine_with_the_same_code() {
    let dir = tempfile::tempdir().unwrap();
    let (chip, state) = (dir.path().join("chip"), dir.path().join("state"));
    let first = {
        let tpm = SoftwareTpm::power_on(&chip);
        key(&open(&tpm, &state, b"version 1").unwrap()).unwrap()
    };
    let tpm = SoftwareTpm::power_on(&chip);
    let platform = open(&tpm, &state, b"version 1").unwrap();
    assert_eq!(key(&platform).unwrap(), first);
    drop(platform);
    // A restart of the program alone: the register already holds its measurement.
    assert_eq!(key(&open(&tpm, &state, b"version 1").unwrap()).unwrap(), first);
}

#[test]
fn other_code_does_not_pass_for_ours_until_the_machine_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let tpm = SoftwareTpm::power_on(&dir.path().join("chip"));
    open(&tpm, dir.path(), b"version 1").unwrap();
    let refused = open(&tpm, dir.path(), b"something else").map(drop).unwrap_err();
    let TeeError::Tpm(TpmError::MeasuredOtherwise { pcr: 14, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(refused.to_string().contains("restart the machine"), "{refused}");
}

#[test]
fn a_changed_file_is_refused_the_key_and_a_hand_over_gives_it() {
    let dir = tempfile::tempdir().unwrap();
    let (chip, state) = (dir.path().join("chip"), dir.path().join("state"));
    let first = {
        let tpm = SoftwareTpm::power_on(&chip);
        key(&open(&tpm, &state, b"version 1").unwrap()).unwrap()
    };
    {
        let tpm = SoftwareTpm::power_on(&chip);
        let changed = open(&tpm, &state, b"version 2").unwrap();
        let refused = key(&changed).unwrap_err();
        assert!(matches!(refused, TeeError::SealedToOther { .. }), "{refused:?}");
        // Refused again: it was not replaced by a new key.
        assert!(key(&changed).is_err());
    }
    {
        let tpm = SoftwareTpm::power_on(&chip);
        let old = open(&tpm, &state, b"version 1").unwrap();
        old.hand_over(&measure_bytes(b"version 2"), &dir.path().join("next")).unwrap();
    }
    let tpm = SoftwareTpm::power_on(&chip);
    let upgraded = open(&tpm, &dir.path().join("next"), b"version 2").unwrap();
    assert_eq!(key(&upgraded).unwrap(), first);
}

#[test]
fn beside_the_running_build_the_next_one_gets_the_key_and_until_then_nothing_changes() {
    let dir = tempfile::tempdir().unwrap();
    let (chip, state) = (dir.path().join("chip"), dir.path().join("state"));
    let measured = |code: &[u8]| Measurements::from([("code".to_owned(), measure_bytes(code).to_vec())]);
    let (first, foretold) = {
        let tpm = SoftwareTpm::power_on(&chip);
        let old: &dyn Platform = &open(&tpm, &state, b"version 1").unwrap();
        let first = old.sealing_key(KeyPolicy::Measurement).unwrap().derive("test", b"");
        old.hand_over_to(&measured(b"version 2")).unwrap();
        (*first.as_bytes(), old.measurement_of(&measured(b"version 2")).unwrap())
    };
    {
        // The upgrade is put off: the old build starts once more.
        let tpm = SoftwareTpm::power_on(&chip);
        assert_eq!(key(&open(&tpm, &state, b"version 1").unwrap()).unwrap(), first);
    }
    {
        let tpm = SoftwareTpm::power_on(&chip);
        let other = open(&tpm, &state, b"version 3").unwrap();
        assert!(matches!(key(&other).unwrap_err(), TeeError::SealedToOther { .. }));
    }
    for _ in 0..2 {
        let tpm = SoftwareTpm::power_on(&chip);
        let upgraded = open(&tpm, &state, b"version 2").unwrap();
        assert_eq!(upgraded.measurement(), foretold);
        assert_eq!(key(&upgraded).unwrap(), first);
    }
}

#[test]
fn a_copied_state_directory_does_not_open_on_another_machine() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let ours = SoftwareTpm::power_on(&dir.path().join("chip"));
    key(&open(&ours, &state, b"version 1").unwrap()).unwrap();
    let theirs = SoftwareTpm::power_on(&dir.path().join("other chip"));
    let refused = key(&open(&theirs, &state, b"version 1").unwrap()).unwrap_err();
    assert!(matches!(refused, TeeError::SealedElsewhere { .. }), "{refused:?}");
    assert!(refused.to_string().contains("another TPM"), "{refused}");
}

/// Opens the cluster's secret in a state directory, as a master's start does.
fn secret(tpm: &SoftwareTpm, state: &Path, code: &[u8]) -> Result<Option<ClusterSecret>, TeeError> {
    let local = open(tpm, state, code)?.sealing_key(KeyPolicy::Measurement)?;
    ClusterSecret::read(&state.join("cluster.secret"), &local)
}

#[test]
fn the_clusters_secret_opens_on_its_own_machine_under_allowed_code_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let (chip, state) = (dir.path().join("chip"), dir.path().join("state"));
    let made = ClusterSecret::generate().unwrap();
    {
        let tpm = SoftwareTpm::power_on(&chip);
        let ours = open(&tpm, &state, b"version 1").unwrap();
        made.write(&state.join("cluster.secret"), &ours.sealing_key(KeyPolicy::Measurement).unwrap())
            .unwrap();
        ours.hand_over_to(&Measurements::from([("code".to_owned(), measure_bytes(b"version 2").to_vec())]))
            .unwrap();
    }
    let files = ["cluster.secret", "tpm-sealed.key", "tpm-handed-over.key"];
    let copied = |to: &str, files: &[&str]| {
        let to = dir.path().join(to);
        std::fs::create_dir(&to).unwrap();
        for file in files {
            std::fs::copy(state.join(file), to.join(file)).unwrap();
        }
        to
    };
    {
        // The whole copy, on another machine with the same code: its chip does not know the key.
        let theirs = SoftwareTpm::power_on(&dir.path().join("other chip"));
        let refused = secret(&theirs, &copied("whole", &files), b"version 1").unwrap_err();
        assert!(matches!(refused, TeeError::SealedElsewhere { .. }), "{refused:?}");
        // Without what the chip sealed it makes a key of its own, under which nothing opens.
        let refused = secret(&theirs, &copied("part", &files[..1]), b"version 1").unwrap_err();
        let wrong = matches!(refused, TeeError::Sealed { source: SealedError::WrongKey, .. });
        assert!(wrong, "{refused:?}");
    }
    {
        // The right machine, and code that nobody handed over to.
        let tpm = SoftwareTpm::power_on(&chip);
        let refused = secret(&tpm, &state, b"version 3").unwrap_err();
        assert!(matches!(refused, TeeError::SealedToOther { .. }), "{refused:?}");
    }
    for code in [b"version 1", b"version 2"] {
        // A copy on the right machine is as good as the original: what keeps an old one out is the anchor on chain.
        for state in [&state, &copied(std::str::from_utf8(code).unwrap(), &files)] {
            let tpm = SoftwareTpm::power_on(&chip);
            let opened = secret(&tpm, state, code).unwrap().unwrap();
            assert_eq!(opened.commitment(), made.commitment());
        }
    }
}

#[test]
fn a_damaged_sealed_object_is_refused_in_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    let tpm = SoftwareTpm::power_on(&dir.path().join("chip"));
    let platform = open(&tpm, dir.path(), b"version 1").unwrap();
    key(&platform).unwrap();
    let path = dir.path().join("tpm-sealed.key");
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert!(key(&platform).is_err(), "byte {at}");
        std::fs::write(&path, &whole[..at]).unwrap();
        assert!(matches!(key(&platform), Err(TeeError::Tpm(TpmError::SealedObject))), "cut at {at}");
    }
    std::fs::write(&path, &whole).unwrap();
    key(&platform).unwrap();
}

#[test]
fn a_signer_is_nothing_that_a_tpm_knows() {
    let dir = tempfile::tempdir().unwrap();
    let tpm = SoftwareTpm::power_on(&dir.path().join("chip"));
    let platform = open(&tpm, dir.path(), b"version 1").unwrap();
    let refused = platform.sealing_key(KeyPolicy::Signer).map(drop).unwrap_err();
    assert!(refused.to_string().contains("hand the key over"), "{refused}");
}

#[test]
fn no_tpm_is_one_clear_error() {
    let config = TpmConfig::new(tee::TpmAddress::Device("/nonexistent/tpmrm0".into()));
    let refused = TpmPlatform::open(&config, Path::new("/tmp"), &[0; 48]).map(drop).unwrap_err();
    assert!(refused.to_string().contains("cannot reach the TPM"), "{refused}");
}

fn verify(
    tpm: &TpmPlatform,
    evidence: &Evidence,
    trusted: &[u8],
    report_data: &[u8; 64],
) -> Result<Claims, Refusals> {
    let mut anchors = Anchors::default();
    for item in read_material(trusted).unwrap() {
        let Material::Key(key) = item else { panic!("{item:?}") };
        anchors.keys.push(key);
    }
    let policy = Policy { allowed: vec![(PlatformKind::Tpm, tpm.measurement())], ..Policy::default() };
    let verifier = Verifier { anchors: &anchors, collateral: &Collateral::default(), now_ms: 1_000 };
    verifier.verify(evidence, &policy, Some(report_data))
}

#[test]
fn a_quote_verifies_with_the_pinned_key_and_for_its_nonce_only() {
    let dir = tempfile::tempdir().unwrap();
    let tpm = SoftwareTpm::power_on(&dir.path().join("chip"));
    let platform = open(&tpm, dir.path(), b"version 1").unwrap();
    let evidence = platform.attest(&[7; 64], 1_000).unwrap();
    let evidence = Evidence::decode(&evidence.encode()).unwrap();
    let pinned = platform.attestation_key();

    let claims = verify(&platform, &evidence, pinned, &[7; 64]).unwrap();
    assert_eq!(claims.measurements, platform.measurement());

    let refused = verify(&platform, &evidence, pinned, &[8; 64]).unwrap_err().to_string();
    assert!(refused.contains("report data"), "{refused}");

    let other = SoftwareTpm::power_on(&dir.path().join("other chip"));
    let stranger = open(&other, &dir.path().join("other"), b"version 1").unwrap();
    let refused = verify(&platform, &evidence, stranger.attestation_key(), &[7; 64]).unwrap_err();
    assert!(!refused.to_string().is_empty());
    // The same registers, but nobody pinned the machine that quotes them.
    let forged = stranger.attest(&[7; 64], 1_000).unwrap();
    verify(&platform, &forged, pinned, &[7; 64]).unwrap_err();
}

#[test]
fn other_code_quotes_another_register() {
    let dir = tempfile::tempdir().unwrap();
    let chip = dir.path().join("chip");
    let expected = {
        let tpm = SoftwareTpm::power_on(&chip);
        open(&tpm, dir.path(), b"version 1").unwrap()
    };
    let tpm = SoftwareTpm::power_on(&chip);
    let changed = open(&tpm, dir.path(), b"version 2").unwrap();
    let evidence = changed.attest(&[7; 64], 1_000).unwrap();
    let refused = verify(&expected, &evidence, expected.attestation_key(), &[7; 64]).unwrap_err().to_string();
    assert!(refused.contains("pcr14"), "{refused}");
}
