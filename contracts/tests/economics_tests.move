#[test_only]
module k3s_daas::economics_tests;

use k3s_daas::economics::{Self, Economics};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;
const YEAR_MS: u64 = 31_536_000_000;

/// Values that are all at a bound, but for one share, one duration and the price.
fun with(penalties: vector<u64>, cap_bps: u64, reporter_bps: u64, contest_ms: u64, price: u64): Economics {
    economics::new(
        penalties,
        cap_bps,
        YEAR_MS,
        contest_ms,
        0,
        HOUR_MS,
        HOUR_MS,
        reporter_bps,
        10_000,
        60_000,
        10_000,
        DAY_MS,
        price,
        0,
        HOUR_MS,
    )
}

#[test]
fun bounds_are_allowed() {
    let economics = with(vector[0, 1, 9_999, 10_000], 10_000, 5_000, HOUR_MS, 1_000_000_000_000);
    assert!(economics.penalty_bps(3) == 10_000 && economics.cap_bps() == 10_000);
    assert!(economics.cap_period_ms() == YEAR_MS && economics.contest_ms() == HOUR_MS);
    assert!(economics.extension_ms() == 0 && economics.execute_ms() == HOUR_MS);
    assert!(economics.evidence_age_ms() == HOUR_MS && economics.reporter_bps() == 5_000);
    assert!(economics.uptime_bps() == 10_000 && economics.epoch_ms() == 60_000);
    assert!(economics.payout_bps() == 10_000 && economics.claim_ms() == DAY_MS);
    assert!(economics.price() == 1_000_000_000_000 && economics.grace_ms() == 0);
    assert!(economics.timelock_ms() == HOUR_MS);
}

#[test]
fun a_share_is_rounded_down() {
    assert!(economics::share(9_999, 1) == 0);
    assert!(economics::share(10_000, 1) == 1);
    assert!(economics::share(18_446_744_073_709_551_615, 10_000) == 18_446_744_073_709_551_615);
}

#[test, expected_failure(abort_code = economics::EBadReasons)]
fun each_reason_has_a_penalty() {
    with(vector[1, 1, 1], 1, 1, HOUR_MS, 1);
}

#[test, expected_failure(abort_code = economics::EBadShare)]
fun a_penalty_is_at_most_the_whole() {
    with(vector[1, 1, 1, 10_001], 1, 1, HOUR_MS, 1);
}

#[test, expected_failure(abort_code = economics::EBadShare)]
fun a_cap_is_at_most_the_whole() {
    with(vector[1, 1, 1, 1], 10_001, 1, HOUR_MS, 1);
}

#[test, expected_failure(abort_code = economics::EBadShare)]
fun a_reporter_has_half_at_most() {
    with(vector[1, 1, 1, 1], 1, 5_001, HOUR_MS, 1);
}

#[test, expected_failure(abort_code = economics::EBadDuration)]
fun there_is_time_to_contest() {
    with(vector[1, 1, 1, 1], 1, 1, HOUR_MS - 1, 1);
}

#[test, expected_failure(abort_code = economics::EBadDuration)]
fun contesting_does_not_last_forever() {
    with(vector[1, 1, 1, 1], 1, 1, 30 * DAY_MS + 1, 1);
}

#[test, expected_failure(abort_code = economics::EBadPrice)]
fun use_is_not_free() {
    with(vector[1, 1, 1, 1], 1, 1, HOUR_MS, 0);
}

#[test, expected_failure(abort_code = economics::EBadPrice)]
fun a_price_has_a_bound() {
    with(vector[1, 1, 1, 1], 1, 1, HOUR_MS, 1_000_000_000_001);
}
