use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Patch, PatchParams};
use kube::{Api, Error};
use serde_json::json;

use super::client::Kubernetes;
use super::objects::managed_labels;

pub(super) const FIELD_MANAGER: &str = "k3s-daas";
/// The user whose certificate a K3s agent gets for its own controllers.
const K3S_CONTROLLER: &str = "system:k3s-controller";

impl Kubernetes {
    /// The RBAC that Kubernetes does not bring by itself. Kubelets and kube-proxy have their rights from
    /// Kubernetes (Node authorizer, `system:node-proxier`); a K3s agent's controllers do not.
    pub(crate) async fn bootstrap(&self) -> Result<(), Error> {
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": { "name": K3S_CONTROLLER, "labels": managed_labels("bootstrap") },
            "rules": [
                { "apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"] },
                {
                    "apiGroups": [""],
                    "resources": ["namespaces", "pods", "services", "endpoints"],
                    "verbs": ["list", "watch"],
                },
                { "apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"] },
                { "apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list", "watch"] },
            ],
        });
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": { "name": K3S_CONTROLLER, "labels": managed_labels("bootstrap") },
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": K3S_CONTROLLER,
            },
            "subjects": [
                { "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": K3S_CONTROLLER },
            ],
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let roles = Api::<ClusterRole>::all(self.client.clone());
        roles.patch(K3S_CONTROLLER, &parameters, &Patch::Apply(role)).await?;
        let bindings = Api::<ClusterRoleBinding>::all(self.client.clone());
        bindings.patch(K3S_CONTROLLER, &parameters, &Patch::Apply(binding)).await?;
        self.apply_policies(&parameters).await
    }
}
