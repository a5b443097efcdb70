use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tee::{Anchors, Claims, Collateral, Evidence, Policy, Refusal, Refusals, Verifier, node_report_data};

use super::EvidenceRefusal;
use crate::Id;
use crate::turns::{TurnError, Turns};

/// Verifies evidence of nodes on few threads, so that a thousand that come at once stall nobody else.
pub(crate) struct Checker {
    trust: Arc<(Anchors, Collateral)>,
    turns: Turns,
    /// Processor time that each verification takes besides, so that tests have evidence as dear as hardware's.
    #[cfg(test)]
    pub(crate) burn: std::time::Duration,
}

/// What a node showed, and what it has to be bound to.
pub(crate) struct Shown {
    pub(crate) cluster: [u8; 32],
    /// That the master gave and has spent for this.
    pub(crate) nonce: [u8; 32],
    /// Of the certificate that the connection was made with.
    pub(crate) token: Id,
    /// SHA-256 of the connection's key.
    pub(crate) key: [u8; 32],
    /// What the node says that it was made for: it finds a refusal's reason and decides nothing.
    pub(crate) claimed_token: Id,
    pub(crate) claimed_key: [u8; 32],
    /// Base64.
    pub(crate) evidence: String,
}

impl Checker {
    pub(crate) fn new(anchors: Anchors, collateral: Collateral) -> Self {
        // Half of the processors, so that the other half always answers.
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let turns = Turns::new((processors / 2).max(1));
        Self {
            trust: Arc::new((anchors, collateral)),
            turns,
            #[cfg(test)]
            burn: std::time::Duration::ZERO,
        }
    }

    /// What the evidence says, if it is genuine, bound as it should be, and satisfies `policy`.
    pub(crate) async fn check(
        &self,
        shown: Shown,
        policy: Arc<Policy>,
        now_ms: u64,
    ) -> Result<Result<Claims, EvidenceRefusal>, TurnError> {
        let trust = self.trust.clone();
        #[cfg(test)]
        let burn = self.burn;
        let check = move || {
            #[cfg(test)]
            {
                let began = std::time::Instant::now();
                while began.elapsed() < burn {}
            }
            shown.check(&trust, &policy, now_ms)
        };
        self.turns.take(check).await
    }
}

impl Shown {
    fn check(
        &self,
        trust: &(Anchors, Collateral),
        policy: &Policy,
        now_ms: u64,
    ) -> Result<Claims, EvidenceRefusal> {
        let malformed = |problem: &str| EvidenceRefusal::Malformed(problem.chars().take(200).collect());
        let bytes = STANDARD.decode(&self.evidence).map_err(|_| malformed("it is not base64"))?;
        let evidence = Evidence::decode(&bytes).map_err(|error| malformed(&error.to_string()))?;
        let (anchors, collateral) = trust;
        let verifier = Verifier { anchors, collateral, now_ms };
        let expected = self.bound_to(self.token, self.key);
        verifier.verify(&evidence, policy, Some(&expected)).map_err(|refusals| self.reason(&refusals))
    }

    fn bound_to(&self, token: Id, key: [u8; 32]) -> [u8; 64] {
        node_report_data(&self.nonce, &self.cluster, &token.0, &key)
    }

    /// Evidence that is not bound to this node says nothing about it: only then its other faults matter.
    fn reason(&self, refusals: &Refusals) -> EvidenceRefusal {
        let actual = refusals.iter().find_map(|refusal| match refusal {
            Refusal::ReportData { actual, .. } => Some(actual),
            _ => None,
        });
        let Some(actual) = actual else { return EvidenceRefusal::of(refusals) };
        let is_for = |token, key| {
            let data = self.bound_to(token, key);
            // A TPM's field holds the digest of it.
            *actual == hex::encode(data) || *actual == hex::encode(Sha256::digest(data))
        };
        if is_for(self.claimed_token, self.key) || is_for(self.claimed_token, self.claimed_key) {
            if self.claimed_token == self.token {
                EvidenceRefusal::OtherKey
            } else {
                EvidenceRefusal::OtherNode
            }
        } else {
            EvidenceRefusal::Unbound
        }
    }
}
