use std::collections::BTreeMap;

use crate::Id;
use crate::membership::{Stake, token_label};

/// Before the slash of every label, taint and annotation that only the master sets; a policy keeps nodes from it.
pub const PREFIX: &str = "k3s-daas.io/";
/// The stake's tier.
pub const TIER_LABEL: &str = "k3s-daas.io/tier";
/// First 40 hexadecimal digits of the stake's id.
pub const STAKE_LABEL: &str = "k3s-daas.io/stake";
/// What is staked, in MIST: a number that `Gt` and `Lt` of a node affinity compare.
pub const AMOUNT_LABEL: &str = "k3s-daas.io/stake-mist";
/// First 40 hexadecimal digits of the address of the stake's owner: a topology to spread over.
pub const OPERATOR_LABEL: &str = "k3s-daas.io/operator";
/// `true` when the master verified evidence of the node's hardware, `simulated` when it was simulated evidence,
/// else `false`.
pub const ATTESTED_LABEL: &str = "k3s-daas.io/attested";
/// The platform that attested, or `none`.
pub const PLATFORM_LABEL: &str = "k3s-daas.io/platform";

/// On a node that is down: what may run twice goes elsewhere.
pub const DOWN_TAINT: &str = "k3s-daas.io/down";
/// Kubernetes' own, on a node that is given up: pods are removed without its kubelet's word, volumes detached.
pub const EVICTED_TAINT: &str = "node.kubernetes.io/out-of-service";
/// On a node without evidence that counts, where the cluster wants such of every node: nothing is scheduled there that does not
/// tolerate it, and what runs there is evicted.
pub const UNATTESTED_TAINT: &str = "k3s-daas.io/unattested";
/// Value of the master's taints, by which it knows its own.
pub const TAINT_VALUE: &str = "k3s-daas";
/// Annotation of a node that the master has cordoned for a drain, and uncordons after it.
pub const DRAINED_ANNOTATION: &str = "k3s-daas.io/drained";

/// What the master verified of a node's platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// The seal token that it was shown under.
    pub token: Id,
    /// Name of the platform, as `tee::PlatformKind` prints it.
    pub platform: String,
    /// Whether it proves nothing about hardware.
    pub simulated: bool,
}

/// The value of [`ATTESTED_LABEL`].
pub fn attested_value(attestation: Option<&Attestation>) -> &'static str {
    match attestation {
        None => "false",
        Some(Attestation { simulated: true, .. }) => "simulated",
        Some(_) => "true",
    }
}

/// The labels that a node has to have, from what the chain says of its stake and what was verified of it.
pub fn node_labels(stake: &Stake, attestation: Option<&Attestation>) -> BTreeMap<String, String> {
    let attested = attested_value(attestation);
    let platform = attestation.map_or("none", |attestation| attestation.platform.as_str());
    // Kubernetes compares signed numbers.
    let amount = stake.amount_mist.min(i64::MAX.unsigned_abs()).to_string();
    let labels = [
        (TIER_LABEL, stake.tier.as_str().to_owned()),
        (STAKE_LABEL, token_label(&stake.id)),
        (AMOUNT_LABEL, amount),
        (OPERATOR_LABEL, token_label(&stake.owner)),
        (ATTESTED_LABEL, attested.to_owned()),
        (PLATFORM_LABEL, platform.to_owned()),
    ];
    labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
