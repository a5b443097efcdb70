//! Pods, from their creation until all of them run.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;

use super::kinds;
use crate::cluster::{Cluster, node_name};
use crate::process;
use crate::result::{Goal, Measured};
use crate::server::{Kind, Server};
use crate::settings::Settings;
use crate::stats::Latencies;

const NODES: usize = 50;
const PODS: usize = 5_000;
const CREATORS: usize = 40;

pub(super) async fn measure(settings: &Settings) -> anyhow::Result<Measured> {
    let mut measured = Measured::default();
    for run in 0..settings.runs {
        for kind in kinds(settings, true) {
            if kind == Kind::Kine && run > 0 {
                continue;
            }
            one(settings, kind, &mut measured).await?;
        }
    }
    Ok(measured)
}

async fn one(settings: &Settings, kind: Kind, measured: &mut Measured) -> anyhow::Result<()> {
    let store = Server::start(kind, settings).await?;
    let cluster = Cluster::start(settings, &store, NODES).await?;
    let before = store.usage()?;
    let apiserver_before = process::usage(cluster.apiserver.pid())?;
    let started = Instant::now();
    let mut latencies = create(&cluster).await?;
    while cluster.pods_not_running().await? > 0 {
        ensure!(started.elapsed() < Duration::from_secs(240), "not all pods run after four minutes");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let seconds = started.elapsed().as_secs_f64();
    let used = store.usage()? - before;
    let apiserver = process::usage(cluster.apiserver.pid())? - apiserver_before;
    let [p50, p99] = latencies.percentiles([50.0, 99.0]);
    let per_pod = |seconds: f64| seconds / PODS as f64 * 1e6;
    measured.add(kind, "running pods", "per s", Some(Goal::RatioAtLeast(1.0)), PODS as f64 / seconds);
    measured.add(kind, "p50 of creating one", "ms", None, p50);
    measured.add(kind, "p99 of creating one", "ms", Some(Goal::RatioAtMost(1.0)), p99);
    measured.add(kind, "store CPU per pod", "µs", Some(Goal::RatioAtMost(0.333)), per_pod(used.cpu));
    measured.add(kind, "kube-apiserver CPU per pod", "µs", None, per_pod(apiserver.cpu));
    Ok(())
}

/// Creates all pods, `CREATORS` at a time.
async fn create(cluster: &Cluster) -> anyhow::Result<Latencies> {
    let (next, latencies) = (Cell::new(0), RefCell::new(Latencies::default()));
    let creator = || async {
        while next.get() < PODS {
            let number = next.replace(next.get() + 1);
            let started = Instant::now();
            cluster.post("/api/v1/namespaces/default/pods", pod(number)).await?;
            latencies.borrow_mut().add(started.elapsed());
        }
        anyhow::Ok(())
    };
    let creators: Vec<_> = (0..CREATORS).map(|_| creator()).collect();
    futures::future::try_join_all(creators).await?;
    Ok(latencies.into_inner())
}

/// As long as a plain web server's.
fn pod(number: usize) -> String {
    json!({
        "metadata": {
            "name": format!("web-{number:05}"),
            "labels": {"app": "web", "tier": "frontend", "pod-template-hash": "6d4cf56db6"},
        },
        "spec": {
            "nodeName": node_name(number % NODES),
            "automountServiceAccountToken": false,
            "containers": [{
                "name": "web",
                "image": "registry.example/web:1.27",
                "ports": [{"containerPort": 8080, "name": "http"}],
                "env": [{"name": "LISTEN", "value": ":8080"}, {"name": "UPSTREAM", "value": "backend.default.svc"}],
                "resources": {
                    "requests": {"cpu": "100m", "memory": "64Mi"},
                    "limits": {"cpu": "500m", "memory": "256Mi"},
                },
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10},
            }],
        },
    })
    .to_string()
}
