use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use kube::api::{EvictParams, ListParams, Patch, PatchParams};
use kube::core::Status;
use kube::{Api, Error};
use serde_json::{Map, Value, json};

use super::client::{EVICTIONS, Kubernetes, gone};
use super::objects::{holds_up, is_movable, is_our_taint};
use crate::membership::{DRAINED_ANNOTATION, TAINT_VALUE};

/// What the lifecycle of a node changes in Kubernetes.
impl Kubernetes {
    pub(super) async fn label(
        &self,
        name: &str,
        labels: &BTreeMap<String, Option<String>>,
    ) -> Result<(), Error> {
        // null takes a label away in a merge patch.
        let labels: Map<String, Value> =
            labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        self.patch_node(name, json!({ "metadata": { "labels": labels } })).await
    }

    /// Replaces the master's taints and leaves those of others.
    pub(super) async fn taint(&self, name: &str, keys: &BTreeSet<String>) -> Result<(), Error> {
        let nodes = Api::<Node>::all(self.client.clone());
        let Some(node) = nodes.get_opt(name).await? else { return Ok(()) };
        let there = node.spec.and_then(|spec| spec.taints).unwrap_or_default();
        let mut taints: Vec<Taint> = there.into_iter().filter(|taint| !is_our_taint(taint)).collect();
        taints.extend(keys.iter().map(|key| Taint {
            key: key.clone(),
            value: Some(TAINT_VALUE.to_owned()),
            effect: "NoExecute".to_owned(),
            time_added: None,
        }));
        // The list is replaced whole, so only if nobody else has changed the node meanwhile.
        let version = node.metadata.resource_version;
        self.patch_node(
            name,
            json!({ "metadata": { "resourceVersion": version }, "spec": { "taints": taints } }),
        )
        .await
    }

    /// Cordons a node for a drain, or lets pods come to it again.
    pub(super) async fn cordon(&self, name: &str, drained: bool) -> Result<(), Error> {
        let mark = drained.then_some("true");
        let patch = json!({
            "metadata": { "annotations": { (DRAINED_ANNOTATION): mark } },
            "spec": { "unschedulable": drained.then_some(true) },
        });
        self.patch_node(name, patch).await
    }

    /// Asks for the eviction of each pod that can go elsewhere. One whose budget does not allow it now stays
    /// until the next round.
    pub(super) async fn move_pods(&self, node: &str) -> Result<(), Error> {
        let evictions = self.holding_up(node).await?.into_iter().filter(is_movable).filter_map(|pod| {
            let (namespace, name) = (pod.metadata.namespace?, pod.metadata.name?);
            let api = Api::<Pod>::namespaced(self.client.clone(), &namespace);
            Some(async move { patient(gone(api.evict(&name, &EvictParams::default()).await)) })
        });
        let results: Vec<_> = futures::stream::iter(evictions).buffer_unordered(EVICTIONS).collect().await;
        results.into_iter().collect()
    }

    /// The pods of a node that a drain waits for.
    pub(super) async fn holding_up(&self, node: &str) -> Result<Vec<Pod>, Error> {
        let parameters = ListParams::default().fields(&format!("spec.nodeName={node}"));
        let pods = Api::<Pod>::all(self.client.clone()).list(&parameters).await?;
        Ok(pods.items.into_iter().filter(holds_up).collect())
    }

    async fn patch_node(&self, name: &str, patch: Value) -> Result<(), Error> {
        let nodes = Api::<Node>::all(self.client.clone());
        gone(nodes.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await)
    }
}

/// 429 says that the pod's disruption budget does not allow it yet.
fn patient(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::Api(status)) if Status::clone(&status).code == 429 => Ok(()),
        other => other,
    }
}
