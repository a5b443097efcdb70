use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, Event, watcher};
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use super::routes::{NodeRoute, Routes};

/// Pause before a watch that ended is begun anew.
const PAUSE: Duration = Duration::from_secs(1);

/// Keeps `routes` what Kubernetes says about nodes, until `stop`.
pub(crate) async fn watch_nodes(client: kube::Client, routes: Arc<RwLock<Routes>>, stop: CancellationToken) {
    // Shorter than the client's limit for an answer, after which the watch would look broken.
    let config = Config::default().timeout(10);
    loop {
        let mut events = watcher(Api::<Node>::all(client.clone()), config.clone()).default_backoff().boxed();
        let mut listed = BTreeSet::new();
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return,
                event = events.next() => event,
            };
            match event {
                Some(Ok(Event::Init)) => listed.clear(),
                Some(Ok(Event::InitApply(node))) => {
                    listed.extend(node.metadata.name.clone());
                    take(&mut routes.write(), node);
                }
                Some(Ok(Event::InitDone)) => routes.write().retain(|name| listed.contains(name)),
                Some(Ok(Event::Apply(node))) => take(&mut routes.write(), node),
                Some(Ok(Event::Delete(node))) => {
                    if let Some(name) = node.metadata.name {
                        routes.write().remove(&name);
                    }
                }
                // The apiserver starts, or is away; the watcher comes back by itself.
                Some(Err(error)) => tracing::debug!("watching nodes: {error}"),
                None => break,
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn take(routes: &mut Routes, node: Node) {
    let Some(name) = node.metadata.name else { return };
    let spec = node.spec.unwrap_or_default();
    let status = node.status.unwrap_or_default();
    let mut pod_cidrs = spec.pod_cidrs.unwrap_or_default();
    if pod_cidrs.is_empty() {
        pod_cidrs.extend(spec.pod_cidr);
    }
    let addresses = status.addresses.unwrap_or_default();
    let addresses = addresses.iter().filter(|address| address.type_ == "InternalIP");
    let mut route = NodeRoute {
        addresses: addresses.filter_map(|address| address.address.parse().ok()).collect(),
        pod_cidrs,
        ..NodeRoute::default()
    };
    let port = status.daemon_endpoints.and_then(|endpoints| endpoints.kubelet_endpoint).map(|e| e.port);
    if let Some(port) = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0) {
        route.kubelet_port = port;
    }
    routes.set(name, route);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::routes::Route;
    use super::*;

    #[test]
    fn a_nodes_object_is_its_route() {
        let mut routes = Routes::new("10.43.0.0/16");
        let node = json!({ "metadata": { "name": "n1" }, "spec": { "podCIDR": "10.42.5.0/24" }, "status": {
            "addresses": [{ "type": "Hostname", "address": "n1" }, { "type": "InternalIP", "address": "10.0.0.5" }],
            "daemonEndpoints": { "kubeletEndpoint": { "Port": 20250 } } } });
        take(&mut routes, serde_json::from_value(node).unwrap());
        let through = |address: &str| Route::Tunnel { node: "n1".into(), address: address.into() };
        assert_eq!(routes.route("10.42.5.9", 80, |name| name == "n1"), through("10.42.5.9:80"));
        assert_eq!(routes.route("10.0.0.5", 20250, |name| name == "n1"), through("127.0.0.1:20250"));
        assert_eq!(routes.route("n1", 1, |_| false), Route::Direct(vec!["10.0.0.5:1".into()]));
        take(&mut routes, serde_json::from_value(json!({ "metadata": { "name": "n1" } })).unwrap());
        assert_eq!(routes.route("n1", 1, |_| false), Route::Direct(vec![]));
    }
}
