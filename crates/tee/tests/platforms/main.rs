//! Recorded evidence of real hardware: each piece is accepted at its time, and refused with its own reason for everything
//! that can be wrong with it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod bounds;
mod cases;
#[path = "../support/cost.rs"]
mod cost;
mod fixtures;
mod hostile;
mod issued;
mod matrix;
mod published;
mod scenarios;
mod trustzone;

use cases::{Case, reasons};
use tee::{PlatformKind, Policy, TcbStatus};

const YEAR: u64 = 366 * 86_400;

#[test]
fn every_recorded_piece_is_accepted_at_its_time() {
    for case in cases::accepted() {
        let claims = case.verify().unwrap_or_else(|refusals| panic!("{}: {refusals}", case.name));
        assert!(!claims.measurements.is_empty() && !claims.simulated && !claims.debug, "{}", case.name);
        assert!(
            !claims.signers.is_empty() && claims.measurements.values().any(|value| !value.is_empty()),
            "{}",
            case.name
        );
    }
}

#[test]
fn any_flipped_byte_is_refused() {
    for case in cases::accepted() {
        let raw = case.raw();
        assert!(raw.len() >= 200);
        let mut accepted = Vec::new();
        for sample in 0..200 {
            let at = sample * raw.len() / 200;
            for flip in [0x01, 0x07, 0x80] {
                let mut changed = raw.to_vec();
                changed[at] ^= flip;
                if case.verify_as(&case.with_raw(changed), None).is_ok() {
                    accepted.push((at, flip));
                }
            }
        }
        assert!(accepted.is_empty(), "{}: changed at {accepted:?} of {} and accepted", case.name, raw.len());
    }
}

#[test]
fn evidence_that_ends_early_or_late_is_malformed() {
    for case in cases::accepted() {
        let raw = case.raw();
        // A quote may lie in a larger buffer.
        let end = raw.iter().rposition(|&byte| byte != 0).unwrap();
        for length in [0, 1, raw.len() / 2, end] {
            let cut = case.with_raw(raw[..length].to_vec());
            assert!(case.verify_as(&cut, None).is_err(), "{}: cut at {length} and accepted", case.name);
        }
        // An SNP report's signature is padded by zeros, and has one length.
        let longer = case.with_raw([raw, &[1]].concat());
        assert_eq!(reasons(case.verify_as(&longer, None)), ["malformed"], "{}", case.name);
    }
}

#[test]
fn everything_ends() {
    for (mut case, years) in
        [(cases::sgx(), 2), (cases::tdx(), 2), (cases::tdx_15(), 2), (cases::snp(), 10), (cases::nitro(), 1)]
    {
        let good = case.now;
        case.now = good + years * YEAR;
        let late = case.reasons();
        assert!(
            late.contains(&"expired") && late.iter().all(|reason| ["expired", "too-old"].contains(reason)),
            "{}: {late:?}",
            case.name
        );
        case.now = good - 20 * YEAR;
        let early = case.reasons();
        assert!(early.contains(&"not-yet-valid"), "{}: {early:?}", case.name);
    }
}

#[test]
fn other_report_data_is_refused() {
    for case in cases::accepted() {
        let claims = case.verify().unwrap();
        assert_eq!(reasons(case.verify_as(&case.evidence, Some(&[7; 64]))), ["report-data"], "{}", case.name);
        if let Ok(bound) = <[u8; 64]>::try_from(&claims.report_data[..]) {
            assert!(case.verify_as(&case.evidence, Some(&bound)).is_ok(), "{}", case.name);
        }
    }
}

#[test]
fn the_policy_names_measurements_and_platforms() {
    for mut case in cases::accepted() {
        let claims = case.verify().unwrap();
        case.policy.any_code = false;
        assert_eq!(case.reasons(), ["platform-not-allowed"], "{}", case.name);
        let mut wanted = claims.measurements;
        case.policy.allowed = vec![(claims.platform, wanted.clone())];
        assert!(case.verify().is_ok(), "{}", case.name);
        let first = wanted.values_mut().next().unwrap();
        first[0] ^= 1;
        case.policy.allowed = vec![(claims.platform, wanted)];
        assert_eq!(case.reasons(), ["measurement"], "{}", case.name);
    }
}

#[test]
fn a_tcb_below_the_policy_is_refused() {
    for mut case in [cases::sgx(), cases::tdx(), cases::tdx_15(), cases::snp()] {
        let claims = case.verify().unwrap();
        for (component, version) in claims.tcb.versions {
            let at_least = |minimum: u64| [(claims.platform, [(component.clone(), minimum)].into())].into();
            case.policy.minimum_tcb = at_least(version);
            assert!(case.verify().is_ok(), "{}: {component}", case.name);
            case.policy.minimum_tcb = at_least(version + 1);
            assert_eq!(case.reasons(), ["tcb-version"], "{}: {component}", case.name);
        }
        case.policy.minimum_tcb = [(claims.platform, [("abacus".to_owned(), 0)].into())].into();
        assert_eq!(case.reasons(), ["tcb-version"], "{}", case.name);
    }
}

#[test]
fn statuses_and_advisories_are_the_policys_to_tolerate() {
    let mut sgx = cases::sgx();
    let claims = sgx.verify().unwrap();
    assert_eq!(claims.tcb.status, Some(TcbStatus::ConfigurationAndSwHardeningNeeded));
    assert!(!claims.tcb.advisories.is_empty());
    sgx.policy.tolerated_statuses.clear();
    assert_eq!(sgx.reasons(), ["tcb-status"]);
    sgx.policy = Policy { tolerated_advisories: Some([].into()), ..Policy::genuine() };
    assert_eq!(sgx.reasons(), vec!["advisory"; claims.tcb.advisories.len()]);
    sgx.policy.tolerated_advisories = Some(claims.tcb.advisories);
    assert!(sgx.verify().is_ok());

    assert_eq!(cases::tdx_outdated().reasons(), ["tcb-status"]);
}

#[test]
fn debug_mode_is_never_trusted() {
    let mut nitro = cases::nitro_debug();
    assert_eq!(nitro.reasons(), ["debug"]);
    nitro.policy.allow_debug = true;
    assert_eq!(nitro.reasons(), ["debug"], "hardware in debug mode passes for no policy");

    // No recorded quote or report is of a debuggable environment, and nobody can sign one: the clause shows beside the broken
    // signature.
    const SGX_ATTRIBUTES: usize = 48 + 48;
    const TD_ATTRIBUTES: usize = 48 + 16 + 48 + 48 + 8;
    const SNP_POLICY: usize = 8;
    for (case, at, bit) in [
        (cases::sgx(), SGX_ATTRIBUTES, 0x02),
        (cases::tdx(), TD_ATTRIBUTES, 0x01),
        (cases::snp(), SNP_POLICY + 2, 0x08),
    ] {
        let mut raw = case.raw().to_vec();
        raw[at] |= bit;
        assert_eq!(
            reasons(case.verify_as(&case.with_raw(raw), None)),
            ["bad-signature", "debug"],
            "{}",
            case.name
        );
    }
}

#[test]
fn evidence_that_was_tampered_with_is_refused() {
    assert!(cases::nitro_tampered().reasons().contains(&"bad-signature"));
}

#[test]
fn a_chain_that_is_cut_or_wrongly_rooted_is_refused() {
    for case in [cases::sgx(), cases::tdx(), cases::tdx_15(), cases::snp(), cases::nitro()] {
        wrongly_rooted(case);
    }
    let mut snp = cases::snp();
    snp.collateral.certificates.clear();
    assert_eq!(snp.reasons(), ["collateral-missing"]);
    let mut turin = cases::snp();
    turin.collateral.certificates = vec![fixtures::read("sev", "tests/certs_data/vcek_turin.der")];
    let wrong = turin.reasons();
    assert!(wrong.contains(&"bad-signature") && wrong.contains(&"endorsement"), "{wrong:?}");
    let mut sgx = cases::sgx();
    sgx.collateral.dcap = None;
    assert_eq!(sgx.reasons(), ["collateral-missing"]);
    let mut unknown = cases::cca_02();
    unknown.anchors.keys.clear();
    assert_eq!(unknown.reasons(), ["unknown-key"]);
    unknown.anchors.keys = cases::keys(&fixtures::read("ccatoken", "testdata/ta-02-bad.json"));
    let reasons = unknown.reasons();
    assert!(reasons == ["unknown-key"] || reasons == ["bad-signature"], "{reasons:?}");
}

fn wrongly_rooted(mut case: Case) {
    // Somebody else's root.
    case.anchors.amd = vec![[0; 32]];
    case.anchors.nitro = vec![[0; 32]];
    case.anchors.intel = Some(fixtures::read("nitro_attest", "tests/fixtures/0.der"));
    let reasons = case.reasons();
    assert!(reasons.contains(&"untrusted-root"), "{}: {reasons:?}", case.name);
}

#[test]
fn collateral_of_another_platform_is_refused() {
    let mut sgx = cases::sgx();
    sgx.collateral = cases::tdx().collateral;
    sgx.now = cases::tdx().now;
    assert_eq!(sgx.reasons(), ["collateral"]);
    sgx.collateral.dcap = Some(b"{}".to_vec());
    assert_eq!(sgx.reasons(), ["collateral"]);
}

#[test]
fn every_byte_of_the_collateral_that_is_signed_counts() {
    let case = cases::tdx();
    let good: serde_json::Value = serde_json::from_slice(case.collateral.dcap.as_ref().unwrap()).unwrap();
    for field in
        ["tcb_info", "qe_identity", "tcb_info_signature", "qe_identity_signature", "root_ca_crl", "pck_crl"]
    {
        let mut bad = good.clone();
        match &mut bad[field] {
            serde_json::Value::String(text) => {
                let changed = text.replacen('1', "2", 1);
                assert_ne!(&changed, text);
                *text = changed;
            }
            other => {
                let bytes = other.as_array_mut().unwrap();
                let last = bytes.last_mut().unwrap();
                *last = (last.as_u64().unwrap() ^ 1).into();
            }
        }
        let mut changed = cases::tdx();
        changed.collateral.dcap = Some(bad.to_string().into_bytes());
        assert_ne!(changed.reasons(), [""; 0], "{field} was changed and accepted");
    }
}

#[test]
fn evidence_of_another_platform_is_malformed() {
    let case = cases::sgx();
    let as_tdx = tee::Evidence::from_raw(PlatformKind::Tdx, case.raw()).unwrap();
    assert_eq!(reasons(case.verify_as(&as_tdx, None)), ["malformed"]);
}

#[test]
fn built_in_roots_are_amds() {
    for product in ["milan", "genoa", "turin"] {
        for kind in ["ark", "ask"] {
            let ours =
                std::fs::read(format!("{}/roots/amd-{kind}-{product}.der", env!("CARGO_MANIFEST_DIR")))
                    .unwrap();
            let theirs = fixtures::read("sev", &format!("src/certs/snp/builtin/{product}/{kind}.pem"));
            assert_eq!(
                tee::read_material(&theirs).unwrap(),
                [tee::Material::Certificate(ours)],
                "{kind} {product}"
            );
        }
    }
}

#[test]
fn what_makers_publish_is_asked_for_and_put_together() {
    for case in [cases::sgx(), cases::tdx(), cases::tdx_15(), cases::snp()] {
        let answers: Vec<_> = tee::collateral_requests(&case.evidence)
            .unwrap()
            .into_iter()
            .map(|request| {
                let url = &request.urls("https://cache")[0];
                let response =
                    published::answer(&case, url).unwrap_or_else(|| panic!("{}: {url}", case.name));
                (request, response)
            })
            .collect();
        for (request, response) in &answers {
            let until = request.valid_until(response).unwrap();
            assert!(until > case.now as i64, "{}: {:?} until {until}", case.name, request.urls(""));
        }
        let mut fetched = case;
        fetched.collateral = tee::assemble_collateral(&answers).unwrap();
        fetched.verify().unwrap_or_else(|refusals| panic!("{}: {refusals}", fetched.name));
        let bundle = fetched.collateral.to_json();
        fetched.collateral = tee::Collateral::from_json(bundle.as_bytes()).unwrap();
        fetched.verify().unwrap_or_else(|refusals| panic!("{} offline: {refusals}", fetched.name));
    }
    assert!(tee::collateral_requests(&cases::nitro().evidence).unwrap().is_empty());
}
