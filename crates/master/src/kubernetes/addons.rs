//! What the add-ons need in Kubernetes: rights, services, a storage class. What belongs to one that is switched off is
//! taken away.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::Battery;
use engine::control_plane::{CONTROLLERS_USER, METRICS_PORT, METRICS_USER};
use engine::node::FlannelBackend;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Error};
use serde_json::{Value, json};

use super::bootstrap::FIELD_MANAGER;
use super::client::{Kubernetes, gone};
use super::objects::managed_labels;
use crate::config::ClusterNetwork;

const RBAC: &str = "rbac.authorization.k8s.io/v1";
const SYSTEM: &str = "kube-system";
/// Who a node's kube-proxy and CoreDNS are, and what its kubelet and flannel belong to.
const PROXY_USER: &str = "system:kube-proxy";
const NODES_GROUP: &str = "system:nodes";

/// An object, and whether it is wanted.
struct Part {
    wanted: bool,
    object: Value,
}

impl Kubernetes {
    /// Applies what is on and removes what is off.
    pub(crate) async fn addons(&self, network: &ClusterNetwork, ca_pem: &str) -> Result<(), Error> {
        for part in parts(network, ca_pem) {
            self.apply(&part).await?;
        }
        Ok(())
    }

    async fn apply(&self, part: &Part) -> Result<(), Error> {
        let text = |pointer: &str| part.object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (group, version) = text("/apiVersion").split_once('/').unwrap_or(("", text("/apiVersion")));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("/kind")));
        let client = self.client.clone();
        let api: Api<DynamicObject> = match text("/metadata/namespace") {
            "" => Api::all_with(client, &resource),
            namespace => Api::namespaced_with(client, namespace, &resource),
        };
        let name = text("/metadata/name");
        if part.wanted {
            let parameters = PatchParams::apply(FIELD_MANAGER).force();
            api.patch(name, &parameters, &Patch::Apply(&part.object)).await.map(drop)
        } else {
            gone(api.delete(name, &DeleteParams::default()).await)
        }
    }
}

fn parts(network: &ClusterNetwork, ca_pem: &str) -> Vec<Part> {
    let flannel = network.flannel_backend != FlannelBackend::None;
    let on = |battery| network.disable.leaves(battery);
    let controllers = on(Battery::Servicelb) || on(Battery::LocalStorage);
    let groups = [
        (flannel, flannel_objects()),
        (on(Battery::Coredns), dns_objects(network)),
        (controllers, controller_objects()),
        (on(Battery::LocalStorage), vec![storage_class()]),
        (on(Battery::MetricsServer), metrics_objects(ca_pem)),
    ];
    let parts = |(wanted, objects): (bool, Vec<Value>)| {
        objects.into_iter().map(move |object| Part { wanted, object })
    };
    groups.into_iter().flat_map(parts).collect()
}

/// Flannel on a node reads all nodes, as kube-proxy beside it may anyway, and writes to its own as its kubelet.
fn flannel_objects() -> Vec<Value> {
    let rules = json!([{ "apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"] }]);
    vec![role("k3s-daas:flannel", &rules), bind("k3s-daas:flannel", "k3s-daas:flannel", "Group", NODES_GROUP)]
}

/// CoreDNS on a node has the rights of kube-proxy there, and sees which namespaces there are. Its service leads to
/// itself: every node has the address of the cluster's DNS for its own pods.
fn dns_objects(network: &ClusterNetwork) -> Vec<Value> {
    let rules = json!([{ "apiGroups": [""], "resources": ["namespaces"], "verbs": ["list", "watch"] }]);
    let port =
        |name: &str, port: u16, protocol: &str| json!({ "name": name, "port": port, "protocol": protocol });
    let ports = [port("dns", 53, "UDP"), port("dns-tcp", 53, "TCP"), port("metrics", 9153, "TCP")];
    let mut service = metadata("kube-dns", Some(SYSTEM));
    service["labels"]["k8s-app"] = "kube-dns".into();
    service["labels"]["kubernetes.io/cluster-service"] = "true".into();
    service["labels"]["kubernetes.io/name"] = "CoreDNS".into();
    let mut slice = metadata("kube-dns", Some(SYSTEM));
    slice["labels"]["kubernetes.io/service-name"] = "kube-dns".into();
    slice["labels"]["endpointslice.kubernetes.io/managed-by"] = FIELD_MANAGER.into();
    vec![
        role("k3s-daas:dns", &rules),
        bind("k3s-daas:dns", "k3s-daas:dns", "User", PROXY_USER),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": service,
            "spec": { "clusterIP": network.cluster_dns, "ports": ports },
        }),
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": slice,
            "addressType": "IPv4",
            "endpoints": [{ "addresses": [network.cluster_dns], "conditions": { "ready": true } }],
            "ports": ports,
        }),
    ]
}

fn controller_objects() -> Vec<Value> {
    const NAME: &str = "k3s-daas:addon-controllers";
    let rule = |groups: &[&str], resources: &[&str], verbs: &[&str]| json!({ "apiGroups": groups, "resources": resources, "verbs": verbs });
    let look = ["get", "list", "watch"];
    let rules = json!([
        rule(&[""], &["nodes", "services"], &look),
        rule(&[""], &["services/status"], &["update"]),
        rule(&["", "events.k8s.io"], &["events"], &["create", "patch", "update"]),
        rule(&[""], &["persistentvolumeclaims"], &[&look[..], &["update", "patch"]].concat()),
        rule(&[""], &["persistentvolumes"], &[&look[..], &["create", "update", "patch", "delete"]].concat()),
        rule(&["storage.k8s.io"], &["storageclasses"], &look),
    ]);
    let helpers = json!({
        "apiVersion": RBAC, "kind": "Role", "metadata": metadata(NAME, Some(SYSTEM)),
        "rules": [rule(&[""], &["pods"], &["create", "get", "delete"])],
    });
    vec![
        role(NAME, &rules),
        bind(NAME, NAME, "User", CONTROLLERS_USER),
        helpers,
        bind_in(SYSTEM, NAME, NAME, CONTROLLERS_USER),
    ]
}

/// The default class, as in K3s.
fn storage_class() -> Value {
    let mut metadata = metadata("local-path", None);
    metadata["annotations"] = json!({ "storageclass.kubernetes.io/is-default-class": "true" });
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": metadata,
        "provisioner": "rancher.io/local-path",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    })
}

/// metrics-server runs beside kube-apiserver and listens on loopback: its service is a name for that.
fn metrics_objects(ca_pem: &str) -> Vec<Value> {
    const NAME: &str = "k3s-daas:metrics-server";
    const READER: &str = "system:aggregated-metrics-reader";
    let look = ["get", "list", "watch"];
    let rules = json!([
        { "apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"] },
        { "apiGroups": [""], "resources": ["pods", "nodes"], "verbs": look },
    ]);
    let mut reader = role(
        READER,
        &json!([{ "apiGroups": ["metrics.k8s.io"], "resources": ["pods", "nodes"], "verbs": look }]),
    );
    for role in ["admin", "edit", "view"] {
        reader["metadata"]["labels"][format!("rbac.authorization.k8s.io/aggregate-to-{role}")] =
            "true".into();
    }
    vec![
        role(NAME, &rules),
        bind(NAME, NAME, "User", METRICS_USER),
        bind("k3s-daas:metrics-server:delegator", "system:auth-delegator", "User", METRICS_USER),
        bind_in(SYSTEM, NAME, "extension-apiserver-authentication-reader", METRICS_USER),
        reader,
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata("metrics-server", Some(SYSTEM)),
            "spec": { "type": "ExternalName", "externalName": "localhost" },
        }),
        json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": metadata("v1beta1.metrics.k8s.io", None),
            "spec": {
                "group": "metrics.k8s.io", "version": "v1beta1",
                "groupPriorityMinimum": 100, "versionPriority": 100,
                "caBundle": STANDARD.encode(ca_pem),
                "service": { "name": "metrics-server", "namespace": SYSTEM, "port": METRICS_PORT },
            },
        }),
    ]
}

fn metadata(name: &str, namespace: Option<&str>) -> Value {
    let mut metadata = json!({ "name": name, "labels": managed_labels("addon") });
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    metadata
}

fn role(name: &str, rules: &Value) -> Value {
    json!({ "apiVersion": RBAC, "kind": "ClusterRole", "metadata": metadata(name, None), "rules": rules })
}

fn bind(name: &str, role: &str, kind: &str, subject: &str) -> Value {
    let subject = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": subject });
    json!({
        "apiVersion": RBAC, "kind": "ClusterRoleBinding", "metadata": metadata(name, None),
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
        "subjects": [subject],
    })
}

/// Binds a role of a namespace to a user.
fn bind_in(namespace: &str, name: &str, role: &str, user: &str) -> Value {
    let subject = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user });
    json!({
        "apiVersion": RBAC, "kind": "RoleBinding", "metadata": metadata(name, Some(namespace)),
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role },
        "subjects": [subject],
    })
}

#[cfg(test)]
mod tests {
    use engine::Disabled;

    use super::*;

    fn wanted(disable: &[&str], flannel_backend: FlannelBackend) -> Vec<String> {
        let disable: Vec<String> = disable.iter().map(|name| (*name).to_owned()).collect();
        let disable = Disabled::try_from(disable).unwrap();
        let network = ClusterNetwork { disable, flannel_backend, ..ClusterNetwork::default() };
        let parts = parts(&network, "ca").into_iter().filter(|part| part.wanted);
        let name = |value: &Value| value.as_str().unwrap().to_owned();
        parts
            .map(|part| format!("{} {}", name(&part.object["kind"]), name(&part.object["metadata"]["name"])))
            .collect()
    }

    #[test]
    fn what_is_switched_off_leaves_nothing_behind() {
        let all = wanted(&[], FlannelBackend::Wireguard);
        for object in ["Service kube-dns", "StorageClass local-path", "APIService v1beta1.metrics.k8s.io"] {
            assert!(all.contains(&object.to_owned()), "{object}");
        }
        let off = ["coredns", "servicelb", "local-storage", "metrics-server"];
        assert!(wanted(&off, FlannelBackend::None).is_empty());
        let some = wanted(&off[..3], FlannelBackend::None);
        assert!(some.iter().all(|object| object.contains("metrics")), "{some:?}");
    }

    #[test]
    fn strangers_nodes_read_nodes_and_namespaces_and_write_nothing() {
        let nodes = [NODES_GROUP, PROXY_USER];
        let parts = parts(&ClusterNetwork::default(), "ca");
        let bound: Vec<&str> = parts
            .iter()
            .filter(|part| nodes.iter().any(|name| part.object["subjects"][0]["name"] == *name))
            .filter_map(|part| part.object["roleRef"]["name"].as_str())
            .collect();
        assert_eq!(bound, ["k3s-daas:flannel", "k3s-daas:dns"]);
        for part in &parts {
            if part.object["kind"] == "ClusterRole"
                && bound.iter().any(|name| part.object["metadata"]["name"] == *name)
            {
                let rules = part.object["rules"].to_string();
                for word in ["*", "secrets", "create", "update", "patch", "delete"] {
                    assert!(!rules.contains(word), "{rules}");
                }
            }
        }
    }
}
