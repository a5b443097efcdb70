//! What malformed evidence costs in memory: a process of its own, with an allocator that counts.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(dead_code, reason = "shared with the tests of the platforms")]

#[path = "platforms/cases.rs"]
mod cases;
#[path = "support/cost.rs"]
mod cost;
#[path = "platforms/fixtures.rs"]
mod fixtures;
#[path = "platforms/issued/mod.rs"]
mod issued;

use cost::quick;
use issued::{arm, tpm};
use peak_alloc::PeakAlloc;
use tee::{Collateral, Evidence, MAX_EVIDENCE_BYTES, PlatformKind, read_material};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const LARGE: usize = 10 << 20;
/// What may be allocated to refuse ten megabytes: an error's words.
const UNREAD: usize = 64 << 10;
/// CBOR that never ends, that nests, that is an array of millions of nothings, that claims more than there is; JSON likewise.
const FILLINGS: [&[u8]; 8] =
    [&[0x9f], &[0x81], &[0x01], &[0xbf, 0x00], &[0x5b, 0xff, 0xff], &[0xd2, 0x84, 0x40, 0xa0], b"[", b"0,"];

/// The most that was allocated at once beyond what was there before.
fn peak<T>(what: &str, run: impl FnOnce() -> T) -> (T, usize) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = quick(what, run);
    (result, MEMORY.peak_usage().saturating_sub(before))
}

// One test: others would allocate beside it.
#[test]
fn malformed_evidence_costs_at_most_its_size() {
    let machine = tpm::Machine::boot(&[(0, b"firmware"), (14, b"k3s-daas")]);
    let cases = [
        cases::sgx(),
        cases::tdx(),
        cases::snp(),
        cases::nitro(),
        cases::cca_02(),
        arm::psa("PSA", arm::SECURED),
        machine.case("TPM"),
    ];
    let mut most = (0, String::new());
    for filling in FILLINGS {
        for starts_as in cases.iter().map(cases::Case::raw).chain([&[][..]]) {
            let mut large = starts_as.to_vec();
            large.extend(filling.iter().cycle().take(LARGE - large.len()));
            for platform in PlatformKind::ALL {
                let what = format!("10 MiB as {platform}");
                let (read, cost) = peak(&what, || Evidence::from_raw(platform, &large).is_ok());
                assert!(!read && cost <= UNREAD, "{what}: {cost} bytes");
            }
            let (read, cost) = peak("decode", || Evidence::decode(&large).is_ok());
            assert!(!read && cost <= UNREAD, "decode: {cost} bytes");
            let (read, cost) = peak("read_material", || read_material(&large).is_ok());
            assert!(!read && cost <= UNREAD, "read_material: {cost} bytes");
            let (read, cost) = peak("collateral", || Collateral::from_json(&large).is_ok());
            assert!(!read && cost <= UNREAD, "collateral: {cost} bytes");
        }
        // The largest that is read.
        for case in &cases {
            for start in [case.raw(), &[]] {
                let beside = case.with_raw(Vec::new()).encode().len() + 8;
                let mut raw = start.to_vec();
                raw.extend(filling.iter().cycle().take(MAX_EVIDENCE_BYTES - beside - raw.len()));
                let evidence = case.with_raw(raw);
                let encoded = evidence.encode();
                let what = format!("{} of {} bytes", case.name, encoded.len());
                let (refused, cost) = peak(&what, || {
                    Evidence::decode(&encoded).is_ok_and(|evidence| case.verify_as(&evidence, None).is_err())
                });
                assert!(refused && cost <= LARGE, "{what}: {cost} bytes, refused: {refused}");
                most = most.max((cost, what));
            }
        }
    }
    assert!(most.0 > MAX_EVIDENCE_BYTES, "nothing was counted: {most:?}");
    eprintln!("the most: {} bytes for {}", most.0, most.1);
}
