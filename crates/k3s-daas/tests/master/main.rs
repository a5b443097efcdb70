//! The command line against a master: `verify https://…`, pins in kubeconfigs, and what a man in the middle can bring.
#![allow(clippy::unwrap_used, reason = "tests")]

mod gateway;

use std::process::Command;

use gateway::{Fault, Gateway};
use serde_json::{Value, json};
use tee::Platform as _;

struct Desk {
    gateway: Gateway,
    dir: tempfile::TempDir,
}

struct Answer {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{}{}", self.stdout, self.stderr))
    }
}

impl Desk {
    fn new() -> Self {
        Self { gateway: Gateway::start(), dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn policy(&self) -> String {
        let code = hex::encode(&self.gateway.platform.measurement()["code"]);
        let allow = format!("[[allow]]\nplatform = \"simulated\"\nmeasurements = {{ code = \"{code}\" }}\n");
        self.file("policy.toml", format!("allow_simulated = true\n{allow}"))
    }

    fn run_with(&self, env: &[(&str, &str)], args: &[&str]) -> Answer {
        let output = Command::new(env!("CARGO_BIN_EXE_k3s-daas"))
            .args(["--state-dir", self.dir.path().join("state").to_str().unwrap()])
            .args(args)
            .env_clear()
            .envs(env.iter().copied())
            .output()
            .unwrap();
        Answer {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn run(&self, args: &[&str]) -> Answer {
        self.run_with(&[], args)
    }

    /// With the CA that the chain would have, and the code.
    fn verify(&self, more: &[&str]) -> Answer {
        let (url, policy, ca) = (self.gateway.url(), self.policy(), hex::encode(self.gateway.ca_hash));
        self.run(&[&["-o", "json", "verify", &url, "--policy", &policy, "--ca-hash", &ca], more].concat())
    }
}

#[test]
fn what_a_master_proves_is_printed() {
    let desk = Desk::new();
    let answer = desk.verify(&[]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let proven = answer.json();
    assert_eq!(proven["accepted"], true);
    assert_eq!((&proven["platform"], &proven["simulated"]), (&json!("simulated"), &json!(true)));
    let code = hex::encode(&desk.gateway.platform.measurement()["code"]);
    assert_eq!(proven["measurements"]["code"], code);
    assert_eq!(
        proven["ca"],
        json!({ "sha256": hex::encode(desk.gateway.ca_hash), "comparedWith": "--ca-hash" })
    );
    assert_eq!(proven["code"]["comparedWith"], "--policy");
    assert_eq!(proven["enclave"]["publicKey"], "07".repeat(32));
    assert_eq!(proven["tlsKey"]["sha256"].as_str().unwrap().len(), 64);
    assert!(answer.stderr.contains("SIMULATED"), "{}", answer.stderr);

    // Nobody said what to compare with: said, and shown as null.
    let url = desk.gateway.url();
    let answer = desk.run(&["-o", "json", "verify", &url]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(answer.json()["ca"]["comparedWith"], Value::Null);
    assert_eq!(answer.json()["code"]["comparedWith"], Value::Null);
    assert!(answer.stderr.contains("for you to compare with the chain"), "{}", answer.stderr);
    let text = desk.run(&["verify", &url]);
    assert!(text.stdout.contains(&format!("measurements.code: {code}\n")), "{}", text.stdout);

    // Without leave, simulated evidence is none.
    let strict = desk.run_with(&[("MOCK_MODE", "false")], &["-o", "json", "verify", &url]);
    assert_eq!((strict.code, &strict.json()["refusals"][0]["reason"]), (3, &json!("simulated")));
}

#[test]
fn a_man_in_the_middle_is_refused_in_its_own_words() {
    let desk = Desk::new();
    for (fault, reason, words) in [
        (Fault::OtherTls, "tls_untrusted", "that its CA did not sign"),
        (Fault::NoEvidence, "no_evidence", "carries no attestation evidence"),
        (Fault::OldEvidence, "evidence_old", "older than the policy allows"),
        (Fault::Ended, "tls_untrusted", "expired"),
        (
            Fault::CopiedEvidence,
            "evidence_of_another_key",
            "made for another key: whoever shows it has copied it",
        ),
        (Fault::OtherCode, "measurement", "measurement \"code\" differs: expected"),
        (Fault::StaleNonce, "report-data", "report data differs"),
    ] {
        desk.gateway.set(fault);
        let answer = desk.verify(&["--pin"]);
        assert_eq!(answer.code, 3, "{fault:?}: {}{}", answer.stdout, answer.stderr);
        let refused = answer.json();
        assert_eq!(refused["accepted"], false, "{fault:?}");
        assert_eq!(refused["refusals"][0]["reason"], reason, "{fault:?}: {refused:#}");
        let message = refused["refusals"][0]["message"].as_str().unwrap();
        assert!(message.contains(words), "{fault:?}: {message}");
        assert!(answer.stderr.contains("is not proven"), "{fault:?}: {}", answer.stderr);
        // What is not proven is not pinned.
        assert!(!desk.dir.path().join("state/pin.json").exists(), "{fault:?}");
    }
    desk.gateway.set(Fault::None);
    assert_eq!(desk.verify(&[]).code, 0);
    let (url, policy) = (desk.gateway.url(), desk.policy());
    let other = "00".repeat(32);
    let answer = desk.run(&["-o", "json", "verify", &url, "--policy", &policy, "--ca-hash", &other]);
    assert_eq!((answer.code, &answer.json()["refusals"][0]["reason"]), (3, &json!("ca_mismatch")));
}

#[test]
fn what_is_no_master_is_a_failure_and_no_refusal() {
    let desk = Desk::new();
    desk.gateway.set(Fault::Broken);
    let answer = desk.verify(&[]);
    assert_eq!((answer.code, answer.stdout.as_str()), (1, ""), "{}", answer.stderr);
    let url = desk.gateway.url();
    for (args, code) in [
        (vec!["verify", "https://127.0.0.1:1"], 1),
        (vec!["verify", "http://127.0.0.1:1"], 2),
        (vec!["verify", "--platform", "tdx"], 2),
        (vec!["verify"], 2),
        (vec!["verify", &url, "--platform", "tdx", "--evidence", "x"], 2),
        (vec!["verify", &url, "--at", "2026-01-01T00:00:00Z"], 2),
        (vec!["verify", &url, "--ca-hash", "00"], 2),
        (vec!["verify", &url, "--policy", "/nonexistent"], 2),
    ] {
        let answer = desk.run(&args);
        assert_eq!(answer.code, code, "{args:?}: {}", answer.stderr);
        assert!(answer.stderr.contains("error:"), "{args:?}: {}", answer.stderr);
    }
}

#[test]
fn a_pin_is_in_the_kubeconfig_and_no_credential_is_made_for_other_code() {
    let desk = Desk::new();
    let id = |byte: &str| format!("0x{}", byte.repeat(32));
    desk.file(
        "state/deployment.json",
        json!({
            "gateway": desk.gateway.url(),
            "apiserver": "https://127.0.0.1:6443",
            "caHash": hex::encode(desk.gateway.ca_hash),
        })
        .to_string(),
    );
    let token = json!({
        "name": "admin", "wallet": "operator", "stakeId": id("57"), "tokenId": id("70"), "seal": "5e".repeat(32),
    });
    desk.file("state/tokens/admin.json", token.to_string());
    use ed25519_dalek::pkcs8::EncodePrivateKey;
    use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
    let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]).to_pkcs8_pem(LineEnding::LF).unwrap();
    let path = desk.file("state/tokens/admin.key", key.as_bytes());
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();

    let plain = desk.run(&["kubeconfig"]);
    assert_eq!(plain.code, 0, "{}", plain.stderr);
    assert!(!plain.stdout.contains("pinned") && !plain.stdout.contains("extensions"), "{}", plain.stdout);
    assert_eq!(desk.run(&["credential"]).code, 0);

    assert_eq!(desk.verify(&["--pin"]).code, 0);
    let pinned = desk.run(&["kubeconfig"]);
    assert_eq!(pinned.code, 0, "{}", pinned.stderr);
    assert!(pinned.stdout.contains("provideClusterInfo: true") && pinned.stdout.contains("--pinned]"));
    assert!(pinned.stdout.contains("- name: client.authentication.k8s.io/exec"), "{}", pinned.stdout);
    let pin = pinned.stdout.lines().find_map(|line| line.trim().strip_prefix("extension: ")).unwrap();
    let pin: Value = serde_json::from_str(pin).unwrap();
    let code = hex::encode(&desk.gateway.platform.measurement()["code"]);
    assert_eq!((&pin["measurements"]["code"], &pin["simulated"]), (&json!(code), &json!(true)));

    // As client-go hands it to the plugin.
    let info = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "spec": { "interactive": false, "cluster": { "server": "https://127.0.0.1:6443", "config": pin } },
    })
    .to_string();
    let credential = || desk.run_with(&[("KUBERNETES_EXEC_INFO", &info)], &["credential", "--pinned"]);
    let good = credential();
    assert_eq!(good.code, 0, "{}", good.stderr);
    assert!(good.json()["status"]["token"].is_string());

    for (fault, words) in [
        (Fault::OtherCode, "measurement \"code\" differs"),
        (Fault::NoEvidence, "carries no attestation evidence"),
        (Fault::OtherEnclave, "another enclave key: expected 0707"),
    ] {
        desk.gateway.set(fault);
        for refused in [credential(), desk.run(&["kubeconfig"])] {
            assert_eq!((refused.code, refused.stdout.as_str()), (3, ""), "{fault:?}: {}", refused.stderr);
            assert!(refused.stderr.contains(words), "{fault:?}: {}", refused.stderr);
            assert!(refused.stderr.contains("kubeconfig --pin"), "{fault:?}: {}", refused.stderr);
        }
    }
    // A plugin that is told to look at a pin and gets none makes no credential.
    desk.gateway.set(Fault::None);
    assert_eq!(desk.run(&["credential", "--pinned"]).code, 2);
}
