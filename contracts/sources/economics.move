/// What a cluster's money is held to: penalties, rewards, the price of use and the timelock. Values with bounds;
/// `governance` keeps those in force and changes them only behind the timelock.
module k3s_daas::economics;

/// There is not exactly one penalty for each reason.
const EBadReasons: u64 = 1;
/// A share is above its bound, in basis points.
const EBadShare: u64 = 2;
/// A duration is outside of its bounds.
const EBadDuration: u64 = 3;
/// The price is zero or above its bound.
const EBadPrice: u64 = 4;

/// Whole of a share.
const WHOLE_BPS: u64 = 10_000;
/// Reasons of `slashing`: downtime, attestation, contradiction, tampering.
const REASONS: u64 = 4;
/// A reporter is given at most half of a penalty: who reports themselves always loses.
const MAX_REPORTER_BPS: u64 = 5_000;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;
const MONTH_MS: u64 = 2_592_000_000;
const YEAR_MS: u64 = 31_536_000_000;
/// 1000 SUI for a unit and second, in MIST.
const MAX_PRICE: u64 = 1_000_000_000_000;

/// Shares are basis points, durations milliseconds.
public struct Economics has copy, drop, store {
    /// Penalty by reason, as a share of the stake at the start of its cap period.
    penalty_bps: vector<u64>,
    /// All penalties of a stake in one cap period are at most this share of it.
    cap_bps: u64,
    cap_period_ms: u64,
    /// From the proposal of a penalty to its execution, when the staker may contest it.
    contest_ms: u64,
    /// How much later it is executed when it is contested.
    extension_ms: u64,
    /// A penalty that is not executed this long after it could be lapses.
    execute_ms: u64,
    /// A fault that is older than this is not punished any more.
    evidence_age_ms: u64,
    /// Share of a penalty that goes to who reported the fault.
    reporter_bps: u64,
    /// What a node agreed to be up, as a share of the time.
    uptime_bps: u64,
    /// The shortest epoch of rewards, and the shortest time over which downtime is judged.
    epoch_ms: u64,
    /// Share of the pool that one epoch pays.
    payout_bps: u64,
    /// How long the rewards of an epoch can be claimed.
    claim_ms: u64,
    /// Price of use: MIST for one unit and second.
    price: u64,
    /// How long an escrow is used on after it ran low; this much is always paid in advance.
    grace_ms: u64,
    /// From the proposal of what moves money to the earliest time that it takes effect.
    timelock_ms: u64,
}

/// Checks every value against its bounds.
public(package) fun new(
    penalty_bps: vector<u64>,
    cap_bps: u64,
    cap_period_ms: u64,
    contest_ms: u64,
    extension_ms: u64,
    execute_ms: u64,
    evidence_age_ms: u64,
    reporter_bps: u64,
    uptime_bps: u64,
    epoch_ms: u64,
    payout_bps: u64,
    claim_ms: u64,
    price: u64,
    grace_ms: u64,
    timelock_ms: u64,
): Economics {
    assert!(penalty_bps.length() == REASONS, EBadReasons);
    let mut reason = 0;
    while (reason < REASONS) {
        assert!(penalty_bps[reason] <= WHOLE_BPS, EBadShare);
        reason = reason + 1;
    };
    assert!(cap_bps <= WHOLE_BPS && reporter_bps <= MAX_REPORTER_BPS, EBadShare);
    assert!(uptime_bps <= WHOLE_BPS && payout_bps <= WHOLE_BPS, EBadShare);
    check_duration(cap_period_ms, HOUR_MS, YEAR_MS);
    check_duration(contest_ms, HOUR_MS, MONTH_MS);
    check_duration(extension_ms, 0, MONTH_MS);
    check_duration(execute_ms, HOUR_MS, MONTH_MS);
    check_duration(evidence_age_ms, HOUR_MS, YEAR_MS);
    check_duration(epoch_ms, MINUTE_MS, MONTH_MS);
    check_duration(claim_ms, DAY_MS, YEAR_MS);
    check_duration(grace_ms, 0, MONTH_MS);
    check_duration(timelock_ms, HOUR_MS, MONTH_MS);
    assert!(price >= 1 && price <= MAX_PRICE, EBadPrice);
    Economics {
        penalty_bps,
        cap_bps,
        cap_period_ms,
        contest_ms,
        extension_ms,
        execute_ms,
        evidence_age_ms,
        reporter_bps,
        uptime_bps,
        epoch_ms,
        payout_bps,
        claim_ms,
        price,
        grace_ms,
        timelock_ms,
    }
}

/// What a new cluster begins with.
public(package) fun default(): Economics {
    new(
        vector[100, 1_000, 3_000, 5_000],
        5_000,
        MONTH_MS,
        2 * DAY_MS,
        5 * DAY_MS,
        7 * DAY_MS,
        7 * DAY_MS,
        1_000,
        9_500,
        DAY_MS,
        WHOLE_BPS,
        MONTH_MS,
        1,
        HOUR_MS,
        DAY_MS,
    )
}

/// A share of an amount, rounded down.
public fun share(amount: u64, bps: u64): u64 {
    (((amount as u128) * (bps as u128)) / (WHOLE_BPS as u128)) as u64
}

/// Penalty of a reason, in basis points.
public fun penalty_bps(economics: &Economics, reason: u8): u64 {
    economics.penalty_bps[reason as u64]
}

/// Cap of the penalties in one period, in basis points.
public fun cap_bps(economics: &Economics): u64 {
    economics.cap_bps
}

/// The period of the cap, in milliseconds.
public fun cap_period_ms(economics: &Economics): u64 {
    economics.cap_period_ms
}

/// From proposal to execution, in milliseconds.
public fun contest_ms(economics: &Economics): u64 {
    economics.contest_ms
}

/// How much a contest delays, in milliseconds.
public fun extension_ms(economics: &Economics): u64 {
    economics.extension_ms
}

/// From when a penalty can be executed to when it lapses, in milliseconds.
public fun execute_ms(economics: &Economics): u64 {
    economics.execute_ms
}

/// The oldest fault that is punished, in milliseconds.
public fun evidence_age_ms(economics: &Economics): u64 {
    economics.evidence_age_ms
}

/// The reporter's share, in basis points.
public fun reporter_bps(economics: &Economics): u64 {
    economics.reporter_bps
}

/// The agreed uptime, in basis points.
public fun uptime_bps(economics: &Economics): u64 {
    economics.uptime_bps
}

/// The shortest epoch, in milliseconds.
public fun epoch_ms(economics: &Economics): u64 {
    economics.epoch_ms
}

/// Share of the pool that an epoch pays, in basis points.
public fun payout_bps(economics: &Economics): u64 {
    economics.payout_bps
}

/// How long rewards can be claimed, in milliseconds.
public fun claim_ms(economics: &Economics): u64 {
    economics.claim_ms
}

/// MIST for one unit and second.
public fun price(economics: &Economics): u64 {
    economics.price
}

/// What an escrow is always ahead, in milliseconds.
public fun grace_ms(economics: &Economics): u64 {
    economics.grace_ms
}

/// The timelock, in milliseconds.
public fun timelock_ms(economics: &Economics): u64 {
    economics.timelock_ms
}

fun check_duration(ms: u64, least: u64, most: u64) {
    assert!(ms >= least && ms <= most, EBadDuration);
}
