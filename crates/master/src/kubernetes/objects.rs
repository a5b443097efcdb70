use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Taint};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::health::KubernetesView;
use crate::membership::{
    Binding, BindingKey, DOWN_TAINT, DRAINED_ANNOTATION, EVICTED_TAINT, FOREIGN_NODE_LABEL, MANAGED_BY_LABEL,
    MANAGED_BY_VALUE, ObservedNode, PREFIX, Scope, TAINT_VALUE, TOKEN_LABEL, UNATTESTED_TAINT,
};

/// Tells a grant's binding from other objects that the master manages.
const KIND_LABEL: &str = "k3s-daas.io/kind";
const GRANT_ANNOTATION: &str = "k3s-daas.io/grant";
const WALLET_ANNOTATION: &str = "k3s-daas.io/wallet";
const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

/// Selects the bindings that were made for grants.
pub(super) const GRANT_SELECTOR: &str = "app.kubernetes.io/managed-by=k3s-daas,k3s-daas.io/kind=grant";

pub(super) fn node(node: &Node) -> Option<(String, ObservedNode)> {
    let label = |key: &str| node.metadata.labels.as_ref().and_then(|labels| labels.get(key));
    let ours = |(key, _): &(&String, &String)| key.starts_with(PREFIX);
    let labels = node.metadata.labels.iter().flatten().filter(ours);
    let taints = node.spec.iter().filter_map(|spec| spec.taints.as_ref()).flatten();
    let annotation = |key: &str| node.metadata.annotations.as_ref().and_then(|all| all.get(key));
    let observed = ObservedNode {
        unschedulable: node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false),
        token_label: label(TOKEN_LABEL).cloned(),
        foreign: label(FOREIGN_NODE_LABEL).is_some(),
        labels: labels.map(|(key, value)| (key.clone(), value.clone())).collect(),
        taints: taints.filter(|taint| is_our_taint(taint)).map(|taint| taint.key.clone()).collect(),
        drained: annotation(DRAINED_ANNOTATION).is_some(),
        movable: 0,
        left: 0,
    };
    Some((node.metadata.name.clone()?, observed))
}

/// Whether the master put it there.
pub(super) fn is_our_taint(taint: &Taint) -> bool {
    taint.value.as_deref() == Some(TAINT_VALUE)
        && [DOWN_TAINT, EVICTED_TAINT, UNATTESTED_TAINT].contains(&taint.key.as_str())
}

/// What Kubernetes sees of a node.
pub(super) fn view(node: &Node) -> KubernetesView {
    let conditions = node.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
    let ready =
        conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    if ready { KubernetesView::Ready } else { KubernetesView::NotReady }
}

/// Whether a drain waits for this pod: not for what is bound to the node or over.
pub(super) fn holds_up(pod: &Pod) -> bool {
    let bound = pod.metadata.owner_references.iter().flatten().any(|owner| owner.kind == "DaemonSet");
    let mirror = pod
        .metadata
        .annotations
        .as_ref()
        .is_some_and(|annotations| annotations.contains_key("kubernetes.io/config.mirror"));
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let over = matches!(phase, Some("Succeeded" | "Failed"));
    !bound && !mirror && !over
}

/// Whether a drain moves this pod: of those that it waits for, those that are not going yet.
pub(super) fn is_movable(pod: &Pod) -> bool {
    holds_up(pod) && pod.metadata.deletion_timestamp.is_none()
}

pub(super) fn role_binding(object: &RoleBinding) -> Option<(BindingKey, Option<Binding>)> {
    let scope = Scope::Namespace(object.metadata.namespace.clone()?);
    read(scope, &object.metadata, &object.role_ref, object.subjects.as_deref())
}

pub(super) fn cluster_role_binding(object: &ClusterRoleBinding) -> Option<(BindingKey, Option<Binding>)> {
    read(Scope::Cluster, &object.metadata, &object.role_ref, object.subjects.as_deref())
}

pub(super) fn new_namespace(name: &str) -> Namespace {
    let labels = BTreeMap::from([(MANAGED_BY_LABEL.to_owned(), MANAGED_BY_VALUE.to_owned())]);
    let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    Namespace { metadata, ..Namespace::default() }
}

pub(super) fn new_role_binding(binding: &Binding) -> RoleBinding {
    let (metadata, role_ref, subjects) = parts(binding);
    RoleBinding { metadata, role_ref, subjects }
}

pub(super) fn new_cluster_role_binding(binding: &Binding) -> ClusterRoleBinding {
    let (metadata, role_ref, subjects) = parts(binding);
    ClusterRoleBinding { metadata, role_ref, subjects }
}

pub(super) fn managed_labels(kind: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (MANAGED_BY_LABEL.to_owned(), MANAGED_BY_VALUE.to_owned()),
        (KIND_LABEL.to_owned(), kind.to_owned()),
    ])
}

fn parts(binding: &Binding) -> (ObjectMeta, RoleRef, Option<Vec<Subject>>) {
    let namespace = match &binding.key.scope {
        Scope::Cluster => None,
        Scope::Namespace(namespace) => Some(namespace.clone()),
    };
    let annotations = BTreeMap::from([
        (GRANT_ANNOTATION.to_owned(), binding.grant.to_string()),
        (WALLET_ANNOTATION.to_owned(), binding.grantee.to_string()),
    ]);
    let metadata = ObjectMeta {
        name: Some(binding.key.name.clone()),
        namespace,
        labels: Some(managed_labels("grant")),
        annotations: Some(annotations),
        ..ObjectMeta::default()
    };
    let role_ref = RoleRef {
        api_group: Some(RBAC_GROUP.to_owned()),
        kind: "ClusterRole".to_owned(),
        name: binding.role.clone(),
    };
    let subject = Subject {
        api_group: Some(RBAC_GROUP.to_owned()),
        kind: "Group".to_owned(),
        name: binding.group.clone(),
        namespace: None,
    };
    (metadata, role_ref, Some(vec![subject]))
}

/// The binding that an object is, or `None` in the second place when the master did not make it like that.
fn read(
    scope: Scope,
    metadata: &ObjectMeta,
    role_ref: &RoleRef,
    subjects: Option<&[Subject]>,
) -> Option<(BindingKey, Option<Binding>)> {
    let key = BindingKey { scope, name: metadata.name.clone()? };
    let annotation = |name: &str| metadata.annotations.as_ref()?.get(name)?.parse().ok();
    let binding = || {
        let [subject] = subjects? else { return None };
        if role_ref.kind != "ClusterRole" || subject.kind != "Group" || subject.namespace.is_some() {
            return None;
        }
        Some(Binding {
            key: key.clone(),
            role: role_ref.name.clone(),
            group: subject.name.clone(),
            grant: annotation(GRANT_ANNOTATION)?,
            grantee: annotation(WALLET_ANNOTATION)?,
        })
    };
    let binding = binding();
    Some((key, binding))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Id;
    use crate::membership::Grant;

    fn binding(namespace: Option<&str>) -> Binding {
        let grant = Grant {
            id: Id([1; 32]),
            grantee: Id([2; 32]),
            namespace: namespace.map(str::to_owned),
            role: "edit".into(),
            expires_ms: None,
        };
        Binding::of(&grant).unwrap().0
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let namespaced = binding(Some("team"));
        let read = role_binding(&new_role_binding(&namespaced)).unwrap();
        assert_eq!(read, (namespaced.key.clone(), Some(namespaced)));
        let wide = binding(None);
        let read = cluster_role_binding(&new_cluster_role_binding(&wide)).unwrap();
        assert_eq!(read, (wide.key.clone(), Some(wide)));
    }

    #[test]
    fn a_binding_that_somebody_changed_is_not_ours() {
        let mut object = new_role_binding(&binding(Some("team")));
        let subjects = object.subjects.as_mut().unwrap();
        subjects.push(subjects[0].clone());
        assert_eq!(role_binding(&object).unwrap().1, None, "a second subject");
        let mut object = new_role_binding(&binding(Some("team")));
        object.subjects.as_mut().unwrap()[0].kind = "User".into();
        assert_eq!(role_binding(&object).unwrap().1, None, "another kind of subject");
        let mut object = new_role_binding(&binding(Some("team")));
        object.metadata.annotations = None;
        assert_eq!(role_binding(&object).unwrap().1, None, "no grant");
    }

    #[test]
    fn the_selector_selects_what_is_written() {
        let labels = new_role_binding(&binding(Some("team"))).metadata.labels.unwrap();
        let selector: BTreeMap<String, String> = GRANT_SELECTOR
            .split(',')
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(labels, selector);
    }
}
