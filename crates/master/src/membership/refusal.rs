use seal_token::Refusal as ProofRefusal;

/// Why a credential is not good enough. [`Refusal::reason`] is the stable name for logs, metrics and bodies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The request carries neither a proof nor a client certificate.
    #[error("no credential: send a seal proof as Basic password or Bearer token, or a client certificate")]
    MissingCredential,
    /// The proof is not good.
    #[error("{0}")]
    Proof(#[from] ProofRefusal),
    /// The token is fine, but it is not one that brings a machine.
    #[error("only a token of tier node may do this; this one's stake is of another tier")]
    NotANodeToken,
    /// The chain pins a name that Kubernetes cannot use.
    #[error(
        "the node name pinned on chain is not a DNS name that Kubernetes accepts; stake again with another"
    )]
    BadNodeName,
    /// The request is for another node than the one pinned to the token.
    #[error("the token is for node {pinned}, the request for another; use the name that is pinned on chain")]
    NodeNameMismatch {
        /// Name on chain.
        pinned: String,
    },
    /// The proof was already used for a certificate over another key.
    #[error("this proof was already used for a certificate of another key; mint a new proof")]
    ProofReplayed,
    /// Too many proofs of one token within their windows.
    #[error("too many certificate requests under one token; wait a few minutes")]
    TooManyProofs,
    /// New nodes cannot be let in, because nobody knows what the chain says by now.
    #[error("the chain cannot be reached, so no new node is admitted; joined nodes go on; try again later")]
    ChainUnreachable,
    /// The master has not read the chain's state yet.
    #[error("the master has not read the chain's state yet; try again in a few seconds")]
    ChainNotSynced,
    /// A client certificate whose token is no longer live, or that was issued under another one.
    #[error("the certificate's seal token is no longer live; join again with a live token")]
    CertificateRevoked,
    /// A kubelet's client certificate for another key than the one that the node's evidence is bound to.
    #[error(
        "this node is attested by the key of another certificate, or has to be and is not; show its evidence first"
    )]
    KeyNotAttested,
    /// A client certificate that is not one of a node.
    #[error("this client certificate is not one of a node of this cluster")]
    NotANodeCertificate,
}

impl Refusal {
    /// Stable name in snake_case.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::MissingCredential => "missing_credential",
            Self::Proof(refusal) => refusal.reason(),
            Self::NotANodeToken => "not_a_node_token",
            Self::BadNodeName => "bad_node_name",
            Self::NodeNameMismatch { .. } => "node_name_mismatch",
            Self::ProofReplayed => "proof_replayed",
            Self::TooManyProofs => "too_many_proofs",
            Self::ChainUnreachable => "chain_unreachable",
            Self::ChainNotSynced => "chain_not_synced",
            Self::CertificateRevoked => "certificate_revoked",
            Self::KeyNotAttested => "key_not_attested",
            Self::NotANodeCertificate => "not_a_node_certificate",
        }
    }

    /// Every reason that [`Refusal::reason`] can give, so that each has its metric from the start.
    pub const REASONS: [&str; 22] = [
        "missing_credential",
        "malformed",
        "unknown_token",
        "wrong_audience",
        "not_yet_valid",
        "expired",
        "window_too_long",
        "bad_signature",
        "seal_mismatch",
        "token_expired",
        "token_revoked",
        "stake_insufficient",
        "not_a_node_token",
        "bad_node_name",
        "node_name_mismatch",
        "proof_replayed",
        "too_many_proofs",
        "chain_unreachable",
        "chain_not_synced",
        "certificate_revoked",
        "key_not_attested",
        "not_a_node_certificate",
    ];
}
