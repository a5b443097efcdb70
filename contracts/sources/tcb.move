/// What a cluster asks of a platform's trusted computing base, beyond the code that runs on it. Whoever verifies evidence
/// holds it to these bounds and to their own policy, whichever is stricter; the chain itself sees no evidence but Nitro's.
module k3s_daas::tcb;

use k3s_daas::measurement;
use std::string::String;

/// A list is too long, a name empty or too long, or names are not in ascending order.
const EBadBounds: u64 = 1;
/// The greatest age of evidence is not between a second and 30 days.
const EBadAge: u64 = 2;

const MAX_COMPONENTS: u64 = 32;
const MAX_STATUSES: u64 = 8;
const MAX_ADVISORIES: u64 = 64;
const MAX_NAME_BYTES: u64 = 64;
const MIN_AGE_MS: u64 = 1_000;
/// 30 days, as long as a registration lasts.
const MAX_AGE_MS: u64 = 2_592_000_000;

/// Bounds for one platform.
public struct Bounds has copy, drop, store {
    platform: String,
    /// Components with security version numbers, ascending, and the lowest of each that counts.
    components: vector<String>,
    minimums: vector<u64>,
    /// Statuses that the maker gives to a platform and that count besides `UpToDate`, ascending.
    statuses: vector<String>,
    /// Advisories that count, ascending; not looked at when every one does.
    any_advisory: bool,
    advisories: vector<String>,
    /// How old evidence may be.
    max_age_ms: u64,
}

/// Bounds from their parts.
public(package) fun new(
    platform: String,
    components: vector<String>,
    minimums: vector<u64>,
    statuses: vector<String>,
    any_advisory: bool,
    advisories: vector<String>,
    max_age_ms: u64,
): Bounds {
    measurement::check_platform(&platform);
    assert!(components.length() == minimums.length(), EBadBounds);
    check_names(&components, MAX_COMPONENTS);
    check_names(&statuses, MAX_STATUSES);
    check_names(&advisories, MAX_ADVISORIES);
    assert!(max_age_ms >= MIN_AGE_MS && max_age_ms <= MAX_AGE_MS, EBadAge);
    Bounds { platform, components, minimums, statuses, any_advisory, advisories, max_age_ms }
}

/// The place of a platform's bounds in a list, if it has any.
public(package) fun find(list: &vector<Bounds>, platform: &String): Option<u64> {
    let mut i = 0;
    while (i < list.length()) {
        if (list[i].platform == *platform) return option::some(i);
        i = i + 1;
    };
    option::none()
}

/// The platform that they are for.
public(package) fun platform(bounds: &Bounds): String {
    bounds.platform
}

fun check_names(names: &vector<String>, most: u64) {
    assert!(names.length() <= most, EBadBounds);
    let mut i = 0;
    while (i < names.length()) {
        assert!(names[i].length() >= 1 && names[i].length() <= MAX_NAME_BYTES, EBadBounds);
        assert!(i == 0 || measurement::is_before(names[i - 1].as_bytes(), names[i].as_bytes()), EBadBounds);
        i = i + 1;
    };
}
