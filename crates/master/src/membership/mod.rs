//! Who may do what, decided from the chain's facts, Kubernetes' facts and a clock that is passed in.
//!
//! [`Roster`] is what the chain says. [`Membership`] answers questions about one credential: may this proof
//! or certificate join, who is this user. [`plan`] compares the roster with what Kubernetes has and says what
//! to change there. None of them does IO, so a random sequence of facts can be played against all of them.

mod binding;
mod fact;
mod names;
mod nonces;
mod plan;
mod refusal;
mod roster;
#[cfg(test)]
mod simulation;
mod state;
mod trust;

pub use binding::{Binding, BindingKey, Scope};
pub use fact::{Fact, Grant, Requirements, Stake, Tier, Token};
pub use names::{
    CERTIFICATE_GROUP_PREFIX, FOREIGN_NODE_LABEL, MANAGED_BY_LABEL, MANAGED_BY_VALUE, NODE_USER_PREFIX,
    NODES_GROUP, TOKEN_LABEL, is_dns_label, is_dns_subdomain, token_label,
};
pub use nonces::Nonces;
pub use plan::{Action, Observed, ObservedNode, Wanted, plan};
pub use refusal::Refusal;
pub use roster::Roster;
pub use state::{Limits, Membership, NodeCertificate, NodeIdentity, User};
pub use trust::{
    AMOUNT_LABEL, ATTESTED_LABEL, Attestation, DOWN_TAINT, DRAINED_ANNOTATION, EVICTED_TAINT, OPERATOR_LABEL,
    PLATFORM_LABEL, PREFIX, STAKE_LABEL, TAINT_VALUE, TIER_LABEL, UNATTESTED_TAINT, attested_value,
    node_labels,
};
