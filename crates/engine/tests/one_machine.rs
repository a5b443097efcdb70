//! A real control plane on our store and a real node under it, without chain, gateway or TEE: what kubectl sees.
//! Needs root, `bin/kubernetes` and the Debian packages of `make setup`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use engine::control_plane::{Kubeconfig, User};
use engine::node::{FlannelBackend, NodeCredentials, ProxyMode};
use engine::pki::{ClusterPki, Identity, Profile};
use engine::{ControlPlane, ControlPlaneConfig, Disabled, Node, NodeConfig};
use store::{Config, Listener, Store};
use tokio::process::Command;

const API_PORT: u16 = 26443;
const NODE: &str = "worker-1";
const HOST_PORT: u16 = 28080;
/// How long certificates are valid that are to be renewed, seconds.
const SHORT: u64 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_runs_on_our_store() {
    assert!(rustix::process::geteuid().is_root(), "this test runs a kubelet: run it as root");
    let dir = tempfile::Builder::new().prefix("k3s-daas-engine-").tempdir_in("/var/tmp").unwrap();
    let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bin/kubernetes").canonicalize();
    let binary = binary.expect("bin/kubernetes is missing: run `make build`");

    // A run of this test that was killed may have left rules; they are not this one's.
    let rules_before = rules();
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
    let mut config = ControlPlaneConfig::new(
        binary.clone(),
        dir.path().join("control-plane"),
        format!("unix://{}", socket.display()),
        API_PORT,
    );
    config.advertise_address = address();
    let control_plane = ControlPlane::start(&config, &pki, now).await.unwrap();
    control_plane.ready(Duration::from_secs(60)).await.unwrap();
    println!("control plane ready after {} ms", now_ms() - now);
    nobody_is_anonymous(&pki, control_plane.url()).await;

    let admin = dir.path().join("admin.kubeconfig");
    let text = Kubeconfig {
        server: control_plane.url(),
        ca: pki.ca_pem(),
        user: User::Identity(control_plane.admin()),
    };
    std::fs::write(&admin, text.render()).unwrap();
    let kubectl = Kubectl { binary: binary.clone(), kubeconfig: admin };

    // What the master gives nodes for flannel and CoreDNS.
    for (role, verbs, resource, subject) in [
        ("flannel", "get,list,watch", "nodes", "--group=system:nodes"),
        ("dns", "list,watch", "namespaces", "--user=system:kube-proxy"),
    ] {
        let (verbs, resource) = (format!("--verb={verbs}"), format!("--resource={resource}"));
        kubectl.ok(&["create", "clusterrole", role, &verbs, &resource]).await;
        let role_flag = format!("--clusterrole={role}");
        kubectl.ok(&["create", "clusterrolebinding", role, &role_flag, subject]).await;
    }
    let node_config = node_config(dir.path(), binary, control_plane.url(), &pki);
    let from = now_ms();
    let node = Node::start(node_config.clone(), &credentials(&pki, from, 3600)).await.unwrap();
    kubectl.eventually(&["wait", "--for=condition=Ready", "node", NODE, "--timeout=60s"]).await;
    println!("node Ready after {} ms", now_ms() - from);

    kubectl.eventually(&["get", "serviceaccount", "default"]).await;
    kubectl.start_pod("greeter", "echo hello; exec httpd -f -p 8080 -h /etc", HOST_PORT).await;
    println!("pod Ready after {} ms", now_ms() - from);
    assert_eq!(kubectl.ok(&["logs", "greeter"]).await, "hello\n");
    assert_eq!(kubectl.ok(&["exec", "greeter", "--", "echo", "yes"]).await, "yes\n");

    // Services: another pod, and the API itself, by addresses that only kube-proxy knows.
    let ports = ["--port=80", "--target-port=8080"];
    kubectl.ok(&["expose", "pod", "greeter", ports[0], ports[1], "--cluster-ip=10.43.7.7"]).await;
    kubectl.start_pod("asker", "exec sleep 3600", 0).await;
    let ask = "printf 'GET /passwd HTTP/1.0\\r\\n\\r\\n' | nc -w 2 10.43.7.7 80 | grep nobody";
    kubectl.eventually(&["exec", "asker", "--", "sh", "-c", ask]).await;
    let ask = "nc -w 2 10.43.0.1 443 </dev/null";
    kubectl.eventually(&["exec", "asker", "--", "sh", "-c", ask]).await;
    // By name. busybox looks names up as they are; whether short ones work is in the pod's resolv.conf.
    let search = "grep 'search default.svc.cluster.local svc.cluster.local cluster.local' /etc/resolv.conf";
    kubectl.ok(&["exec", "asker", "--", "sh", "-c", search]).await;
    for (name, address) in [("greeter.default", "10.43.7.7"), ("kubernetes.default", "10.43.0.1")] {
        let look = format!("nslookup {name}.svc.cluster.local | grep {address}");
        kubectl.eventually(&["exec", "asker", "--", "sh", "-c", &look]).await;
    }
    assert!(rules().contains(&HOST_PORT.to_string()));
    println!("services answer after {} ms", now_ms() - from);
    assert_eq!(node.pods().await.unwrap(), 2);
    node.healthy().await.unwrap();
    for process in node.status().into_iter().chain(control_plane.status()) {
        assert_eq!(process.restarts, 0, "{process:?}");
    }

    // A node that was killed finds its pods again.
    let container = kubectl.container("greeter").await;
    drop(node);
    let from = now_ms();
    let node = Node::start(node_config, &credentials(&pki, from, SHORT)).await.unwrap();
    kubectl.eventually(&["exec", "greeter", "--", "true"]).await;
    println!("pod found again after {} ms", now_ms() - from);
    assert_eq!(kubectl.container("greeter").await, container);

    // Renewed certificates are taken by the running kubelet: the first ones are worth nothing any more.
    let kubelet = pid(&node, "kubelet");
    node.renew(&credentials(&pki, now_ms(), 3600)).unwrap();
    tokio::time::sleep(Duration::from_millis((from + SHORT * 1000 + 1000).saturating_sub(now_ms()))).await;
    assert_eq!(kubectl.eventually(&["exec", "greeter", "--", "echo", "still"]).await, "still\n");
    assert_eq!(pid(&node, "kubelet"), kubelet);

    node.shutdown_with_pods().await.unwrap();
    control_plane.shutdown().await;
    let _ = stop.send(());
    serving.await.unwrap().unwrap();
    nothing_is_left(dir.path(), &rules_before);
    assert!(revealed(dir.path()).is_empty(), "private keys of the control plane are on disk");
}

fn pid(node: &Node, name: &str) -> Option<u32> {
    node.status().into_iter().find(|child| child.name == name).and_then(|child| child.pid)
}

async fn nobody_is_anonymous(pki: &ClusterPki, url: &str) {
    let tls = engine::tls::client(pki.ca_pem(), None).unwrap();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap();
    for (path, status) in [("/readyz", 200), ("/version", 401), ("/api", 401)] {
        assert_eq!(client.get(format!("{url}{path}")).send().await.unwrap().status(), status, "{path}");
    }
}

/// Processes, mounts, network, cgroups and links of the node.
fn nothing_is_left(dir: &Path, rules_before: &str) {
    assert_eq!(engine::supervise::leftovers(dir), []);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(dir.to_str().unwrap()), "{mounts}");
    assert!(!Path::new("/sys/class/net").join(engine::node::BRIDGE).exists());
    let rules = rules();
    let known: Vec<&str> = rules_before.lines().collect();
    let rules: String = rules.lines().filter(|rule| !known.contains(rule)).collect::<Vec<_>>().join("\n");
    for ours in ["KUBE-SVC", "k3s-daas-pods", &HOST_PORT.to_string()] {
        assert!(!rules.contains(ours), "{rules}");
    }
    let cgroups = entries("/sys/fs/cgroup").chain(entries("/sys/fs/cgroup/memory"));
    let cgroups: Vec<_> = cgroups.filter(|path| path.to_string_lossy().contains("k3s-daas-")).collect();
    assert!(cgroups.is_empty(), "{cgroups:?}");
    let links: Vec<_> = entries("/var/log/containers")
        .filter(|link| std::fs::read_link(link).is_ok_and(|target| target.starts_with(dir)))
        .collect();
    assert!(links.is_empty(), "{links:?}");
}

fn entries(dir: &str) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn rules() -> String {
    let output = std::process::Command::new("iptables").args(["-w", "-t", "nat", "-S"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
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
        proxy_healthz_port: 26256,
        proxy_metrics_port: 26249,
        cluster_cidr: "10.42.0.0/16".to_owned(),
        cluster_dns: IpAddr::from([10, 43, 0, 10]),
        cluster_domain: "cluster.local".to_owned(),
        backend: FlannelBackend::Wireguard,
        proxy_mode: ProxyMode::Iptables,
        disabled: Disabled::default(),
    }
}

fn address() -> IpAddr {
    engine::node::host_address().expect("the machine has no default route")
}

fn credentials(pki: &ClusterPki, now: u64, lifetime: u64) -> NodeCredentials {
    let node = format!("system:node:{NODE}");
    let client =
        |name: &str, groups: &[&str]| pki.issue(&Profile::client(name, groups, lifetime), now).unwrap();
    // The kubelet's serving certificate is signed from a request, as the gateway does it.
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::default().serialize_request(&key).unwrap();
    let addresses = [address()];
    let profile = Profile::server(NODE, &[], &addresses, lifetime);
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

    /// Starts a pod with this script and waits for it; with a port of the machine unless that is 0.
    async fn start_pod(&self, name: &str, script: &str, host_port: u16) {
        let image = ["--image=k3s-daas/busybox:1", "--image-pull-policy=Never"];
        let mut args = vec!["run", name, image[0], image[1], "--port=8080"];
        let port = format!(
            r#"--overrides=[{{"op":"add","path":"/spec/containers/0/ports/0/hostPort","value":{host_port}}}]"#
        );
        if host_port != 0 {
            args.extend(["--override-type=json", &port]);
        }
        args.extend(["--command", "--", "sh", "-c", script]);
        self.ok(&args).await;
        self.ok(&["wait", "--for=condition=Ready", "pod", name, "--timeout=60s"]).await;
    }

    async fn container(&self, pod: &str) -> String {
        self.ok(&["get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].containerID}"]).await
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
