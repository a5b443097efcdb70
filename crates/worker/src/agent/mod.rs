//! The worker's decisions, without IO: what to do next, given what happened and the time.
//!
//! Four lanes run side by side, each with at most one step under way: the chain, the gateway, evidence of this machine, and the
//! node agent. So a silent chain does not stop heartbeats, and a slow kubelet or a slow TPM does not stop either. Trust in the
//! gateway is a ladder — nothing, CA pinned, attested — bound to one [`Target`]; any doubt (no answer, other
//! evidence, another target on chain) starts a new session at the bottom, and only a session at the top
//! gets a proof.

mod lane;
mod phase;
mod step;
#[cfg(test)]
mod tests;
mod view;

pub use lane::Backoff;
use lane::Lane;
pub use phase::Phase;
pub use step::{Call, Failure, FailureKind, Outcome, Step};
pub(crate) use view::MEASUREMENT_RETIRED;
pub use view::{Gone, Target, Token, Validity, View};

/// What the agent is told at its start.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// This worker's ed25519 key.
    pub holder_key: [u8; 32],
    /// Time between two reads of the chain, milliseconds.
    pub chain_poll_ms: u64,
    /// Time between heartbeats until the gateway says otherwise, milliseconds.
    pub heartbeat_ms: u64,
    /// Waits after failures.
    pub backoff: Backoff,
    /// Whether this machine shows evidence of itself.
    pub shows_evidence: bool,
    /// Whether a wallet is there to renew the token with.
    pub can_renew_token: bool,
    /// Seed of the jitter.
    pub seed: u64,
}

/// Shortest time between heartbeats, whatever the gateway asks.
const MIN_HEARTBEAT_MS: u64 = 500;
/// Longest time between heartbeats, whatever the gateway asks.
const MAX_HEARTBEAT_MS: u64 = 300_000;
/// How long a renewal may take to show in reads of the chain.
const RENEWAL_SHOWS_MS: u64 = 60_000;

/// How far the gateway of the current session is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    None,
    CaPinned,
    Attested,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    /// Nothing was done yet; an earlier run may have left pods behind.
    Unknown,
    Stopped,
    /// Runs with the certificates of this issue.
    Running {
        certificates: u64,
    },
}

/// The decision maker: [`poll`](Agent::poll) for steps, report each with [`done`](Agent::done).
#[derive(Debug)]
pub struct Agent {
    settings: Settings,
    random: u64,
    view: Option<View>,
    chain: Lane,
    chain_due_ms: u64,
    renewal: Lane,
    /// Expiry that the token had when it was renewed, and when that was.
    renewed: Option<(u64, u64)>,
    gateway: Lane,
    session: u64,
    trust: Trust,
    certificates: Option<(u64, Validity)>,
    /// The gateway that signed them, by endpoint and CA: it named the apiserver too.
    signer: Option<(String, [u8; 32])>,
    issues: u64,
    beat_due_ms: u64,
    beat_interval_ms: u64,
    evidence: Lane,
    /// What the master wants evidence for.
    nonce: Option<[u8; 32]>,
    start: Lane,
    stop: Lane,
    node: Node,
    /// Whether another agent has taken over this node; for good.
    fenced: bool,
    last_ms: u64,
}

impl Agent {
    /// An agent that has done nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            random: settings.seed,
            view: None,
            chain: Lane::default(),
            chain_due_ms: 0,
            renewal: Lane::default(),
            renewed: None,
            gateway: Lane::default(),
            session: 0,
            trust: Trust::None,
            certificates: None,
            signer: None,
            issues: 0,
            beat_due_ms: 0,
            beat_interval_ms: settings.heartbeat_ms.clamp(MIN_HEARTBEAT_MS, MAX_HEARTBEAT_MS),
            evidence: Lane::default(),
            nonce: None,
            start: Lane::default(),
            stop: Lane::default(),
            node: Node::Unknown,
            fenced: false,
            last_ms: 0,
            settings,
        }
    }

    /// The steps to start now; each must be reported with [`Self::done`].
    pub fn poll(&mut self, now_ms: u64) -> Vec<Step> {
        if now_ms < self.last_ms {
            self.clock_went_back(now_ms);
        }
        self.last_ms = now_ms;
        if self.gone(now_ms).is_some() {
            self.leave();
        }
        let due: Vec<_> = self
            .wanted(now_ms)
            .into_iter()
            .filter(|(step, due_ms)| now_ms >= *due_ms && self.lane_of(step).free(now_ms))
            .map(|(step, _)| step)
            .collect();
        for step in &due {
            self.lane(step).busy = true;
        }
        due
    }

    /// The holder's key is another one now. Certificates were made under the old one and are worth nothing any more.
    pub fn holds(&mut self, key: [u8; 32]) {
        if self.settings.holder_key != key {
            self.settings.holder_key = key;
            self.certificates = None;
            self.gateway.retry_now();
        }
    }

    /// When to poll again at the latest, if nothing is reported before.
    pub fn wake_at_ms(&self, now_ms: u64) -> u64 {
        let expiry = self.membership(now_ms).ok().map(|token| token.expires_ms);
        let enclave = self.target(now_ms).map(|target| target.enclave_expires_ms.min(target.code_retires_ms));
        let steps = self
            .wanted(now_ms)
            .into_iter()
            .filter_map(|(step, due_ms)| Some(self.lane_of(&step).wake_at_ms()?.max(due_ms)));
        steps.chain(expiry).chain(enclave).min().unwrap_or(u64::MAX)
    }

    /// Takes the result of a step that [`Self::poll`] gave.
    pub fn done(&mut self, now_ms: u64, step: &Step, result: Result<Outcome, Failure>) {
        let (Step::Gateway { session, .. } | Step::ShowEvidence { session, .. }) = step else {
            return self.ended(now_ms, step, result);
        };
        if *session == self.session {
            self.ended(now_ms, step, result);
        } else {
            self.lane(step).busy = false;
        }
    }

    fn ended(&mut self, now_ms: u64, step: &Step, result: Result<Outcome, Failure>) {
        match result {
            Ok(outcome) => {
                self.lane(step).succeeded();
                self.succeeded(now_ms, step, outcome);
            }
            Err(failure) => {
                let (random, backoff, kind) = (self.next_random(), self.settings.backoff, failure.kind);
                self.lane(step).failed(failure, now_ms, backoff, random);
                match step {
                    Step::Gateway { .. } => self.gateway_failed(now_ms, kind),
                    // A nonce is good for one try; the next heartbeat brings another.
                    Step::ShowEvidence { nonce, .. } => {
                        self.nonce.take_if(|wanted| wanted == nonce);
                    }
                    _ => {}
                }
            }
        }
    }

    /// The node agent gave up by itself.
    pub fn node_failed(&mut self, now_ms: u64, failure: Failure) {
        let random = self.next_random();
        let busy = self.start.busy;
        self.start.failed(failure, now_ms, self.settings.backoff, random);
        self.start.busy = busy;
        self.node = Node::Stopped;
    }

    /// Where the worker is.
    pub fn phase(&self, now_ms: u64) -> Phase {
        if self.view.is_none() {
            return Phase::ReadingChain;
        }
        if self.gone(now_ms).is_some() {
            return Phase::Gone;
        }
        if self.certificates.is_none() && self.chain.failure.is_some() {
            return Phase::ReadingChain;
        }
        let runs = matches!(self.node, Node::Running { .. });
        match (self.trust, self.target(now_ms).is_some()) {
            (Trust::Attested, true) if self.certificates.is_none() => Phase::RequestingCertificates,
            (Trust::Attested, true) if runs => Phase::Running,
            (Trust::Attested, true) => Phase::StartingNode,
            _ if runs => Phase::Reconnecting,
            (_, false) => Phase::WaitingForCluster,
            (Trust::None, true) => Phase::PinningCa,
            (_, true) => Phase::Attesting,
        }
    }

    /// The current session at the gateway: whatever belongs to an earlier one is over.
    pub fn session(&self) -> u64 {
        self.session
    }

    /// What the chain said last.
    pub fn view(&self) -> Option<&View> {
        self.view.as_ref()
    }

    /// Why this worker is no member, if the chain was read and it is none.
    pub fn gone(&self, now_ms: u64) -> Option<Gone> {
        let gone = self.view.as_ref()?.membership(&self.settings.holder_key, now_ms).err();
        gone.or(self.fenced.then_some(Gone::Fenced))
    }

    /// Life of the current certificates.
    pub fn certificates(&self) -> Option<Validity> {
        self.certificates.map(|(_, validity)| validity)
    }

    /// Whether the last read of the chain succeeded, and why not.
    pub fn chain_failure(&self) -> Option<&Failure> {
        self.chain.failure.as_ref()
    }

    /// Why the token could not be renewed.
    pub fn renewal_failure(&self) -> Option<&Failure> {
        self.renewal.failure.as_ref()
    }

    /// Why the last step at the gateway failed.
    pub fn gateway_failure(&self) -> Option<&Failure> {
        self.gateway.failure.as_ref()
    }

    /// Why the node agent does not run.
    pub fn node_failure(&self) -> Option<&Failure> {
        self.start.failure.as_ref().or(self.stop.failure.as_ref())
    }

    /// Why the last evidence was not taken.
    pub fn evidence_failure(&self) -> Option<&Failure> {
        self.evidence.failure.as_ref()
    }

    /// Whether the gateway's attestation holds in the current session.
    pub fn attested(&self) -> bool {
        self.trust == Trust::Attested
    }

    /// Every step that makes sense in this state, and from when on.
    fn wanted(&self, now_ms: u64) -> Vec<(Step, u64)> {
        let chain = Some((Step::ReadChain, self.chain_due_ms));
        let (gateway, evidence) = (self.gateway_wanted(now_ms), self.evidence_wanted(now_ms));
        [chain, self.renewal_wanted(now_ms), gateway, evidence, self.node_wanted(now_ms)]
            .into_iter()
            .flatten()
            .collect()
    }

    fn evidence_wanted(&self, now_ms: u64) -> Option<(Step, u64)> {
        self.membership(now_ms).ok()?;
        let (Trust::Attested, Some(_)) = (self.trust, self.certificates) else { return None };
        Some((Step::ShowEvidence { session: self.session, nonce: self.nonce? }, 0))
    }

    fn renewal_wanted(&self, now_ms: u64) -> Option<(Step, u64)> {
        if !self.settings.can_renew_token {
            return None;
        }
        let token = self.membership(now_ms).ok()?;
        // A read of the chain may still show the token as it was; renewing costs gas, so look twice first.
        let settled_ms = match self.renewed {
            Some((expires_ms, at_ms)) if expires_ms == token.expires_ms => {
                at_ms.saturating_add(RENEWAL_SHOWS_MS)
            }
            _ => 0,
        };
        Some((Step::RenewToken, token.renew_at_ms().max(settled_ms)))
    }

    fn gateway_wanted(&self, now_ms: u64) -> Option<(Step, u64)> {
        self.membership(now_ms).ok()?;
        // A new join rests on what the chain says now; who has joined goes on while the chain is silent.
        if self.certificates.is_none() && self.chain.failure.is_some() {
            return None;
        }
        let target = self.target(now_ms)?.clone();
        let (call, due_ms) = match (self.trust, self.certificates) {
            (Trust::None, _) => (Call::PinCa, 0),
            (Trust::CaPinned, _) => (Call::Attest, 0),
            (Trust::Attested, None) => (Call::Certificates, 0),
            // A master that has moved has another apiserver, so the node's processes have to be told.
            (Trust::Attested, Some((_, validity)))
                if now_ms >= validity.renew_at_ms() || self.signer != Some(place(&target)) =>
            {
                (Call::Certificates, 0)
            }
            (Trust::Attested, Some((_, validity))) => {
                (Call::Heartbeat, self.beat_due_ms.min(validity.renew_at_ms()))
            }
        };
        Some((Step::Gateway { session: self.session, target, call }, due_ms))
    }

    fn node_wanted(&self, now_ms: u64) -> Option<(Step, u64)> {
        if self.start.busy || self.stop.busy {
            return None;
        }
        match (self.gone(now_ms), self.node, self.certificates) {
            (Some(gone), Node::Unknown | Node::Running { .. }, _) => Some((Step::StopNode(gone), 0)),
            (None, Node::Running { certificates }, Some((issue, _))) if certificates == issue => None,
            (None, _, Some((issue, _))) => Some((Step::StartNode { issue }, 0)),
            (Some(_), Node::Stopped, _) | (None, _, None) => None,
        }
    }

    fn succeeded(&mut self, now_ms: u64, step: &Step, outcome: Outcome) {
        match (step, outcome) {
            (Step::ReadChain, Outcome::View(view)) => self.viewed(now_ms, *view),
            (Step::RenewToken, _) => {
                self.renewed = self.membership(now_ms).ok().map(|token| (token.expires_ms, now_ms));
                self.chain_due_ms = now_ms;
            }
            (Step::Gateway { call: Call::PinCa, .. }, _) => self.trust = Trust::CaPinned,
            (Step::Gateway { call: Call::Attest, .. }, _) => {
                self.trust = Trust::Attested;
                self.beat_due_ms = now_ms;
            }
            (Step::Gateway { target, .. }, Outcome::Certificates(validity)) => {
                self.signer = Some(place(target));
                self.issues += 1;
                self.certificates = Some((self.issues, validity));
                // The master wants evidence for the new key, and the kubelet can do little before.
                self.beat_due_ms = now_ms;
                self.start.retry_now();
            }
            (Step::Gateway { .. }, Outcome::Beat { interval_ms, nonce }) => {
                self.nonce = nonce.filter(|_| self.settings.shows_evidence);
                self.beat_interval_ms = interval_ms.clamp(MIN_HEARTBEAT_MS, MAX_HEARTBEAT_MS);
                self.beat_due_ms = now_ms.saturating_add(self.beat_interval_ms);
            }
            (Step::StartNode { issue }, _) => self.node = Node::Running { certificates: *issue },
            (Step::StopNode(_), _) => self.node = Node::Stopped,
            (Step::ShowEvidence { nonce, .. }, _) => {
                self.nonce.take_if(|wanted| wanted == nonce);
            }
            (Step::ReadChain | Step::Gateway { .. }, _) => {}
        }
    }

    fn viewed(&mut self, now_ms: u64, view: View) {
        self.chain_due_ms = now_ms.saturating_add(self.settings.chain_poll_ms);
        let target_changed = self.view.as_ref().map(|old| &old.target) != Some(&view.target);
        self.view = Some(view);
        if target_changed {
            self.distrust();
            self.gateway.retry_now();
        }
        if self.gone(now_ms).is_some() {
            self.leave();
        }
    }

    /// Certificates and connections of a membership that is over are not kept for a later one.
    fn leave(&mut self) {
        self.certificates = None;
        if self.trust != Trust::None {
            self.distrust();
        }
    }

    fn gateway_failed(&mut self, now_ms: u64, kind: FailureKind) {
        match kind {
            FailureKind::Unreachable | FailureKind::Untrusted => {
                self.distrust();
                self.chain_due_ms = now_ms;
            }
            FailureKind::Refused => self.chain_due_ms = now_ms,
            FailureKind::Fenced => {
                self.fenced = true;
                self.certificates = None;
                self.distrust();
            }
            FailureKind::Failed => {}
        }
    }

    /// Starts a new session at the bottom of the ladder; whatever is under way no longer counts.
    fn distrust(&mut self) {
        self.session += 1;
        self.trust = Trust::None;
        self.nonce = None;
    }

    /// The gateway, while its enclave's registration lasts and its code is allowed.
    fn target(&self, now_ms: u64) -> Option<&Target> {
        let target = self.view.as_ref()?.target.as_ref().ok()?;
        (now_ms < target.enclave_expires_ms.min(target.code_retires_ms)).then_some(target)
    }

    fn membership(&self, now_ms: u64) -> Result<&Token, Gone> {
        match &self.view {
            _ if self.fenced => Err(Gone::Fenced),
            Some(view) => view.membership(&self.settings.holder_key, now_ms),
            None => Err(Gone::NoToken),
        }
    }

    fn lane(&mut self, step: &Step) -> &mut Lane {
        match step {
            Step::ReadChain => &mut self.chain,
            Step::RenewToken => &mut self.renewal,
            Step::Gateway { .. } => &mut self.gateway,
            Step::ShowEvidence { .. } => &mut self.evidence,
            Step::StartNode { .. } => &mut self.start,
            Step::StopNode(_) => &mut self.stop,
        }
    }

    fn lane_of(&self, step: &Step) -> &Lane {
        match step {
            Step::ReadChain => &self.chain,
            Step::RenewToken => &self.renewal,
            Step::Gateway { .. } => &self.gateway,
            Step::ShowEvidence { .. } => &self.evidence,
            Step::StartNode { .. } => &self.start,
            Step::StopNode(_) => &self.stop,
        }
    }

    /// The node became ready, or is no longer: the master hears of it at the next chance, not at the next beat.
    pub fn node_changed(&mut self, now_ms: u64) {
        self.beat_due_ms = self.beat_due_ms.min(now_ms);
    }

    /// Waits were measured by a clock that was ahead; start them over.
    fn clock_went_back(&mut self, now_ms: u64) {
        let Self { chain, renewal, gateway, evidence, start, stop, .. } = self;
        for lane in [chain, renewal, gateway, evidence, start, stop] {
            lane.retry_now();
        }
        self.chain_due_ms = now_ms;
        self.beat_due_ms = now_ms;
    }

    /// SplitMix64: plenty for jitter, and replays from the seed.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// What has to stay for the node's processes to stay as they are.
fn place(target: &Target) -> (String, [u8; 32]) {
    (target.endpoint.clone(), target.ca_hash)
}
