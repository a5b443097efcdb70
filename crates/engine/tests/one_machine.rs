//! A real control plane on our store and a real node under it, without chain, gateway or TEE: what kubectl sees.
//! Needs root, `bin/kubernetes` and the Debian packages of `make setup`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use engine::control_plane::{Kubeconfig, User};
use engine::node::NodeCredentials;
use engine::pki::{ClusterPki, Identity, Profile};
use engine::{ControlPlane, ControlPlaneConfig, Node, NodeConfig};
use store::{Config, Listener, Store};
use tokio::process::Command;

const API_PORT: u16 = 26443;
const NODE: &str = "worker-1";

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_runs_on_our_store() {
    assert!(rustix::process::geteuid().is_root(), "this test runs a kubelet: run it as root");
    let dir = tempfile::Builder::new().prefix("k3s-daas-engine-").tempdir_in("/var/tmp").unwrap();
    let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bin/kubernetes").canonicalize();
    let binary = binary.expect("bin/kubernetes is missing: run `make build`");

    let store =
        Store::open(Config::new(dir.path().join("store"), tee::SealingKey::from_bytes([7; 32]))).unwrap();
    let socket = dir.path().join("store.sock");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let listeners = vec![Listener::Unix(socket.clone())];
    let serving = tokio::spawn(store::serve(store.clone(), listeners, async {
        let _ = stopped.await;
    }));

    let now = now_ms();
    let pki = ClusterPki::generate(now).unwrap();
    let config = ControlPlaneConfig::new(
        binary.clone(),
        dir.path().join("control-plane"),
        format!("unix://{}", socket.display()),
        API_PORT,
    );
    let control_plane = ControlPlane::start(&config, &pki, now).await.unwrap();
    control_plane.ready(Duration::from_secs(60)).await.unwrap();
    println!("control plane ready after {} ms", now_ms() - now);

    let admin = dir.path().join("admin.kubeconfig");
    let text = Kubeconfig {
        server: control_plane.url(),
        ca: pki.ca_pem(),
        user: User::Identity(control_plane.admin()),
    };
    std::fs::write(&admin, text.render()).unwrap();
    let kubectl = Kubectl { binary: binary.clone(), kubeconfig: admin };

    let node_config = node_config(dir.path(), binary, control_plane.url(), &pki);
    let from = now_ms();
    let node = Node::start(node_config, &credentials(&pki, now)).await.unwrap();
    kubectl.eventually(&["wait", "--for=condition=Ready", "node", NODE, "--timeout=60s"]).await;
    println!("node Ready after {} ms", now_ms() - from);

    kubectl.eventually(&["get", "serviceaccount", "default"]).await;
    let script = "echo hello; exec sleep 3600";
    kubectl
        .ok(&[
            "run",
            "greeter",
            "--image=k3s-daas/busybox:1",
            "--image-pull-policy=Never",
            "--command",
            "--",
            "sh",
            "-c",
            script,
        ])
        .await;
    kubectl.ok(&["wait", "--for=condition=Ready", "pod/greeter", "--timeout=60s"]).await;
    println!("pod Ready after {} ms", now_ms() - from);
    assert_eq!(kubectl.ok(&["logs", "greeter"]).await, "hello\n");
    assert_eq!(kubectl.ok(&["exec", "greeter", "--", "echo", "yes"]).await, "yes\n");
    assert_eq!(node.pods().await.unwrap(), 1);
    node.healthy().await.unwrap();

    // Renewed certificates are taken without touching the pod.
    node.renew(&credentials(&pki, now_ms())).unwrap();
    let exec = kubectl.eventually(&["exec", "greeter", "--", "echo", "still"]).await;
    assert_eq!(exec, "still\n");

    node.shutdown_with_pods().await.unwrap();
    control_plane.shutdown().await;
    let _ = stop.send(());
    serving.await.unwrap().unwrap();
    assert!(!Path::new("/sys/class/net/k3s-daas0").exists());
    assert!(revealed(dir.path()).is_empty(), "private keys of the control plane are on disk");
}

fn node_config(dir: &Path, binary: PathBuf, apiserver: &str, pki: &ClusterPki) -> NodeConfig {
    NodeConfig {
        name: NODE.to_owned(),
        binary,
        state_dir: dir.join("node"),
        address: address(),
        apiserver: apiserver.to_owned(),
        server_ca: pki.ca_pem().to_owned(),
        client_ca: pki.client_ca_pem().to_owned(),
        kubelet_port: 26250,
        healthz_port: 26248,
        proxy_port: 0,
        pod_cidr: "10.42.0.0/24".to_owned(),
        cluster_cidr: "10.42.0.0/16".to_owned(),
        cluster_dns: IpAddr::from([10, 43, 0, 10]),
        cluster_domain: "cluster.local".to_owned(),
    }
}

fn address() -> IpAddr {
    engine::node::host_address().expect("the machine has no default route")
}

fn credentials(pki: &ClusterPki, now: u64) -> NodeCredentials {
    let node = format!("system:node:{NODE}");
    let client = |name: &str, groups: &[&str]| pki.issue(&Profile::client(name, groups, 3600), now).unwrap();
    // The kubelet's serving certificate is signed from a request, as the gateway does it.
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::default().serialize_request(&key).unwrap();
    let addresses = [address()];
    let profile = Profile::server(NODE, &[], &addresses, 3600);
    let certificate = pki.sign_request(request.der(), &profile, now).unwrap();
    NodeCredentials {
        kubelet_client: client(&node, &["system:nodes"]),
        kubelet_server: Identity { certificate, key: key.serialize_pem().into() },
        proxy_client: client("system:kube-proxy", &[]),
    }
}

struct Kubectl {
    binary: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    async fn run(&self, args: &[&str]) -> Result<String, String> {
        let mut command = Command::new(&self.binary);
        command.arg("kubectl").arg("--kubeconfig").arg(&self.kubeconfig).args(args);
        let output = command.output().await.unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(stdout)
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    async fn ok(&self, args: &[&str]) -> String {
        self.run(args).await.unwrap_or_else(|error| panic!("kubectl {args:?}: {error}"))
    }

    async fn eventually(&self, args: &[&str]) -> String {
        let mut last = String::new();
        for _ in 0..120 {
            match self.run(args).await {
                Ok(said) => return said,
                Err(error) => last = error,
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        panic!("kubectl {args:?}: {last}")
    }
}

/// Files of the control plane that hold a private key.
fn revealed(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("control-plane")).unwrap();
    let holds_key =
        |path: &PathBuf| std::fs::read_to_string(path).is_ok_and(|text| text.contains("PRIVATE KEY"));
    entries.map(|entry| entry.unwrap().path()).filter(holds_key).collect()
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
