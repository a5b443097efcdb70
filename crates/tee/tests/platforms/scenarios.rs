//! What can be wrong beyond what recorded evidence shows, and that every kind of refusal is reached.

use std::collections::BTreeSet;

use rcgen::{IsCa, KeyUsagePurpose};
use tee::{KeyPolicy, Platform as _, PlatformKind, Policy, Refusal, SimulatedPlatform};

use crate::cases::{self, Case, reasons};
use crate::issued::arm::{self, SECURED};
use crate::issued::snp::{self, Wanted};
use crate::issued::tpm::{self, Machine};

/// Name, evidence and what it is refused for; nothing when it is accepted.
type Scenario = (Case, &'static [&'static str]);

fn snp_scenarios() -> Vec<Scenario> {
    let issue = |name, wanted: Wanted| snp::issue(name, &wanted).case;
    let default = Wanted::default;
    let mut scenarios: Vec<Scenario> = vec![
        (issue("SNP as it should be", default()), &[]),
        (issue("SNP version 3 of a Milan", Wanted { version: 3, cpuid: [0x19, 1], ..default() }), &[]),
        (issue("SNP by a VLEK", Wanted { vlek: true, ..default() }), &[]),
        (issue("SNP in debug mode", Wanted { policy: 0xb_0000, ..default() }), &["debug"]),
        (
            issue("SNP with a migration agent", Wanted { migration_agent: [1; 32], ..default() }),
            &["configuration"],
        ),
        (
            issue("SNP of another chip", Wanted { certified_chip_id: vec![0xc2; 64], ..default() }),
            &["endorsement"],
        ),
        (
            issue("SNP of older microcode", Wanted { reported_tcb: [3, 0, 0, 0, 0, 0, 8, 114], ..default() }),
            &["endorsement"],
        ),
        (
            issue("SNP of another product", Wanted { version: 3, cpuid: [0x19, 0x11], ..default() }),
            &["endorsement"],
        ),
        (issue("SNP of an unknown product", Wanted { product: "Rome-B0", ..default() }), &["certificate"]),
        (issue("SNP of an unknown version", Wanted { version: 9, ..default() }), &["malformed"]),
        (
            issue("SNP by an issuer that is none", Wanted { intermediate: IsCa::NoCa, ..default() }),
            &["certificate"],
        ),
        (
            issue(
                "SNP by a key that may not issue",
                Wanted { intermediate_usage: KeyUsagePurpose::DigitalSignature, ..default() },
            ),
            &["certificate"],
        ),
        (
            issue("SNP by an issuer with an unknown constraint", Wanted { critical: true, ..default() }),
            &["certificate"],
        ),
    ];
    let turin = Wanted {
        product: "Turin-C1",
        version: 3,
        cpuid: [0x1a, 2],
        certified_fmc: Some(3),
        certified_chip_id: snp::CHIP_ID[..8].to_vec(),
        ..default()
    };
    scenarios.push((issue("SNP of a Turin", turin), &[]));

    let mut cut = snp::issue("SNP with a chain that is cut", &default());
    cut.case.collateral.certificates = vec![cut.vcek.clone()];
    scenarios.push((cut.case, &["chain-cut"]));
    let mut forged = snp::issue("SNP by a key of the same name", &default());
    forged.case.collateral.certificates[1] = snp::issue("", &default()).ask().to_vec();
    scenarios.push((forged.case, &["bad-signature"]));

    let listed = |name, until, revoked, required| {
        let mut issued = snp::issue(name, &default());
        issued.case.collateral.crls = issued.crls(until, revoked);
        issued.case.policy.require_revocation_check = required;
        issued.case
    };
    scenarios.push((listed("SNP with current lists", 2024, false, true), &[]));
    scenarios.push((listed("SNP whose VCEK was revoked", 2024, true, false), &["revoked"]));
    scenarios.push((listed("SNP with lists that ended", 2022, false, true), &["revocation-unknown"]));
    scenarios.push((listed("SNP with lists that ended, tolerated", 2022, false, false), &[]));
    let mut without = snp::issue("SNP without lists", &default());
    without.case.policy.require_revocation_check = true;
    scenarios.push((without.case, &["revocation-unknown"]));

    let mut beside = snp::issue("SNP with its VCEK in the evidence", &default());
    beside.case.collateral.certificates.pop();
    beside.case.evidence = beside.case.evidence.with_part("vcek", beside.vcek.clone());
    scenarios.push((beside.case, &[]));
    let mut table = snp::issue("SNP with the host's certificate table", &default());
    table.case.evidence =
        table.case.evidence.with_part("certs", ghcb_table(&table.case.collateral.certificates));
    table.case.collateral.certificates.clear();
    scenarios.push((table.case, &[]));
    let mut outside = snp::issue("SNP with a table that points outside", &default());
    outside.case.evidence = outside.case.evidence.with_part("certs", [&[1; 16][..], &[0xff; 8]].concat());
    scenarios.push((outside.case, &["malformed"]));
    scenarios
}

/// GUIDs do not matter; offsets and lengths do.
fn ghcb_table(certificates: &[Vec<u8>]) -> Vec<u8> {
    let mut at = 24 * (certificates.len() + 1);
    let mut table = Vec::new();
    for der in certificates {
        table.extend([&[1; 16][..], &(at as u32).to_le_bytes(), &(der.len() as u32).to_le_bytes()].concat());
        at += der.len();
    }
    table.extend([0; 24]);
    table.extend(certificates.concat());
    table
}

fn tpm_scenarios() -> Vec<Scenario> {
    let boot = || Machine::boot(&[(0, b"firmware"), (4, b"loader"), (4, b"kernel"), (14, b"k3s-daas")]);
    let mut scenarios: Vec<Scenario> = vec![
        (boot().case("TPM with a pinned key"), &[]),
        (boot().certified("TPM with a certified key"), &[]),
        (Machine { restricted: false, ..boot() }.case("TPM key that signs anything"), &["configuration"]),
    ];
    let bare = boot();
    let mut pinned_bare = bare.case("TPM with a pinned key without attributes");
    pinned_bare.anchors.keys = bare.ak.trusted();
    scenarios.push((pinned_bare, &[]));
    let mut unknown = boot().case("TPM with an unknown key");
    unknown.anchors.keys.clear();
    scenarios.push((unknown, &["unknown-key"]));
    let mut other_root = boot().certified("TPM certified by somebody else");
    other_root.anchors.roots = boot().certified("").anchors.roots;
    scenarios.push((other_root, &["bad-signature"]));
    let mut other_key = boot().certified("TPM with another key's certificate");
    other_key.evidence =
        other_key.evidence.with_part("ak-public", boot().evidence().part("ak-public").unwrap().to_vec());
    scenarios.push((other_key, &["binding"]));

    let mut log = boot();
    log.log.extend(tpm::event(4, 0x8000_0001, &[1; 32], b"hidden"));
    scenarios.push((log.case("TPM with one event too many"), &["event-log"]));
    let mut no_action = boot();
    no_action.log.extend(tpm::event(4, 3, &[1; 32], b"no action"));
    scenarios.push((no_action.case("TPM with an event that extends nothing"), &[]));
    let mut cut = boot();
    cut.log.pop();
    scenarios.push((cut.case("TPM with a log that ends early"), &["malformed"]));

    let mut values = boot().case("TPM with other register values");
    let mut other = boot();
    other.registers.insert(14, vec![9; 32]);
    values.evidence = values.evidence.with_part("pcrs", other.evidence().part("pcrs").unwrap().to_vec());
    scenarios.push((values, &["binding", "event-log"]));
    let mut more = boot().case("TPM with registers that were not quoted");
    let mut other = boot();
    other.registers.insert(23, vec![0; 32]);
    more.evidence = more.evidence.with_part("pcrs", other.evidence().part("pcrs").unwrap().to_vec());
    scenarios.push((more, &["malformed"]));
    scenarios
}

fn arm_scenarios() -> Vec<Scenario> {
    let claims = || arm::psa_claims(&[0x5d; 64], SECURED);
    let first = |profile| arm::first_claims(&[0x5d; 64], profile);
    let mut unknown = claims();
    unknown[2].1 = "http://arm.com/psa/3.0.0".into();
    let without = |key: i64| claims().into_iter().filter(|(name, _)| *name != key).collect();
    let mut scenarios: Vec<Scenario> = vec![
        (arm::psa("PSA as it should be", SECURED), &[]),
        (arm::psa("PSA being debugged", 0x4000), &["debug"]),
        (arm::psa("PSA with its root of trust being debugged", 0x5001), &["debug"]),
        (arm::psa("PSA on the assembly line", 0x1000), &["lifecycle"]),
        (arm::psa("PSA decommissioned", 0x6000), &["lifecycle"]),
        (arm::psa_of("PSA without a nonce", without(10)), &["malformed"]),
        (arm::psa_of("PSA without an instance", without(256)), &["malformed"]),
        (arm::psa_of("PSA without a profile", without(265)), &["malformed"]),
        (arm::psa_of("PSA without a life cycle", without(2395)), &["malformed"]),
        (arm::psa_of("PSA without components", without(2399)), &["malformed"]),
        (arm::psa_of("PSA with a claim twice", [claims(), claims()].concat()), &["malformed"]),
        (arm::psa_of("PSA of the first version", first(Some("PSA_IOT_PROFILE_1"))), &[]),
        (arm::psa_of("PSA of the first version without profile", first(None)), &[]),
        (arm::psa_of("PSA of the first version with another profile", first(Some("PSA"))), &["malformed"]),
        (arm::psa_of("PSA with claims of both versions", [claims(), first(None)].concat()), &[]),
        (arm::psa_of("PSA of a profile that is not known", unknown), &["malformed"]),
        (arm::cca("CCA as it should be", SECURED, false), &[]),
        (arm::cca("CCA being debugged", 0x4000, false), &["debug"]),
        (arm::cca("CCA on the assembly line", 0x1000, false), &["lifecycle"]),
        (arm::cca("CCA with another realm's key", SECURED, true), &["binding"]),
    ];
    let mut other = arm::psa("PSA by another key", SECURED);
    other.anchors.keys = arm::psa("", SECURED).anchors.keys;
    scenarios.push((other, &["bad-signature"]));
    let mut instance = arm::psa("PSA of another instance", SECURED);
    instance.anchors.keys[0].instance_id = Some(vec![7; 33]);
    scenarios.push((instance, &["unknown-key"]));
    scenarios
}

fn simulated_scenarios() -> Vec<Scenario> {
    let dir = tempfile::tempdir().unwrap();
    let platform = SimulatedPlatform::open(dir.path(), &tee::measure_bytes(b"code")).unwrap();
    platform.sealing_key(KeyPolicy::Signer).unwrap();
    let case = |name, now: u64, allow_simulated| {
        let made_ms = crate::issued::NOW * 1000;
        let mut case = crate::issued::case(name, "claims", platform.attest(&[0x5d; 64], made_ms).unwrap());
        case.now = now;
        case.policy = Policy { any_code: true, allow_simulated, ..Policy::default() };
        case
    };
    let now = crate::issued::NOW;
    vec![
        (case("simulated, allowed", now, true), &[]),
        (case("simulated, not allowed", now, false), &["simulated"]),
        (case("simulated, old", now + 301, true), &["too-old"]),
        (case("simulated, of tomorrow", now - 61, true), &["from-the-future"]),
    ]
}

fn recorded_scenarios() -> Vec<Scenario> {
    let with = |mut case: Case, change: fn(&mut Case)| {
        change(&mut case);
        case
    };
    vec![
        (with(cases::snp(), |case| case.policy.any_code = false), &["platform-not-allowed"]),
        (with(cases::snp(), |case| case.anchors.amd.clear()), &["untrusted-root"]),
        (with(cases::snp(), |case| case.now += 3_000_000_000), &["expired", "expired", "expired"]),
        (with(cases::snp(), |case| case.now = 0), &["not-yet-valid", "not-yet-valid", "not-yet-valid"]),
        (with(cases::snp(), |case| case.collateral.certificates.clear()), &["collateral-missing"]),
        (with(cases::tdx(), |case| case.collateral.dcap = Some(b"{}".to_vec())), &["collateral"]),
        (cases::tdx_outdated(), &["tcb-status"]),
        (
            with(cases::snp(), |case| {
                case.policy.minimum_tcb =
                    [(PlatformKind::SevSnp, [("microcode".to_owned(), 255)].into())].into();
            }),
            &["tcb-version"],
        ),
    ]
}

fn all() -> Vec<Scenario> {
    [snp_scenarios(), tpm_scenarios(), arm_scenarios(), simulated_scenarios(), recorded_scenarios()]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn each_scenario_has_its_own_reasons() {
    for (case, expected) in all() {
        assert_eq!(case.reasons(), expected, "{}: {:?}", case.name, case.verify().err());
    }
}

#[test]
fn every_kind_of_refusal_is_reached() {
    let mut reached: BTreeSet<&str> = all().into_iter().flat_map(|(case, _)| case.reasons()).collect();
    let bound = cases::nitro();
    reached.extend(reasons(bound.verify_as(&bound.evidence, Some(&[7; 64]))));
    let mut sgx = cases::sgx();
    sgx.policy = Policy { tolerated_advisories: Some([].into()), ..Policy::genuine() };
    reached.extend(sgx.reasons());
    let mut measured = cases::snp();
    measured.policy.any_code = false;
    measured.policy.allowed = vec![(PlatformKind::SevSnp, [("measurement".to_owned(), vec![0; 48])].into())];
    reached.extend(measured.reasons());
    assert_eq!(reached, BTreeSet::from(Refusal::REASONS));
}

#[test]
fn issued_evidence_with_any_byte_flipped_is_refused() {
    let machine = Machine::boot(&[(0, b"firmware"), (14, b"k3s-daas")]);
    let cases = [
        snp::issue("SNP", &Wanted::default()).case,
        machine.case("TPM"),
        machine.certified("certified TPM"),
        arm::psa("PSA", SECURED),
        arm::cca("CCA", SECURED, false),
    ];
    for case in cases {
        let raw = case.raw();
        for at in 0..raw.len() {
            let mut changed = raw.to_vec();
            changed[at] ^= 1;
            let refused = reasons(case.verify_as(&case.with_raw(changed), None));
            assert!(!refused.is_empty(), "{}: byte {at} changed and accepted", case.name);
        }
    }
}

#[test]
fn a_tpms_evidence_counts_byte_by_byte_in_every_part() {
    let case = Machine::boot(&[(0, b"firmware"), (14, b"k3s-daas")]).case("TPM");
    for part in ["quote", "signature", "pcrs", "ak-public"] {
        let raw = case.evidence.part(part).unwrap();
        for at in 0..raw.len() {
            let mut changed = raw.to_vec();
            changed[at] ^= 1;
            let changed = case.evidence.clone().with_part(part, changed);
            assert!(case.verify_as(&changed, None).is_err(), "{part}: byte {at} changed and accepted");
        }
    }
}

#[test]
fn report_data_of_a_tpm_may_be_hashed() {
    let case = Machine::boot(&[]).case("TPM");
    assert!(case.verify_as(&case.evidence, Some(&[0x5d; 64])).is_ok());
    assert_eq!(reasons(case.verify_as(&case.evidence, Some(&[0x5e; 64]))), ["report-data"]);
}

#[test]
fn arm_components_have_names() {
    let claims = arm::psa("PSA", SECURED).verify().unwrap();
    let names: Vec<&str> = claims.measurements.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "bl",
            "bl-signer",
            "implementation-id",
            "instance-id",
            "prot",
            "prot-signer",
            "sw2",
            "sw2-signer",
            "sw3",
            "sw3-signer"
        ]
    );
    let cca = arm::cca("CCA", SECURED, false).verify().unwrap();
    for name in ["rim", "rem0", "rem3", "rpv", "platform-bl", "platform-sw3"] {
        assert!(cca.measurements.contains_key(name), "{name}");
    }
}
