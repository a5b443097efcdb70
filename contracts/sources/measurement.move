/// What a platform measures of the code that it runs.
module k3s_daas::measurement;

use std::string::String;

/// The measurement has no values, too many, or too long ones, or its names are not in ascending order.
const EBadMeasurement: u64 = 1;
/// There is no such platform: sev-snp, tdx, sgx, nitro, trustzone, tpm, cca or simulated.
const EUnknownPlatform: u64 = 2;

const MAX_VALUES: u64 = 16;
const MAX_NAME_BYTES: u64 = 32;
const MAX_VALUE_BYTES: u64 = 64;

/// Values by name, names in ascending order.
public struct Measurement has copy, drop, store {
    platform: String,
    names: vector<String>,
    values: vector<vector<u8>>,
}

/// A measurement from its parts.
public(package) fun new(
    platform: String,
    names: vector<String>,
    values: vector<vector<u8>>,
): Measurement {
    check_platform(&platform);
    let count = names.length();
    assert!(count >= 1 && count <= MAX_VALUES && count == values.length(), EBadMeasurement);
    let mut i = 0;
    while (i < count) {
        assert!(names[i].length() >= 1 && names[i].length() <= MAX_NAME_BYTES, EBadMeasurement);
        assert!(i == 0 || is_before(names[i - 1].as_bytes(), names[i].as_bytes()), EBadMeasurement);
        assert!(values[i].length() >= 1 && values[i].length() <= MAX_VALUE_BYTES, EBadMeasurement);
        i = i + 1;
    };
    Measurement { platform, names, values }
}

/// Aborts unless there is such a platform.
public(package) fun check_platform(platform: &String) {
    assert!(is_platform(platform), EUnknownPlatform);
}

/// Whether no hardware stands behind the platform.
public(package) fun is_simulated(platform: &String): bool {
    *platform.as_bytes() == b"simulated"
}

fun is_platform(platform: &String): bool {
    let name = *platform.as_bytes();
    name == b"sev-snp" || name == b"tdx" || name == b"sgx" || name == b"nitro"
        || name == b"trustzone" || name == b"tpm" || name == b"cca" || is_simulated(platform)
}

/// Whether `a` comes before `b` in the order of bytes.
public(package) fun is_before(a: &vector<u8>, b: &vector<u8>): bool {
    let mut i = 0;
    while (i < a.length() && i < b.length()) {
        if (a[i] != b[i]) return a[i] < b[i];
        i = i + 1;
    };
    a.length() < b.length()
}
