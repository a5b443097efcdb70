use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Node;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use tokio_util::sync::CancellationToken;

use super::client::Kubernetes;
use super::objects;
use crate::health::KubernetesView;
use crate::membership::{Action, Observed, TOKEN_LABEL, plan, token_label};
use crate::shared::Shared;

/// Pause while the apiserver is not ready, and after changes that failed.
const RETRY: Duration = Duration::from_millis(500);

/// The longest that one comparison with its changes may take.
const ROUND_TIMEOUT: Duration = Duration::from_secs(60);

/// Pause between two looks at a node that is drained: whether a budget allows the next pod to go, and whether all are gone.
const DRAINING: Duration = Duration::from_secs(2);

/// Keeps Kubernetes what the chain says: at once when the membership changes, and every now and then in case
/// somebody else changed Kubernetes or a token ran out.
pub(crate) struct Reconciler {
    pub(crate) shared: Arc<Shared>,
    pub(crate) kubernetes: Kubernetes,
    pub(crate) interval: Duration,
}

impl Reconciler {
    pub(crate) async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.forever() => {}
            () = self.watch_nodes() => {}
        }
    }

    /// Tells the health what Kubernetes sees of a node, as soon as it does, and rings when a Node appears that is
    /// not yet known to belong to a token, or whose labels are not what they should be.
    async fn watch_nodes(&self) {
        let nodes = Api::<Node>::all(self.kubernetes.client.clone());
        let mut events = pin!(watcher(nodes, watcher::Config::default()).default_backoff());
        while let Some(event) = events.next().await {
            // Errors are retried by the watcher itself; the round every now and then does not depend on it.
            match event {
                Ok(Event::Apply(node) | Event::InitApply(node)) => {
                    let name = node.name_any();
                    let now_ms = self.shared.now_ms();
                    self.shared.health.lock().kubernetes_node(&name, objects::view(&node), now_ms);
                    if !node.labels().contains_key(TOKEN_LABEL) {
                        self.shared.changed.notify_one();
                    }
                }
                Ok(Event::Delete(node)) => {
                    let now_ms = self.shared.now_ms();
                    let view = KubernetesView::Absent;
                    self.shared.health.lock().kubernetes_node(&node.name_any(), view, now_ms);
                }
                _ => {}
            }
        }
    }

    async fn forever(&self) {
        let mut bootstrapped = false;
        loop {
            let round = async {
                if !bootstrapped {
                    self.bootstrap().await?;
                    bootstrapped = true;
                }
                self.once().await
            };
            let done = tokio::time::timeout(ROUND_TIMEOUT, round).await;
            let pause = match done.unwrap_or_else(|_| Err("kube-apiserver stopped in the middle".to_owned()))
            {
                Ok(()) if self.shared.is_draining() => self.interval.min(DRAINING),
                Ok(()) => self.interval,
                Err(error) => {
                    tracing::debug!("Kubernetes does not agree with the chain yet: {error}");
                    RETRY
                }
            };
            tokio::select! {
                () = self.shared.changed.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// A Node that carries its live token's label has joined, also when that was before the master's last start:
    /// it may renew its certificates while the chain is silent.
    fn note_joined(&self, observed: &Observed, now_ms: u64) {
        let mut membership = self.shared.membership.write();
        for (name, node) in &observed.nodes {
            let live = membership.roster().live_node(name, now_ms).map(|token| token.id);
            if let Some(token) = live.filter(|token| node.token_label == Some(token_label(token))) {
                membership.joined(name, token);
            }
        }
    }

    async fn bootstrap(&self) -> Result<(), String> {
        if !self.kubernetes.is_ready().await {
            return Err("kube-apiserver is not ready".to_owned());
        }
        self.kubernetes.bootstrap().await.map_err(|error| error.to_string())?;
        let (network, ca) = (&self.shared.facts.network, self.shared.pki.ca_pem());
        self.kubernetes.addons(network, ca).await.map_err(|error| error.to_string())
    }

    /// One comparison and what follows from it. A failed change does not hold up those that do not need it.
    async fn once(&self) -> Result<(), String> {
        // Without the chain's word nobody has a live token, and every node would have to go.
        if !self.shared.membership.read().is_synced() {
            return Err("the chain was not read yet".to_owned());
        }
        let given = self.shared.wanted();
        let drained =
            given.care.iter().filter(|(_, care)| care.drain).map(|(name, _)| name.as_str()).collect();
        let seen = self.kubernetes.observe(&drained).await;
        let (observed, views) = seen.map_err(|error| error.to_string())?;
        let now_ms = self.shared.now_ms();
        self.note_joined(&observed, now_ms);
        self.shared.note_drains(&given.care, &observed);
        let view = |name: &str| views.get(name).copied().unwrap_or(KubernetesView::Absent);
        self.shared.health.lock().kubernetes(view, now_ms);
        let actions = plan(self.shared.membership.read().roster(), &given, &observed, now_ms);
        let mut failure = None;
        for action in &actions {
            let result = self.kubernetes.act(action).await;
            let (kind, subject) = describe(action);
            let outcome = if result.is_ok() { "done" } else { "failed" };
            self.shared.metrics.actions.get_or_create(&[("action", kind), ("result", outcome)]).inc();
            match result {
                Ok(()) => tracing::info!(action = kind, subject, "changed Kubernetes as the chain says"),
                Err(error) => {
                    tracing::warn!(action = kind, subject, "cannot change Kubernetes, trying again: {error}");
                    failure = Some(format!("{kind} {subject}: {error}"));
                }
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        if !self.shared.board.read().reconciled {
            if !self.kubernetes.has_roles().await.map_err(|error| error.to_string())? {
                return Err("Kubernetes' own roles have no rules yet".to_owned());
            }
            self.shared.board.update(|board| board.reconciled = true);
        }
        Ok(())
    }
}

fn describe(action: &Action) -> (&'static str, &str) {
    match action {
        Action::DeleteBinding(key) => ("delete_binding", &key.name),
        Action::Cordon(name) => ("cordon", name),
        Action::EvictPods(name) => ("evict_pods", name),
        Action::DeleteNode(name) => ("delete_node", name),
        Action::Adopt { name, .. } => ("adopt_node", name),
        Action::Label { name, .. } => ("label_node", name),
        Action::Taint { name, .. } => ("taint_node", name),
        Action::BeginDrain(name) => ("begin_drain", name),
        Action::MovePods(name) => ("move_pods", name),
        Action::EndDrain(name) => ("end_drain", name),
        Action::CreateNamespace(name) => ("create_namespace", name),
        Action::CreateBinding(binding) => ("create_binding", &binding.key.name),
    }
}
