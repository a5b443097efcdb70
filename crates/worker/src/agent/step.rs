use super::view::{Gone, Target, Validity, View};

/// One thing for the shell to do. A lane has at most one step under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read cluster, enclave, token and stake from the chain.
    ReadChain,
    /// Renew the token on chain with the wallet.
    RenewToken,
    /// A step against the gateway. Its result counts only while `session` is the current one.
    Gateway {
        /// Changes whenever trust in the gateway starts anew.
        session: u64,
        /// What the gateway must match.
        target: Target,
        /// What to do there.
        call: Call,
    },
    /// Show the master evidence of this machine. Its result counts only while `session` is the current one, and its failure ends
    /// nothing: the master says what follows from it.
    ShowEvidence {
        /// As in [`Step::Gateway`].
        session: u64,
        /// Of a heartbeat's answer.
        nonce: [u8; 32],
    },
    /// Start the node agent, or hand it renewed certificates.
    StartNode {
        /// Which certificates: counts up with every [`Call::Certificates`] that succeeds.
        issue: u64,
    },
    /// Stop the node agent, for this reason.
    StopNode(Gone),
}

impl Step {
    /// The name in logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ReadChain => "read_chain",
            Self::RenewToken => "renew_token",
            Self::Gateway { call: Call::PinCa, .. } => "pin_ca",
            Self::Gateway { call: Call::Attest, .. } => "attest",
            Self::Gateway { call: Call::Certificates, .. } => "certificates",
            Self::Gateway { call: Call::Heartbeat, .. } => "heartbeat",
            Self::ShowEvidence { .. } => "show_evidence",
            Self::StartNode { .. } => "start_node",
            Self::StopNode(_) => "stop_node",
        }
    }
}

/// What to do at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `GET /cacerts`, unverified, and compare with the chain. Sends no proof.
    PinCa,
    /// Attestation over a fresh nonce, under the pinned CA. Sends no proof.
    Attest,
    /// Certificate signing requests, with a proof.
    Certificates,
    /// A heartbeat, with a proof.
    Heartbeat,
}

impl Call {
    /// Whether the step hands a proof to the gateway.
    pub fn sends_proof(self) -> bool {
        matches!(self, Self::Certificates | Self::Heartbeat)
    }
}

/// What came out of a step that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Of [`Step::ReadChain`].
    View(Box<View>),
    /// Of [`Call::Certificates`]: the earliest end among them.
    Certificates(Validity),
    /// Of [`Call::Heartbeat`]: milliseconds to the next.
    Beat {
        /// As the gateway asks.
        interval_ms: u64,
        /// What evidence of this machine shall answer, if the master wants some.
        nonce: Option<[u8; 32]>,
    },
    /// Of every other step.
    Done,
}

/// Why a step failed. The sentence says what was wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What follows from it.
    pub kind: FailureKind,
    /// Stable name in snake_case.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// No answer: trust starts anew, and the chain may know a new endpoint.
    Unreachable,
    /// The gateway is not what the chain says: no proof is sent; trust starts anew.
    Untrusted,
    /// The gateway refused the proof: ask the chain whether the membership is over.
    Refused,
    /// Another agent speaks for this node that was started later: this one ends its node and says no more.
    Fenced,
    /// Anything else: try again later.
    Failed,
}

impl FailureKind {
    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Untrusted => "untrusted",
            Self::Refused => "refused",
            Self::Fenced => "fenced",
            Self::Failed => "failed",
        }
    }
}
