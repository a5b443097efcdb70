//! `k3s-daas verify` on recorded evidence of real hardware, with collateral from files, from a local service and from the
//! cache.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../../../tee/tests/platforms/fixtures.rs"]
mod fixtures;
mod service;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use service::Service;

struct Desk {
    dir: tempfile::TempDir,
}

struct Answer {
    code: i32,
    json: Value,
    stderr: String,
}

impl Answer {
    fn reasons(&self) -> Vec<&str> {
        let refusals = self.json["refusals"].as_array().unwrap();
        refusals.iter().map(|refusal| refusal["reason"].as_str().unwrap()).collect()
    }
}

impl Desk {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }

    fn fixture(&self, package: &str, path: &str) -> String {
        let name = Path::new(path).file_name().unwrap().to_str().unwrap();
        self.file(name, fixtures::read(package, path))
    }

    fn run(&self, args: &[&str]) -> Answer {
        let output = Command::new(env!("CARGO_BIN_EXE_k3s-daas"))
            .args(["--state-dir", self.path("state").to_str().unwrap(), "-o", "json"])
            .args(args)
            .env_clear()
            .output()
            .unwrap();
        Answer {
            code: output.status.code().unwrap(),
            json: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn verify(&self, platform: &str, evidence: &str, more: &[&str]) -> Answer {
        self.run(&[&["verify", "--platform", platform, "--evidence", evidence], more].concat())
    }
}

/// Three days after Intel issued the TCB info.
fn time_of(collateral: &[u8]) -> String {
    let outer: Value = serde_json::from_slice(collateral).unwrap();
    let tcb_info: Value = serde_json::from_str(outer["tcb_info"].as_str().unwrap()).unwrap();
    let format = &time::format_description::well_known::Rfc3339;
    let issued = time::OffsetDateTime::parse(tcb_info["issueDate"].as_str().unwrap(), format).unwrap();
    (issued + time::Duration::days(3)).format(format).unwrap()
}

#[test]
fn quotes_with_collateral_in_a_file() {
    let desk = Desk::new();
    for (platform, name) in [("sgx", "sgx_quote"), ("tdx", "tdx_quote"), ("tdx", "tdx_quote_td15ex")] {
        let evidence = desk.fixture("dcap-qvl", &format!("sample/{name}"));
        let collateral = desk.fixture("dcap-qvl", &format!("sample/{name}_collateral.json"));
        let at = time_of(&std::fs::read(&collateral).unwrap());
        let good = desk.verify(platform, &evidence, &["--collateral", &collateral, "--at", &at]);
        assert_eq!((good.code, &good.json["accepted"]), (0, &Value::Bool(true)), "{name}: {}", good.stderr);
        assert_eq!(good.json["platform"], platform);
        assert!(
            good.json["tcb"]["status"].is_string() && good.json["verifiedAt"] == at.as_str(),
            "{:#}",
            good.json
        );

        let late =
            desk.verify(platform, &evidence, &["--collateral", &collateral, "--at", "2049-01-01T00:00:00Z"]);
        assert_eq!(late.code, 3, "{}", late.stderr);
        assert!(late.reasons().contains(&"expired"), "{:?}", late.reasons());
        let without = desk.verify(platform, &evidence, &["--offline", "--at", &at]);
        assert_eq!((without.code, without.reasons()), (3, vec!["collateral-missing"]));
    }
}

#[test]
fn a_report_in_hexadecimal_with_its_certificate() {
    let desk = Desk::new();
    let report = desk.fixture("sev", "tests/certs_data/report_milan.hex");
    let vcek = desk.fixture("sev", "tests/certs_data/vcek_milan.der");
    let chain = desk.fixture("sev", "tests/certs_data/cert_chain_milan");
    let at = "2023-11-14T22:13:20Z";
    let good = desk.verify("sev-snp", &report, &["--certs", &vcek, &chain, "--at", at]);
    assert_eq!(good.code, 0, "{}", good.stderr);
    let measured = good.json["measurements"]["measurement"].as_str().unwrap().to_owned();
    assert_eq!(measured.len(), 96);

    let binary = hex::decode(std::fs::read_to_string(&report).unwrap().trim()).unwrap();
    let mut changed = binary.clone();
    changed[0x50] ^= 1;
    let changed = desk.file("changed", changed);
    let refused = desk.verify("sev-snp", &changed, &["--certs", &vcek, "--at", at]);
    assert_eq!((refused.code, refused.reasons()), (3, vec!["bad-signature"]));
    assert!(refused.stderr.contains("signature is not valid"), "{}", refused.stderr);

    let binary = desk.file("binary", binary);
    let policy = |text: &str| desk.file("policy.toml", text);
    let allowed =
        format!("[[allow]]\nplatform = \"sev-snp\"\nmeasurements = {{ measurement = \"{measured}\" }}\n");
    let fits =
        desk.verify("sev-snp", &binary, &["--certs", &vcek, "--at", at, "--policy", &policy(&allowed)]);
    assert_eq!(fits.code, 0, "{}", fits.stderr);
    let strict = policy(
        "[[allow]]\nplatform = \"sev-snp\"\nmeasurements = { measurement = \"00\", vmpl = \"01\" }\n[tcb.minimum.sev-snp]\nmicrocode = 255\n",
    );
    let all = desk.verify(
        "sev-snp",
        &binary,
        &["--certs", &vcek, "--at", at, "--policy", &strict, "--report-data", &"07".repeat(64)],
    );
    assert_eq!(
        (all.code, all.reasons()),
        (3, vec!["measurement", "measurement", "report-data", "tcb-version"])
    );
}

#[test]
fn documents_tokens_and_our_own_envelope() {
    let desk = Desk::new();
    let nitro = desk.fixture("nitro_attest", "tests/fixtures/attestation.cose");
    let good = desk.verify("nitro", &nitro, &["--at", "2025-01-06T16:07:05Z"]);
    assert_eq!(good.code, 0, "{}", good.stderr);
    assert_eq!(good.json["time"].as_str().unwrap().split('.').next(), Some("2025-01-06T16:07:05"));
    let debug = desk.fixture("remote-attestation-verifier", "fixtures/example_attestation");
    let refused = desk.verify("nitro", &debug, &["--at", "2024-09-09T19:50:00Z"]);
    assert_eq!((refused.code, refused.reasons()), (3, vec!["debug"]), "{}", refused.stderr);

    let token = desk.fixture("ccatoken", "testdata/cca-token-02.cbor");
    let keys = desk.fixture("ccatoken", "testdata/ta-02-ok.json");
    assert_eq!(desk.verify("cca", &token, &["--certs", &keys]).code, 0);
    assert_eq!(desk.verify("cca", &token, &[]).reasons(), ["unknown-key"]);

    let attested = desk.run(&["attest"]);
    assert_eq!(attested.code, 0, "{}", attested.stderr);
    let envelope = desk.file("envelope", attested.json["evidence"].as_str().unwrap());
    let ours = desk.verify(
        attested.json["platform"].as_str().unwrap(),
        &envelope,
        &["--report-data", attested.json["reportData"].as_str().unwrap()],
    );
    assert_eq!(ours.code, 0, "{}", ours.stderr);
    assert_eq!(ours.json["measurements"], attested.json["measurements"]);
}

#[test]
fn what_cannot_be_read_is_the_callers_mistake() {
    let desk = Desk::new();
    let words = desk.file("words", "these are words, not evidence");
    for platform in ["sgx", "tdx", "sev-snp", "nitro", "cca", "trustzone", "tpm", "simulated"] {
        let answer = desk.verify(platform, &words, &["--offline"]);
        assert_eq!(answer.code, 2, "{platform}: {}", answer.stderr);
        assert!(answer.stderr.contains("words: not attestation evidence"), "{platform}: {}", answer.stderr);
    }
    let large = desk.file("large", vec![b'A'; 10 << 20]);
    assert_eq!(desk.verify("tdx", &large, &["--offline"]).code, 2);
    assert_eq!(desk.verify("tdx", "/nonexistent", &[]).code, 2);
    let nitro = desk.fixture("nitro_attest", "tests/fixtures/attestation.cose");
    for more in [
        ["--collateral", &words],
        ["--certs", &words],
        ["--policy", &words],
        ["--at", "yesterday"],
        ["--report-data", "00"],
    ] {
        assert_eq!(desk.verify("nitro", &nitro, &more).code, 2, "{more:?}");
    }
    assert_eq!(desk.verify("abacus", &nitro, &[]).code, 2);
}

#[test]
fn collateral_is_fetched_once_and_again_when_it_has_expired() {
    let desk = Desk::new();
    let evidence = desk.fixture("dcap-qvl", "sample/tdx_quote");
    let recorded = fixtures::read("dcap-qvl", "sample/tdx_quote_collateral.json");
    let service = Service::start(&recorded);
    let at = time_of(&recorded);
    let from = ["--intel-pcs", service.url()];

    let first = desk.verify("tdx", &evidence, &[&from[..], &["--at", &at]].concat());
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert_eq!(service.requests(), 4);
    let second = desk.verify("tdx", &evidence, &[&from[..], &["--at", &at]].concat());
    assert_eq!((second.code, service.requests()), (0, 4), "{}", second.stderr);
    assert_eq!(first.json, second.json);
    let late = desk.verify("tdx", &evidence, &[&from[..], &["--at", "2049-01-01T00:00:00Z"]].concat());
    assert_eq!((late.code, service.requests()), (3, 8), "{}", late.stderr);
    assert!(late.reasons().contains(&"expired"));

    // A damaged entry is fetched again.
    for entry in std::fs::read_dir(desk.path("state/collateral")).unwrap() {
        std::fs::write(entry.unwrap().path(), "{").unwrap();
    }
    let mended = desk.verify("tdx", &evidence, &[&from[..], &["--at", &at]].concat());
    assert_eq!((mended.code, service.requests()), (0, 12), "{}", mended.stderr);

    let bundle = desk.path("bundle.json").display().to_string();
    let export =
        ["attest", "collateral", "--platform", "tdx", "--evidence", &evidence, "--intel-pcs", service.url()];
    let exported = desk.run(&[&export[..], &["--export", &bundle]].concat());
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    let offline = desk.verify("tdx", &evidence, &["--collateral", &bundle, "--at", &at]);
    assert_eq!(offline.code, 0, "{}", offline.stderr);

    let gone =
        desk.verify("tdx", &evidence, &["--intel-pcs", "http://127.0.0.1:1", "--at", "2048-01-01T00:00:00Z"]);
    assert_eq!((gone.code, gone.reasons()), (3, vec!["collateral-missing"]));
    assert!(gone.stderr.contains("cannot fetch http://127.0.0.1:1/"), "{}", gone.stderr);
}
