//! What a cluster asks of platforms on chain, beside what a verifier's own policy does.

use std::collections::BTreeSet;

use tee::{PlatformKind, Policy, TcbBounds, TcbStatus};

use crate::cases::{self, Case};

fn bounds(case: &Case) -> TcbBounds {
    let claims = case.verify().unwrap();
    TcbBounds {
        minimum: claims.tcb.versions,
        statuses: claims.tcb.status.into_iter().collect(),
        advisories: Some(claims.tcb.advisories),
        max_age_ms: 60_000,
    }
}

fn reasons(case: &mut Case, policy: Policy, bounds: &TcbBounds) -> Vec<&'static str> {
    let platform = case.evidence.platform();
    case.policy = policy.bounded([(platform, bounds.clone())]);
    case.reasons()
}

/// Genuine evidence of a platform with a status and advisories that a default policy does not tolerate.
fn sgx() -> (Case, TcbBounds) {
    let case = cases::sgx();
    let bounds = bounds(&case);
    assert!(bounds.statuses.len() == 1 && bounds.advisories.as_ref().is_some_and(|ids| ids.len() > 1));
    (case, bounds)
}

fn default() -> Policy {
    Policy { any_code: true, ..Policy::default() }
}

#[test]
fn where_nobody_wrote_a_policy_the_cluster_decides() {
    let (mut case, bounds) = sgx();
    case.policy = default();
    assert!(case.reasons().contains(&"tcb-status") && case.reasons().contains(&"advisory"));
    assert_eq!(reasons(&mut case, default(), &bounds), [""; 0]);
    let mut wider = default();
    wider.minimum_tcb.insert(PlatformKind::Sgx, [("abacus".to_owned(), 1)].into());
    assert_eq!(reasons(&mut case, wider, &bounds), [""; 0], "its own clauses are not looked at");
    // Another platform's bounds say nothing about this one.
    case.policy = default().bounded([(PlatformKind::Tdx, bounds)]);
    assert!(case.reasons().contains(&"tcb-status"));
}

#[test]
fn every_clause_of_the_clusters_is_one_to_violate() {
    let (mut case, good) = sgx();
    let component = good.minimum.keys().next().unwrap().clone();
    let mut bad = good.clone();
    *bad.minimum.get_mut(&component).unwrap() += 1;
    assert_eq!(reasons(&mut case, default(), &bad), ["tcb-version"]);
    bad.minimum.insert("abacus".to_owned(), 0);
    bad.statuses.clear();
    bad.advisories = good.advisories.clone().map(|ids| ids.into_iter().skip(1).collect());
    let every = reasons(&mut case, default(), &bad);
    assert_eq!(every, ["tcb-status", "advisory", "tcb-version", "tcb-version"]);
    bad = TcbBounds { advisories: None, ..good };
    assert_eq!(reasons(&mut case, default(), &bad), [""; 0]);
    // A maker that revokes a platform is right whatever the chain says.
    bad.statuses = BTreeSet::from(TcbStatus::ALL);
    assert_eq!(reasons(&mut case, default(), &bad), [""; 0]);
}

#[test]
fn beside_a_policy_that_somebody_wrote_the_stricter_of_both_holds() {
    let (mut case, bounds) = sgx();
    let written = |text: &str| Policy::from_toml(text).unwrap();
    let tolerant =
        "any_code = true\n[tcb]\nadvisories = \"any\"\nstatuses = [\"ConfigurationAndSWHardeningNeeded\"]\n";
    assert_eq!(reasons(&mut case, written(tolerant), &bounds), [""; 0]);
    assert_eq!(
        reasons(&mut case, written("any_code = true\n[tcb]\nadvisories = \"any\"\n"), &bounds),
        ["tcb-status"]
    );
    let stricter = TcbBounds { statuses: BTreeSet::new(), ..bounds.clone() };
    assert_eq!(reasons(&mut case, written(tolerant), &stricter), ["tcb-status"]);
    // Of two lowest numbers the higher one counts, whosever it is.
    let component = bounds.minimum.keys().next().unwrap();
    let (low, high) = (0, bounds.minimum[component] + 1);
    for (own, clusters, accepted) in [(low, low, true), (high, low, false), (low, high, false)] {
        let text = format!("{tolerant}[tcb.minimum.sgx]\n{component} = {own}\n");
        let minimum = [(component.clone(), clusters)].into();
        let bounds = TcbBounds { minimum, ..bounds.clone() };
        assert_eq!(reasons(&mut case, written(&text), &bounds).is_empty(), accepted, "{own} and {clusters}");
    }
}

#[test]
fn evidence_is_no_older_than_the_lower_of_both_ages() {
    let mut case = cases::nitro();
    let made = case.now;
    for (own_s, clusters_s, limit_s) in [(300, 60, 60), (60, 300, 60)] {
        let policy = Policy::from_toml(&format!("any_code = true\nmax_age_seconds = {own_s}\n")).unwrap();
        let bounds = TcbBounds { max_age_ms: clusters_s * 1000, ..bounds(&case) };
        case.now = made + limit_s - 1;
        assert_eq!(reasons(&mut case, policy.clone(), &bounds), [""; 0]);
        case.now = made + limit_s + 1;
        assert_eq!(reasons(&mut case, policy, &bounds), ["too-old"]);
        case.now = made;
        case.policy = Policy::genuine();
    }
}

#[test]
fn names_that_are_not_known_here_tolerate_nothing() {
    let named = |platform| {
        let names = ["b".to_owned(), "a".to_owned()];
        let statuses = ["UpToDate".to_owned(), "Sublime".to_owned(), "OutOfDate".to_owned()];
        TcbBounds::named(platform, &names, &[2, 1], &statuses, None, 7)
    };
    assert_eq!(named("abacus"), None);
    let (platform, bounds) = named("sgx").unwrap();
    assert_eq!((platform, bounds.max_age_ms, bounds.advisories), (PlatformKind::Sgx, 7, None));
    assert_eq!(bounds.minimum, [("a".to_owned(), 1), ("b".to_owned(), 2)].into());
    assert_eq!(bounds.statuses, [TcbStatus::UpToDate, TcbStatus::OutOfDate].into());
}
