use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::pki::Identity;
use futures::StreamExt;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, RoleBinding};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::client::ConfigExt;
use kube::config::AuthInfo;
use kube::core::Status;
use kube::{Api, Client, Config, Error, Resource};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::de::DeserializeOwned;
use serde_json::json;
use tower::ServiceBuilder;

use super::objects::{self, GRANT_SELECTOR};
use crate::error::MasterError;
use crate::health::KubernetesView;
use crate::membership::{Action, BindingKey, Observed, Scope, TOKEN_LABEL, token_label};

/// The longest wait for an answer; nothing here watches.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Pods of a node that are deleted at a time.
pub(super) const EVICTIONS: usize = 16;
/// Objects of one page of a listing.
const PAGE: u32 = 500;

/// The apiserver, spoken to as its administrator with a key that is only in memory.
#[derive(Clone)]
pub(crate) struct Kubernetes {
    pub(crate) client: Client,
}

impl Kubernetes {
    pub(crate) fn new(url: &str, ca_pem: &str, admin: &Identity) -> Result<Self, MasterError> {
        let bad =
            |problem: String| MasterError::Config(format!("cannot make a Kubernetes client: {problem}"));
        let mut config =
            Config::new(url.parse().map_err(|error: http::uri::InvalidUri| bad(error.to_string()))?);
        let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes()).map_err(|error| bad(error.to_string()))?;
        config.root_cert = Some(vec![ca.to_vec()]);
        config.auth_info = AuthInfo {
            client_certificate_data: Some(STANDARD.encode(&admin.certificate)),
            client_key_data: Some(STANDARD.encode(admin.key.as_bytes()).into()),
            ..AuthInfo::default()
        };
        // Not the ready-made stack: it logs every answer that is no success as an error, and an apiserver that
        // is starting gives many.
        let connector = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .build(config.rustls_https_connector()?);
        let service =
            ServiceBuilder::new().timeout(ANSWER_TIMEOUT).layer(config.base_uri_layer()).service(connector);
        Ok(Self { client: Client::new(service, config.default_namespace) })
    }

    /// Whether the apiserver says that it is ready.
    pub(crate) async fn is_ready(&self) -> bool {
        let request = http::Request::get("/readyz").body(Vec::new());
        match request {
            Ok(request) => self.client.request_text(request).await.is_ok_and(|text| text == "ok"),
            Err(_) => false,
        }
    }

    /// Whether the roles that grants name have their rules, which the controller manager fills in after the
    /// first start.
    pub(crate) async fn has_roles(&self) -> Result<bool, Error> {
        let view = Api::<ClusterRole>::all(self.client.clone()).get_opt("view").await?;
        Ok(view.and_then(|role| role.rules).is_some_and(|rules| !rules.is_empty()))
    }

    /// What the membership has to know, and how Kubernetes sees each node. Pods are counted of `drained` nodes.
    pub(crate) async fn observe(
        &self,
        drained: &BTreeSet<&str>,
    ) -> Result<(Observed, BTreeMap<String, KubernetesView>), Error> {
        let (mut observed, mut views) = (Observed::default(), BTreeMap::new());
        for object in self.list::<Node>(Api::all(self.client.clone()), "").await? {
            if let Some((name, mut node)) = objects::node(&object) {
                if drained.contains(name.as_str()) {
                    let pods = self.holding_up(&name).await?;
                    node.left = pods.len();
                    node.movable = pods.iter().filter(|pod| objects::is_movable(pod)).count();
                }
                views.insert(name.clone(), objects::view(&object));
                observed.nodes.insert(name, node);
            }
        }
        for binding in self.list::<RoleBinding>(Api::all(self.client.clone()), GRANT_SELECTOR).await? {
            if let Some((key, binding)) = objects::role_binding(&binding) {
                observed.bindings.insert(key, binding);
            }
        }
        for binding in self.list::<ClusterRoleBinding>(Api::all(self.client.clone()), GRANT_SELECTOR).await? {
            if let Some((key, binding)) = objects::cluster_role_binding(&binding) {
                observed.bindings.insert(key, binding);
            }
        }
        for namespace in self.list::<Namespace>(Api::all(self.client.clone()), "").await? {
            observed.namespaces.extend(namespace.metadata.name);
        }
        Ok((observed, views))
    }

    /// Makes one change. What is already as it should be is a success.
    pub(crate) async fn act(&self, action: &Action) -> Result<(), Error> {
        let client = self.client.clone();
        match action {
            Action::DeleteBinding(BindingKey { scope: Scope::Cluster, name }) => {
                gone(Api::<ClusterRoleBinding>::all(client).delete(name, &DeleteParams::default()).await)
            }
            Action::DeleteBinding(BindingKey { scope: Scope::Namespace(namespace), name }) => {
                let api = Api::<RoleBinding>::namespaced(client, namespace);
                gone(api.delete(name, &DeleteParams::default()).await)
            }
            Action::Cordon(name) => {
                let patch = Patch::Merge(json!({ "spec": { "unschedulable": true } }));
                gone(Api::<Node>::all(client).patch(name, &PatchParams::default(), &patch).await)
            }
            Action::EvictPods(name) => self.evict(name).await,
            Action::DeleteNode(name) => {
                gone(Api::<Node>::all(client).delete(name, &DeleteParams::default()).await)
            }
            Action::Adopt { name, token } => {
                let labels = json!({ TOKEN_LABEL: token_label(token) });
                let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
                gone(Api::<Node>::all(client).patch(name, &PatchParams::default(), &patch).await)
            }
            Action::Label { name, labels } => self.label(name, labels).await,
            Action::Taint { name, taints } => self.taint(name, taints).await,
            Action::BeginDrain(name) => self.cordon(name, true).await,
            Action::EndDrain(name) => self.cordon(name, false).await,
            Action::MovePods(name) => self.move_pods(name).await,
            Action::CreateNamespace(name) => {
                let namespace = objects::new_namespace(name);
                there(Api::<Namespace>::all(client).create(&PostParams::default(), &namespace).await)
            }
            Action::CreateBinding(binding) => match &binding.key.scope {
                Scope::Cluster => {
                    let object = objects::new_cluster_role_binding(binding);
                    there(Api::all(client).create(&PostParams::default(), &object).await)
                }
                Scope::Namespace(namespace) => {
                    let object = objects::new_role_binding(binding);
                    there(Api::namespaced(client, namespace).create(&PostParams::default(), &object).await)
                }
            },
        }
    }

    /// Deletes the node's pods at once: its kubelet gets no answer any more and could not confirm a graceful end.
    async fn evict(&self, node: &str) -> Result<(), Error> {
        let parameters = ListParams::default().fields(&format!("spec.nodeName={node}"));
        let pods = Api::<Pod>::all(self.client.clone()).list(&parameters).await?;
        let deletions = pods.items.into_iter().filter_map(|pod| {
            let (namespace, name) = (pod.metadata.namespace?, pod.metadata.name?);
            let api = Api::<Pod>::namespaced(self.client.clone(), &namespace);
            Some(async move { gone(api.delete(&name, &DeleteParams::default().grace_period(0)).await) })
        });
        let results: Vec<_> = futures::stream::iter(deletions).buffer_unordered(EVICTIONS).collect().await;
        results.into_iter().collect()
    }

    async fn list<K>(&self, api: Api<K>, selector: &str) -> Result<Vec<K>, Error>
    where
        K: Clone + DeserializeOwned + Debug + Resource,
    {
        let mut items = Vec::new();
        let mut parameters = ListParams::default().labels(selector).limit(PAGE);
        loop {
            let page = api.list(&parameters).await?;
            items.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(items),
            }
        }
    }
}

/// What is not there need not be changed or deleted.
pub(super) fn gone<T>(result: Result<T, Error>) -> Result<(), Error> {
    unless(404, result)
}

/// What is there need not be made.
fn there<T>(result: Result<T, Error>) -> Result<(), Error> {
    unless(409, result)
}

fn unless<T>(code: u16, result: Result<T, Error>) -> Result<(), Error> {
    match result {
        Err(Error::Api(status)) if Status::clone(&status).code == code => Ok(()),
        other => other.map(drop),
    }
}
