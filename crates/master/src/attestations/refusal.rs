use tee::{Refusal, Refusals};

/// Why evidence of a node does not count. [`EvidenceRefusal::reason`] is the stable name for logs, metrics and bodies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EvidenceRefusal {
    /// Nothing says which code nodes may run.
    #[error(
        "this cluster takes no evidence of nodes: the chain allows no code on them (`k3s-daas enclave allow-worker`)"
    )]
    NotTaken,
    /// The nonce is not the one that the node has to answer.
    #[error(
        "the evidence answers a nonce that is spent or was never given to this node; wait for the next heartbeat's"
    )]
    Stale,
    /// The nonce was given too long ago.
    #[error("the nonce was given more than a minute ago; wait for the next heartbeat's")]
    NonceExpired,
    /// More tries than anybody needs.
    #[error("too much evidence of this node was refused within a minute; try again later")]
    Flooding,
    /// It cannot be read.
    #[error("this is no evidence: {0}")]
    Malformed(String),
    /// It is bound to another key than the connection's.
    #[error("the evidence is for another TLS key than this connection's")]
    OtherKey,
    /// It is bound to another node's token.
    #[error("the evidence is for another node's token")]
    OtherNode,
    /// It is bound to something else.
    #[error(
        "the evidence is bound to something else than the master's nonce, this cluster, this token and this key"
    )]
    Unbound,
    /// Nobody allows this code on nodes, or not any more.
    #[error("the code is not allowed on nodes of this cluster: {0}")]
    NotAllowed(String),
    /// It, or what vouches for it, is too old.
    #[error("the evidence has expired: {0}")]
    Expired(String),
    /// Anything else that the policy does not tolerate: every clause.
    #[error("the evidence is refused: {0}")]
    Refused(String),
}

/// The longest list of clauses that is repeated, characters.
const MAX_CLAUSES: usize = 1_000;

impl EvidenceRefusal {
    /// Every [`Self::reason`].
    pub(crate) const REASONS: [&str; 11] = [
        "evidence_not_taken",
        "stale_evidence",
        "nonce_expired",
        "too_much_evidence",
        "evidence_malformed",
        "evidence_for_other_key",
        "evidence_for_other_node",
        "evidence_unbound",
        "measurement_not_allowed",
        "evidence_expired",
        "evidence_refused",
    ];

    /// Stable name in snake_case.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NotTaken => "evidence_not_taken",
            Self::Stale => "stale_evidence",
            Self::NonceExpired => "nonce_expired",
            Self::Flooding => "too_much_evidence",
            Self::Malformed(_) => "evidence_malformed",
            Self::OtherKey => "evidence_for_other_key",
            Self::OtherNode => "evidence_for_other_node",
            Self::Unbound => "evidence_unbound",
            Self::NotAllowed(_) => "measurement_not_allowed",
            Self::Expired(_) => "evidence_expired",
            Self::Refused(_) => "evidence_refused",
        }
    }

    /// Of evidence that is bound to what it should be.
    pub(super) fn of(refusals: &Refusals) -> Self {
        let clauses: String = refusals.to_string().chars().take(MAX_CLAUSES).collect();
        let any = |is: fn(&Refusal) -> bool| refusals.iter().any(is);
        if any(|refusal| matches!(refusal, Refusal::Measurement { .. } | Refusal::PlatformNotAllowed { .. }))
        {
            Self::NotAllowed(clauses)
        } else if any(|refusal| matches!(refusal, Refusal::Expired { .. } | Refusal::TooOld { .. })) {
            Self::Expired(clauses)
        } else {
            Self::Refused(clauses)
        }
    }
}
