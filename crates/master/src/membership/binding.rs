use crate::Id;
use crate::membership::{Grant, Tier, is_dns_label};

/// Where a role holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everywhere: a ClusterRoleBinding.
    Cluster,
    /// In one namespace: a RoleBinding.
    Namespace(String),
}

/// Which object in Kubernetes a [`Binding`] is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BindingKey {
    /// RoleBinding or ClusterRoleBinding.
    pub scope: Scope,
    /// Its name.
    pub name: String,
}

/// A grant as Kubernetes should have it: a ClusterRole bound to a group.
///
/// The subject is a group and not the user `sui:<address>`, because one wallet may hold stakes of several
/// tiers: a proof of its node token, which lives on some machine, must not carry the rights of its admin token.
/// [`group`] names the group, and only tokens of a sufficient tier are put into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Which object it is.
    pub key: BindingKey,
    /// Name of the ClusterRole.
    pub role: String,
    /// The only subject.
    pub group: String,
    /// The grant on chain, for people who look at the object.
    pub grant: Id,
    /// The wallet, for people who look at the object.
    pub grantee: Id,
}

impl Binding {
    /// What `grant` means in Kubernetes, and the tier that its wallet's stake must have for it. `None` when
    /// Kubernetes would not accept its namespace or role.
    ///
    /// In a namespace, and for reading the whole cluster, tier user is enough; any other role for the
    /// whole cluster needs tier admin.
    pub fn of(grant: &Grant) -> Option<(Self, Tier)> {
        if !is_role_name(&grant.role) || grant.namespace.as_deref().is_some_and(|name| !is_dns_label(name)) {
            return None;
        }
        let (scope, tier) = match &grant.namespace {
            Some(namespace) => (Scope::Namespace(namespace.clone()), Tier::User),
            None if grant.role == "view" => (Scope::Cluster, Tier::User),
            None => (Scope::Cluster, Tier::Admin),
        };
        let name = format!("k3s-daas:grant:{}", hex::encode(&grant.id.0[..20]));
        let binding = Self {
            key: BindingKey { scope, name },
            role: grant.role.clone(),
            group: group(tier, &grant.grantee),
            grant: grant.id,
            grantee: grant.grantee,
        };
        Some((binding, tier))
    }
}

/// The group that holds `wallet` when it comes with a token of `tier` or a higher one.
pub(super) fn group(tier: Tier, wallet: &Id) -> String {
    format!("k3s-daas:{tier}:{wallet}")
}

/// What Kubernetes accepts as name of a ClusterRole: a path segment.
fn is_role_name(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b'%')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(namespace: Option<&str>, role: &str) -> Grant {
        Grant {
            id: Id([1; 32]),
            grantee: Id([2; 32]),
            namespace: namespace.map(str::to_owned),
            role: role.to_owned(),
            expires_ms: None,
        }
    }

    #[test]
    fn the_whole_cluster_takes_an_admin_except_to_read() {
        let tier = |namespace, role| Binding::of(&grant(namespace, role)).unwrap().1;
        assert_eq!(tier(Some("team"), "admin"), Tier::User);
        assert_eq!(tier(None, "view"), Tier::User);
        assert_eq!(tier(None, "edit"), Tier::Admin);
        assert_eq!(tier(None, "cluster-admin"), Tier::Admin);
    }

    #[test]
    fn what_kubernetes_would_not_take_is_left_out() {
        for (namespace, role) in
            [(Some("Team"), "edit"), (Some("a/b"), "edit"), (None, "a/b"), (None, ""), (Some("a"), "..")]
        {
            assert_eq!(Binding::of(&grant(namespace, role)), None, "{namespace:?} {role}");
        }
    }
}
