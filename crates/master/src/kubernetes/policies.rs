use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::api::{Patch, PatchParams};
use kube::{Api, Error};
use serde_json::{Value, json};

use super::client::Kubernetes;
use super::objects::managed_labels;

/// Who holds the certificate of a node.
const IS_A_NODE: &str = "'system:nodes' in request.userInfo.groups || \
     request.userInfo.groups.exists(group, group.startsWith('k3s-daas:token:'))";
/// Keys that only the master sets.
const OURS: &str = "matches('^([a-z0-9.-]+[.])?k3s-daas[.]io/')";

/// What Kubernetes' own NodeRestriction leaves open to a stranger's kubelet, as validating policies by name.
///
/// Evaluated inside of kube-apiserver, so they hold while the master's gateway does not answer, too.
fn policies() -> Vec<(&'static str, Value)> {
    let map = |of: &str, field: &str| format!("has({of}.metadata.{field}) ? {of}.metadata.{field} : {{}}");
    let old_map = |field: &str| {
        format!("oldObject != null && has(oldObject.metadata.{field}) ? oldObject.metadata.{field} : {{}}")
    };
    let same = |new: &str, old: &str| {
        format!(
            "variables.{new}.all(key, !key.{OURS} || (key in variables.{old} && \
             variables.{old}[key] == variables.{new}[key])) && \
             variables.{old}.all(key, !key.{OURS} || key in variables.{new})"
        )
    };
    let taints = |of: &str, guard: &str| {
        format!(
            "{guard}has({of}.spec) && has({of}.spec.taints) ? {of}.spec.taints.filter(taint, taint.key.{OURS})\
             .map(taint, taint.key + ':' + taint.effect + ':' + (has(taint.value) ? taint.value : '')) : []"
        )
    };
    let finalizers = |of: &str, guard: &str| {
        format!("{guard}has({of}.metadata.finalizers) ? {of}.metadata.finalizers : []")
    };
    let present = "oldObject != null && ";
    let nodes = json!({
        "failurePolicy": "Fail",
        "matchConstraints": { "resourceRules": [{
            "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
            "resources": ["nodes", "nodes/status"],
        }] },
        "matchConditions": [{ "name": "a-node-asks", "expression": IS_A_NODE }],
        "variables": [
            { "name": "labels", "expression": map("object", "labels") },
            { "name": "oldLabels", "expression": old_map("labels") },
            { "name": "annotations", "expression": map("object", "annotations") },
            { "name": "oldAnnotations", "expression": old_map("annotations") },
            { "name": "taints", "expression": taints("object", "") },
            { "name": "oldTaints", "expression": taints("oldObject", present) },
            { "name": "finalizers", "expression": finalizers("object", "") },
            { "name": "oldFinalizers", "expression": finalizers("oldObject", present) },
        ],
        "validations": [
            rule(&same("labels", "oldLabels"), "labels of k3s-daas.io are set from the chain, not by a node"),
            rule(
                &same("annotations", "oldAnnotations"),
                "annotations of k3s-daas.io are set from the chain, not by a node",
            ),
            rule("variables.taints == variables.oldTaints", "taints of k3s-daas.io are not a node's to change"),
            rule("variables.finalizers == variables.oldFinalizers", "a node does not decide when it may be removed"),
            rule(
                "oldObject != null || !has(object.spec) || ((!has(object.spec.podCIDR) || object.spec.podCIDR == '') \
                 && (!has(object.spec.podCIDRs) || object.spec.podCIDRs.size() == 0))",
                "a node does not choose the addresses of its pods",
            ),
            rule(
                "oldObject == null || (has(object.spec.unschedulable) && object.spec.unschedulable) == \
                 (has(oldObject.spec.unschedulable) && oldObject.spec.unschedulable)",
                "a node does not cordon or uncordon itself",
            ),
        ],
    });
    let pods = json!({
        "failurePolicy": "Fail",
        "matchConstraints": { "resourceRules": [{
            "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
        }] },
        "matchConditions": [{ "name": "a-node-asks", "expression": IS_A_NODE }],
        "validations": [rule(
            "false",
            "a node makes no pods: a mirror pod with the labels of a service would get its traffic",
        )],
    });
    vec![("k3s-daas-node-objects", nodes), ("k3s-daas-node-pods", pods)]
}

fn rule(expression: &str, message: &str) -> Value {
    json!({ "expression": expression, "message": message, "reason": "Forbidden" })
}

impl Kubernetes {
    /// Puts the policies and their bindings there as they should be.
    pub(super) async fn apply_policies(&self, parameters: &PatchParams) -> Result<(), Error> {
        let definitions = Api::<ValidatingAdmissionPolicy>::all(self.client.clone());
        let bindings = Api::<ValidatingAdmissionPolicyBinding>::all(self.client.clone());
        for (name, spec) in policies() {
            let object = |kind: &str, spec: Value| {
                json!({
                    "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
                    "metadata": { "name": name, "labels": managed_labels("bootstrap") }, "spec": spec,
                })
            };
            let policy = object("ValidatingAdmissionPolicy", spec);
            definitions.patch(name, parameters, &Patch::Apply(policy)).await?;
            let binding = object(
                "ValidatingAdmissionPolicyBinding",
                json!({ "policyName": name, "validationActions": ["Deny"] }),
            );
            bindings.patch(name, parameters, &Patch::Apply(binding)).await?;
        }
        Ok(())
    }
}
