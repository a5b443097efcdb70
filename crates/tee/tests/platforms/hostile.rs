//! Evidence by somebody who wants to crash or stall the verifier.

use proptest::prelude::*;
use tee::{Evidence, MAX_EVIDENCE_BYTES, PlatformKind, Policy, read_material};

use crate::cases::{self, Case};
use crate::cost::quick;
use crate::issued::{arm, snp, tpm};

#[test]
fn ten_megabytes_are_refused_unread() {
    for byte in [0x00, b'A', 0x84, 0x9f, 0xd9, b'[', 0xff] {
        let large = vec![byte; 10 << 20];
        assert!(quick("decode", || Evidence::decode(&large)).is_err());
        assert!(quick("read_material", || read_material(&large)).is_err());
        for platform in PlatformKind::ALL {
            assert!(quick("from_raw", || Evidence::from_raw(platform, &large)).is_err());
        }
    }
}

#[test]
fn the_largest_evidence_that_is_read_is_refused_in_time() {
    let cases = [
        cases::sgx(),
        cases::tdx(),
        cases::snp(),
        cases::nitro(),
        cases::cca_02(),
        arm::psa("PSA", arm::SECURED),
    ];
    // CBOR that never ends, that nests, that is an array of millions of nothings, that claims more than there is.
    let fillings: [&[u8]; 6] =
        [&[0x9f], &[0x81], &[0x01], &[0xbf, 0x00], &[0x5b, 0xff, 0xff], &[0xd2, 0x84, 0x40, 0xa0]];
    for case in cases {
        for filling in fillings {
            let mut raw = case.raw().to_vec();
            raw.extend(filling.iter().cycle().take(MAX_EVIDENCE_BYTES - raw.len()));
            let longer = case.with_raw(raw);
            assert!(quick(case.name, || case.verify_as(&longer, None)).is_err());
            let nothing_else: Vec<u8> = filling.iter().copied().cycle().take(MAX_EVIDENCE_BYTES).collect();
            let nothing_else = case.with_raw(nothing_else);
            assert!(quick(case.name, || case.verify_as(&nothing_else, None)).is_err());
        }
    }
}

#[test]
fn a_log_of_empty_events_ends() {
    let mut machine = tpm::Machine::boot(&[]);
    while machine.log.len() < MAX_EVIDENCE_BYTES {
        machine.log.extend(tpm::event(0, 3, &[0; 32], &[]));
    }
    let case = machine.case("TPM");
    quick("event log", || case.verify()).unwrap();
}

/// One of each platform, recorded or issued.
fn one_of_each() -> Vec<(Case, Vec<&'static str>)> {
    let machine = tpm::Machine::boot(&[(0, b"firmware"), (14, b"k3s-daas")]);
    vec![
        (cases::sgx(), vec!["quote"]),
        (cases::tdx(), vec!["quote"]),
        (cases::tdx_15(), vec!["quote"]),
        (cases::snp(), vec!["report"]),
        (snp::issue("SNP", &snp::Wanted::default()).case, vec!["report"]),
        (cases::nitro(), vec!["document"]),
        (cases::cca_01(), vec!["token"]),
        (arm::cca("CCA", arm::SECURED, false), vec!["token"]),
        (arm::psa("PSA", arm::SECURED), vec!["token"]),
        (machine.case("TPM"), vec!["quote", "signature", "pcrs", "ak-public"]),
        (machine.certified("certified TPM"), vec!["quote", "signature", "pcrs", "ak-public", "ak-cert"]),
    ]
}

/// Overwritten, cut out, doubled or cut off.
fn mutate(raw: &[u8], kind: u8, at: usize, length: usize, byte: u8) -> Vec<u8> {
    let (at, end) = (at.min(raw.len()), (at + length).min(raw.len()));
    match kind {
        0 => [&raw[..at], &vec![byte; end - at][..], &raw[end..]].concat(),
        1 => [&raw[..at], &raw[end..]].concat(),
        2 => [&raw[..end], &raw[at..]].concat(),
        _ => raw[..at].to_vec(),
    }
}

#[test]
fn mutated_evidence_is_refused_and_never_panics() {
    let cases = one_of_each();
    let strategy = (
        0..cases.len(),
        any::<prop::sample::Index>(),
        0u8..4,
        any::<prop::sample::Index>(),
        1usize..40,
        any::<u8>(),
    );
    let mut runner = prop::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(1500)
    });
    let outcome = runner.run(&strategy, |(which, part, kind, at, length, byte)| {
        let (case, parts) = &cases[which];
        let part = parts[part.index(parts.len())];
        let raw = case.evidence.part(part).unwrap();
        let changed = mutate(raw, kind, at.index(raw.len()), length, byte);
        // What follows a quote's end may be zeros, in any number.
        let same =
            |bytes: &[u8]| bytes.iter().rposition(|&byte| byte != 0).map(|last| bytes[..=last].to_vec());
        prop_assume!(same(&changed) != same(raw));
        let changed = case.evidence.clone().with_part(part, changed);
        prop_assert!(case.verify_as(&changed, None).is_err(), "{} {part} accepted", case.name);
        Ok(())
    });
    outcome.unwrap();
}

proptest! {
    #[test]
    fn nothing_that_is_read_panics(bytes in prop::collection::vec(any::<u8>(), 0..600), platform in 0usize..8) {
        if let Ok(evidence) = Evidence::from_raw(PlatformKind::ALL[platform], &bytes) {
            let _ = tee::verify(&evidence, &Policy::genuine(), &[0; 64], 0);
            let _ = tee::collateral_requests(&evidence);
        }
        let _ = read_material(&bytes);
        let _ = tee::Collateral::from_json(&bytes);
    }
}
