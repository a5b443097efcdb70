use std::collections::BTreeMap;

use ring::rand::{SecureRandom, SystemRandom};

use super::{ReleaseRefusal, Request};
use crate::{
    Anchors, Claims, Collateral, Measurements, PlatformKind, Policy, Refusal, TcbBounds, TeeError, Verifier,
};

/// How long a nonce can be used, milliseconds: for evidence that takes seconds to make.
const NONCE_LIFETIME_MS: u64 = 120_000;
/// Nonces given out and not used at a time; the oldest goes first.
const MAX_NONCES: usize = 1024;

/// What the chain says, now, about who may have a cluster's secret.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Code that may be a master now.
    pub allowed: Vec<(PlatformKind, Measurements)>,
    /// Whether the cluster ever trusts the simulated platform.
    pub allow_simulated: bool,
    /// What the cluster asks of platforms beyond the code.
    pub bounds: Vec<(PlatformKind, TcbBounds)>,
    /// ed25519 keys and code of the registered enclaves in standing; `None` when a registration is not asked for.
    pub registered: Option<Vec<(Vec<u8>, PlatformKind, Measurements)>>,
}

/// Decides whether an enclave that asks gets a secret. Gives out nonces, each good for one request.
#[derive(Debug)]
pub struct Gatekeeper {
    cluster: [u8; 32],
    /// TCB, statuses and age; which code, the chain says.
    policy: Policy,
    anchors: Anchors,
    /// By nonce, until when it is good.
    nonces: BTreeMap<[u8; 32], u64>,
}

impl Gatekeeper {
    /// Guards `cluster`'s secret. Of `policy` everything counts but the code and whether simulation is allowed.
    #[must_use]
    pub fn new(cluster: [u8; 32], policy: Policy, anchors: Anchors) -> Self {
        Self { cluster, policy, anchors, nonces: BTreeMap::new() }
    }

    /// A nonce for the next request.
    ///
    /// # Errors
    /// [`TeeError::Random`].
    pub fn nonce(&mut self, now_ms: u64) -> Result<[u8; 32], TeeError> {
        self.nonces.retain(|_, until_ms| *until_ms > now_ms);
        if self.nonces.len() >= MAX_NONCES {
            let oldest = self.nonces.iter().min_by_key(|(_, until_ms)| **until_ms).map(|(nonce, _)| *nonce);
            oldest.map(|nonce| self.nonces.remove(&nonce));
        }
        let mut nonce = [0; 32];
        SystemRandom::new().fill(&mut nonce).map_err(|_| TeeError::Random)?;
        self.nonces.insert(nonce, now_ms.saturating_add(NONCE_LIFETIME_MS));
        Ok(nonce)
    }

    /// Uses up the nonce of `request`; whatever comes of it, the same request is not looked at again. Cheap, so that a
    /// request without a nonce of ours costs nothing.
    ///
    /// # Errors
    /// [`ReleaseRefusal::OtherCluster`], [`ReleaseRefusal::Nonce`].
    pub fn take(&mut self, request: &Request, now_ms: u64) -> Result<(), ReleaseRefusal> {
        if *request.cluster != self.cluster {
            return Err(ReleaseRefusal::OtherCluster);
        }
        match self.nonces.remove(&*request.nonce) {
            Some(until_ms) if until_ms > now_ms => Ok(()),
            _ => Err(ReleaseRefusal::Nonce),
        }
    }

    /// What decides after [`Self::take`], apart from it: verifying takes milliseconds, and others wait for the nonces.
    #[must_use]
    pub fn judge(&self) -> Judge {
        Judge { policy: self.policy.clone(), anchors: self.anchors.clone() }
    }
}

/// Decides about one request whose nonce was taken.
#[derive(Debug)]
pub struct Judge {
    policy: Policy,
    anchors: Anchors,
}

impl Judge {
    /// Whether the evidence is genuine, for this very request, of code that `terms` allow, and of a registered enclave if they
    /// ask for one.
    ///
    /// # Errors
    /// [`ReleaseRefusal::Evidence`], [`ReleaseRefusal::NotRegistered`].
    pub fn admit(
        self,
        request: &Request,
        terms: &Terms,
        collateral: &Collateral,
        now_ms: u64,
    ) -> Result<Claims, ReleaseRefusal> {
        let malformed =
            |error: TeeError| ReleaseRefusal::Evidence(Refusal::Malformed { what: error.to_string() }.into());
        let evidence = request.evidence().map_err(malformed)?;
        let policy = Policy {
            any_code: false,
            allowed: terms.allowed.clone(),
            allow_simulated: terms.allow_simulated,
            ..self.policy
        }
        .bounded(terms.bounds.iter().cloned());
        let verifier = Verifier { anchors: &self.anchors, collateral, now_ms };
        let claims = verifier
            .verify(&evidence, &policy, Some(&request.report_data()))
            .map_err(ReleaseRefusal::Evidence)?;
        if let Some(registered) = &terms.registered {
            let same = |(key, platform, measured): &(Vec<u8>, PlatformKind, Measurements)| {
                key[..] == request.enclave[..]
                    && *platform == evidence.platform()
                    && measured.iter().all(|(name, value)| claims.measurements.get(name) == Some(value))
            };
            if !registered.iter().any(same) {
                return Err(ReleaseRefusal::NotRegistered);
            }
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteArray;

    use super::super::{Answer, ClusterSecret, Pending};
    use super::*;
    use crate::{Platform, SimulatedPlatform, measure_bytes};

    const NOW: u64 = 1_800_000_000_000;
    const CLUSTER: [u8; 32] = [5; 32];
    const KEY: [u8; 32] = [7; 32];

    fn platform(dir: &tempfile::TempDir, code: &[u8]) -> SimulatedPlatform {
        SimulatedPlatform::open(dir.path(), &measure_bytes(code)).unwrap()
    }

    fn terms(platform: &dyn Platform) -> Terms {
        let allowed = vec![(platform.kind(), platform.measurement())];
        Terms { allowed, allow_simulated: true, bounds: Vec::new(), registered: None }
    }

    fn asked(gate: &mut Gatekeeper, platform: &dyn Platform) -> (Request, Pending) {
        let nonce = gate.nonce(NOW).unwrap();
        Request::make(platform, CLUSTER, nonce, KEY, NOW).unwrap()
    }

    fn gate() -> Gatekeeper {
        Gatekeeper::new(CLUSTER, Policy::default(), Anchors::default())
    }

    fn decide(gate: &mut Gatekeeper, request: &Request, terms: &Terms) -> Result<Claims, ReleaseRefusal> {
        gate.take(request, NOW)?;
        gate.judge().admit(request, terms, &Collateral::default(), NOW)
    }

    #[test]
    fn allowed_code_gets_the_secret_once_for_each_nonce() {
        let dir = tempfile::tempdir().unwrap();
        let (mut gate, code) = (gate(), platform(&dir, b"code"));
        let (request, pending) = asked(&mut gate, &code);
        let request = Request::decode(&request.encode()).unwrap();
        decide(&mut gate, &request, &terms(&code)).unwrap();
        let secret = ClusterSecret::generate().unwrap();
        let answer = Answer::decode(&Answer::secret(&request, &secret).unwrap().encode()).unwrap();
        assert_eq!(pending.secret(&answer).unwrap().commitment(), secret.commitment());
        assert!(pending.share(&answer).is_err(), "a secret is no share");
        let (_, other) = asked(&mut gate, &code);
        assert!(other.secret(&answer).is_err(), "another request's key reads nothing");
        assert_eq!(decide(&mut gate, &request, &terms(&code)).unwrap_err(), ReleaseRefusal::Nonce);
    }

    #[test]
    fn each_reason_not_to() {
        let dir = tempfile::tempdir().unwrap();
        let mut gate = gate();
        let (code, other) = (platform(&dir, b"code"), platform(&dir, b"other code"));
        let reason = |result: Result<Claims, ReleaseRefusal>| result.unwrap_err().reason();
        let mut seen = std::collections::BTreeSet::new();

        let (request, _) = asked(&mut gate, &other);
        seen.insert(reason(decide(&mut gate, &request, &terms(&code))));

        // Evidence for one key, and another key in the request: a man in the middle who wants the answer.
        let (mut request, _) = asked(&mut gate, &code);
        request.recipient = ByteArray::new([1; 32]);
        seen.insert(reason(decide(&mut gate, &request, &terms(&code))));

        let (request, _) = asked(&mut gate, &code);
        let simulated_is_not_allowed = Terms { allow_simulated: false, ..terms(&code) };
        assert_eq!(reason(decide(&mut gate, &request, &simulated_is_not_allowed)), "evidence_refused");

        let (mut request, _) = asked(&mut gate, &code);
        request.evidence = serde_bytes::ByteBuf::from(b"evidence".to_vec());
        assert_eq!(reason(decide(&mut gate, &request, &terms(&code))), "evidence_refused");

        let (mut request, _) = asked(&mut gate, &code);
        request.cluster = ByteArray::new([6; 32]);
        seen.insert(reason(decide(&mut gate, &request, &terms(&code))));

        let nonce = gate.nonce(NOW - NONCE_LIFETIME_MS).unwrap();
        let (request, _) = Request::make(&code, CLUSTER, nonce, KEY, NOW).unwrap();
        seen.insert(reason(decide(&mut gate, &request, &terms(&code))));

        for registered in [
            vec![],
            vec![(vec![8; 32], PlatformKind::Simulated, code.measurement())],
            vec![(KEY.to_vec(), PlatformKind::Simulated, other.measurement())],
            vec![(KEY.to_vec(), PlatformKind::Tpm, code.measurement())],
        ] {
            let (request, _) = asked(&mut gate, &code);
            let terms = Terms { registered: Some(registered), ..terms(&code) };
            seen.insert(reason(decide(&mut gate, &request, &terms)));
        }
        let (request, _) = asked(&mut gate, &code);
        let registered = Some(vec![(KEY.to_vec(), PlatformKind::Simulated, code.measurement())]);
        decide(&mut gate, &request, &Terms { registered, ..terms(&code) }).unwrap();
        assert_eq!(seen, ReleaseRefusal::REASONS.into_iter().collect());
    }

    #[test]
    fn open_nonces_are_bounded_and_the_oldest_goes() {
        let mut gate = gate();
        let first = gate.nonce(NOW).unwrap();
        for after in 1..=MAX_NONCES as u64 {
            gate.nonce(NOW + after).unwrap();
        }
        assert_eq!(gate.nonces.len(), MAX_NONCES);
        assert!(!gate.nonces.contains_key(&first));
        gate.nonce(NOW + NONCE_LIFETIME_MS + MAX_NONCES as u64).unwrap();
        assert_eq!(gate.nonces.len(), 1);
    }
}
