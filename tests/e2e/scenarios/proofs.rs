use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::DecodePrivateKey;
use rand::RngCore;
use seal_token::{Claims, Proof};
use serde_json::Value;

use crate::Outcome;
use crate::cluster::Cluster;

/// A holder of a seal token, free to sign anything with its key.
#[derive(Clone)]
pub(crate) struct Holder {
    pub(crate) key: SigningKey,
    pub(crate) token_id: [u8; 32],
    pub(crate) seal: [u8; 32],
    pub(crate) audience: [u8; 32],
}

impl Holder {
    /// The holder of a token of the cluster's state directory.
    pub(crate) fn of(cluster: &Cluster, token: &str) -> Result<Self, String> {
        let proof = Proof::from_str(cluster.cli(&["token", "mint", token])?.ok()?.trim())
            .map_err(|error| error.to_string())?;
        let file = cluster.state().join("tokens").join(format!("{token}.key"));
        let pem = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let key = SigningKey::from_pkcs8_pem(&pem).map_err(|error| error.to_string())?;
        Ok(Self {
            key,
            token_id: proof.claims.token_id,
            seal: proof.claims.seal,
            audience: proof.claims.audience,
        })
    }

    /// Somebody with a key of their own and a token id that nobody has.
    pub(crate) fn stranger(other: &Self) -> Self {
        Self {
            key: SigningKey::from_bytes(&random()),
            token_id: random(),
            seal: random(),
            audience: other.audience,
        }
    }

    /// A proof valid for five minutes, after `change` had its way with the claims.
    pub(crate) fn proof(&self, change: impl FnOnce(&mut Claims)) -> String {
        let now = now_ms();
        let mut claims = Claims {
            version: 1,
            token_id: self.token_id,
            seal: self.seal,
            audience: self.audience,
            not_before_ms: now.saturating_sub(1_000),
            not_after_ms: now + 240_000,
            nonce: random(),
        };
        change(&mut claims);
        Proof::mint(&self.key, claims).to_string()
    }
}

/// Each bad proof: 401 from the apiserver, and its own reason in the master's metric and log.
pub(crate) fn refusals(cluster: &mut Cluster) -> Outcome {
    let holder = Holder::of(cluster, "alice")?;
    if whoami(cluster, &holder.proof(|_| ()))? != 201 {
        return Err("a good proof was not accepted".into());
    }
    let other_key = Holder { key: SigningKey::from_bytes(&random()), ..holder.clone() };
    let hour = 3_600_000;
    let cases = [
        (
            "expired",
            holder.proof(|claims| {
                claims.not_before_ms -= hour;
                claims.not_after_ms -= hour;
            }),
        ),
        (
            "not_yet_valid",
            holder.proof(|claims| {
                claims.not_before_ms += hour;
                claims.not_after_ms += hour;
            }),
        ),
        ("window_too_long", holder.proof(|claims| claims.not_after_ms += 100 * 24 * hour)),
        ("wrong_audience", holder.proof(|claims| claims.audience = random())),
        ("bad_signature", other_key.proof(|_| ())),
        ("seal_mismatch", holder.proof(|claims| claims.seal = random())),
        ("malformed", "not-a-proof".to_owned()),
    ];
    for (reason, proof) in &cases {
        refused(cluster, reason, proof)?;
    }
    cluster.cli(&["token", "revoke", "alice"])?.ok()?;
    crate::command::eventually(std::time::Duration::from_secs(2), || {
        refused(cluster, "token_revoked", &holder.proof(|_| ()))
    })?;
    cluster.cli(&["token", "issue", "alice"])?.ok()?;
    let log = cluster.log();
    for (_, proof) in cases {
        if proof.len() > 40 && log.contains(&proof) {
            return Err("a proof is in the log".into());
        }
    }
    Ok(())
}

fn refused(cluster: &Cluster, reason: &str, proof: &str) -> Outcome {
    let label = format!("\"{reason}\"");
    let before = cluster.metric("k3s_daas_token_refusals_total", &label)?;
    let status = whoami(cluster, proof)?;
    if status != 401 {
        return Err(format!("{reason}: the apiserver answered {status}, not 401"));
    }
    let after = cluster.metric("k3s_daas_token_refusals_total", &label)?;
    if after <= before {
        return Err(format!("{reason}: not counted under its reason ({before} then {after})"));
    }
    if !cluster.log().contains(reason) {
        return Err(format!("{reason}: not in the master's log"));
    }
    Ok(())
}

/// Asks the apiserver who the bearer of `proof` is; 201 means that it knows.
pub(crate) fn whoami(cluster: &Cluster, proof: &str) -> Result<u16, String> {
    let review = serde_json::json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    let url = cluster.api("/apis/authentication.k8s.io/v1/selfsubjectreviews");
    let reply = cluster.http()?.post(url).bearer_auth(proof).json::<Value>(&review).send();
    Ok(reply.map_err(|error| error.to_string())?.status().as_u16())
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
