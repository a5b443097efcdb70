//! A table: every recorded piece of evidence against everything that can be wrong with evidence.

use tee::{PlatformKind, Policy};

use crate::cases::{self, Case, reasons};

/// What is wrong, and how evidence gets it; no case when the platform has no such thing.
type Defect = (&'static str, fn(Case) -> Option<Case>);

const YEAR: u64 = 366 * 86_400;

const DEFECTS: [Defect; 7] = [
    ("expired", |mut case| {
        // An Arm token and its example keys have no dates; their freshness is the nonce.
        case.now += 10 * YEAR;
        (case.evidence.platform() != PlatformKind::Cca).then_some(case)
    }),
    ("not-yet-valid", |mut case| {
        case.now -= 20 * YEAR;
        (case.evidence.platform() != PlatformKind::Cca).then_some(case)
    }),
    ("chain cut", |mut case| {
        // A Nitro document has its chain inside, and is signed as a whole.
        case.collateral.certificates.clear();
        case.collateral.dcap = None;
        case.anchors.keys.clear();
        (case.evidence.platform() != PlatformKind::Nitro).then_some(case)
    }),
    ("wrong root", |mut case| {
        let cca = case.evidence.platform() == PlatformKind::Cca;
        case.anchors.amd = vec![[0; 32]];
        case.anchors.nitro = vec![[0; 32]];
        case.anchors.intel = Some(crate::fixtures::read("nitro_attest", "tests/fixtures/0.der"));
        let others = if case.name == cases::cca_01().name { cases::cca_02() } else { cases::cca_01() };
        if cca {
            case.anchors.keys = others.anchors.keys;
        }
        Some(case)
    }),
    ("tcb-version", |mut case| {
        let claims = case.verify().unwrap();
        let (component, version) = claims
            .tcb
            .versions
            .into_iter()
            .next()
            .unwrap_or_else(|| ("one that it does not report".to_owned(), 0));
        case.policy.minimum_tcb = [(claims.platform, [(component, version + 1)].into())].into();
        Some(case)
    }),
    ("tcb-status", |mut case| {
        let status = case.verify().unwrap().tcb.status;
        case.policy.tolerated_statuses.clear();
        status.is_some_and(|status| status != tee::TcbStatus::UpToDate).then_some(case)
    }),
    ("other code", |mut case| {
        let claims = case.verify().unwrap();
        let mut wanted = claims.measurements;
        wanted.values_mut().next().unwrap()[0] ^= 1;
        case.policy = Policy { any_code: false, allowed: vec![(claims.platform, wanted)], ..case.policy };
        Some(case)
    }),
];

/// The reasons that may stand in a cell; each has to be there.
fn expected(defect: &str, case: &Case) -> &'static [&'static str] {
    match (defect, case.evidence.platform()) {
        ("expired", _) => &["expired"],
        ("not-yet-valid", _) => &["not-yet-valid"],
        ("chain cut", PlatformKind::Cca) => &["unknown-key"],
        ("chain cut", _) => &["collateral-missing"],
        // Keys that are listed for an instance are asked for by its name, others are tried.
        ("wrong root", PlatformKind::Cca) if case.name == cases::cca_01().name => &["unknown-key"],
        ("wrong root", PlatformKind::Cca) => &["bad-signature"],
        ("wrong root", _) => &["untrusted-root"],
        ("tcb-version", _) => &["tcb-version"],
        ("tcb-status", _) => &["tcb-status"],
        _ => &["measurement"],
    }
}

#[test]
fn every_fixture_against_every_defect() {
    let mut table = String::new();
    let mut cells = 0;
    for case in cases::accepted().into_iter().map(|case| case.name) {
        let again = || cases::accepted().into_iter().find(|other| other.name == case).unwrap();
        assert!(again().verify().is_ok(), "{case}");
        for (defect, make) in DEFECTS {
            let found = make(again()).map(|case| case.reasons());
            table.push_str(&format!("{case:<24} {defect:<14} {found:?}\n"));
            let Some(found) = found else { continue };
            cells += 1;
            for reason in expected(defect, &again()) {
                assert!(found.contains(reason), "{reason} is missing:\n{table}");
            }
        }
        let other = reasons(again().verify_as(&again().evidence, Some(&[7; 64])));
        assert_eq!(other, ["report-data"], "{case}");
    }
    // 7 pieces of 5 platforms; what a platform does not have is named above.
    assert!(cells >= 38, "{cells} cells:\n{table}");
}
