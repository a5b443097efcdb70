//! What an agent of K3s does from its start to a running tunnel, call by call, written from K3s' published behaviour: where
//! it sends its token, which headers, what it reads of the answers, and what it does when it is refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use x509_parser::pem::parse_x509_pem;

use super::*;

/// The part of K3s' agent that talks to its server.
struct Agent<'a> {
    house: &'a House,
    ca: String,
    /// `K10<hash>::<user>:<password>`, taken apart.
    user: String,
    password: String,
    /// client-kubelet.crt and its key, once it has them.
    identity: Option<Identity>,
}

impl<'a> Agent<'a> {
    /// Parses the token, fetches the CA, and compares it with the token's hash.
    async fn start(house: &'a House, token: &str) -> Self {
        let rest = token.strip_prefix("K10").unwrap();
        let (hash, credentials) = rest.split_once("::").unwrap();
        let (user, password) = credentials.split_once(':').unwrap();
        assert_eq!(hash.len(), 64);
        let ca = house.client(None).get(house.url("/cacerts")).send().await.unwrap().text().await.unwrap();
        assert_eq!(hex::encode(Sha256::digest(&ca)), hash, "a single certificate's hash is that of its PEM");
        let (user, password) = (user.to_owned(), password.to_owned());
        Self { house, ca, user, password, identity: None }
    }

    fn request(&self, method: http::Method, path: &str) -> RequestBuilder {
        let client = self.house.client(self.identity.as_ref());
        client.request(method, self.house.url(path)).basic_auth(&self.user, Some(&self.password))
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.request(http::Method::GET, path)
    }

    /// As for serving-kubelet.crt and client-kubelet.crt.
    fn named(&self, request: RequestBuilder, name: &str) -> RequestBuilder {
        request
            .header("k3s-Node-Name", name)
            .header("k3s-Node-Password", "0123456789abcdef0123456789abcdef")
            .header("k3s-Node-IP", "192.168.1.10")
    }
}

async fn body(request: RequestBuilder) -> String {
    let response = request.send().await.unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
    text
}

/// Certificates and keys of a PEM, told apart by the word that K3s looks for.
fn split(pem: &str) -> (Vec<&str>, Vec<&str>) {
    let blocks = pem.split_inclusive("-----END ").map(str::trim).filter(|block| block.contains("BEGIN"));
    blocks.partition(|block| !block.contains("PRIVATE KEY"))
}

fn token_of(house: &House) -> String {
    format!("K10{}::seal:{}", hex::encode(Sha256::digest(house.pki.ca_pem())), house.proof(NODE))
}

fn is_for(pem: &str, name: &str) {
    let (_, pem) = parse_x509_pem(pem.as_bytes()).unwrap();
    let certificate = pem.parse_x509().unwrap();
    assert_eq!(certificate.subject().iter_common_name().next().unwrap().as_str().unwrap(), name);
}

fn a_key() -> (rcgen::KeyPair, Vec<u8>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let csr = rcgen::CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
    (key, csr)
}

#[tokio::test]
async fn joins_with_keys_of_its_own() {
    let house = House::new().await;
    let mut agent = Agent::start(&house, &token_of(&house)).await;
    let config: Value = serde_json::from_str(&body(agent.get("/v1-k3s/config")).await).unwrap();
    settings_are_those_that_an_agent_reads(&config);
    assert_eq!(body(agent.get("/v1-k3s/client-ca.crt")).await, house.pki.client_ca_pem());
    assert_eq!(body(agent.get("/v1-k3s/server-ca.crt")).await, agent.ca);

    // The kubelet's two certificates are asked for with the node's name, the other two without. The keys stay.
    let post = |agent: &Agent<'_>, what: &str, csr: &[u8]| {
        agent.request(http::Method::POST, &format!("/v1-k3s/{what}.crt")).body(csr.to_vec())
    };
    let (serving_key, csr) = a_key();
    let serving = body(agent.named(post(&agent, "serving-kubelet", &csr), "n1")).await;
    is_for(&serving, "n1");
    assert!(split(&serving).1.is_empty(), "a key was sent that nobody asked for");
    // Asked again with the same key, as after a lost answer.
    body(agent.named(post(&agent, "serving-kubelet", &csr), "n1")).await;
    let (key, csr) = a_key();
    let kubelet = body(agent.named(post(&agent, "client-kubelet", &csr), "n1")).await;
    is_for(&kubelet, "system:node:n1");
    for (what, name) in
        [("client-kube-proxy", "system:kube-proxy"), ("client-k3s-controller", "system:k3s-controller")]
    {
        is_for(&body(post(&agent, what, &a_key().1)).await, name);
    }
    drop((serving_key, key));
    // Not the one that was signed, whose dates are those of the test's clock, which TLS does not have.
    agent.identity = Some(house.kubelet());

    // With certificate and token at once: the load balancer's list, and readyz before kube-proxy.
    let servers: Vec<String> = serde_json::from_str(&body(agent.get("/v1-k3s/apiservers")).await).unwrap();
    assert_eq!(servers, ["127.0.0.1:6443"]);
    assert_eq!(body(agent.get("/v1-k3s/readyz")).await, "ok");
    assert_eq!(body(agent.get("/ping")).await, "pong");

    // A day later the token's proof is long over; the certificate carries the agent, and renews itself.
    house.wait(4 * WINDOW_MS);
    house.contact();
    body(agent.get("/v1-k3s/config")).await;
    body(agent.named(post(&agent, "client-kubelet", &csr), "n1")).await;
    // Without it the agent is told to get a new token.
    let alone = Agent { identity: None, ..Agent::start(&house, &token_of(&house)).await };
    let stale = Agent { password: agent.password.clone(), ..alone };
    expect(stale.get("/v1-k3s/config"), 401, "expired").await;
}

fn settings_are_those_that_an_agent_reads(config: &Value) {
    assert_eq!((&config["SupervisorPort"], &config["HTTPSPort"]), (&json!(9345), &json!(6443)));
    assert_eq!(config["ClusterDomain"], "cluster.local");
    assert_eq!(
        (&config["ClusterDNS"], &config["ClusterDNSs"]),
        (&json!("10.43.0.10"), &json!(["10.43.0.10"]))
    );
    for (one, all, address) in [
        ("ClusterIPRange", "ClusterIPRanges", "10.42.0.0"),
        ("ServiceIPRange", "ServiceIPRanges", "10.43.0.0"),
    ] {
        // Go's net.IPNet: the address as text, the mask as bytes in base64.
        assert_eq!(config[one]["IP"], address);
        assert_eq!(STANDARD.decode(config[one]["Mask"].as_str().unwrap()).unwrap(), [255, 255, 0, 0]);
        assert_eq!(config[all], json!([config[one]]));
    }
    assert_eq!(config["ServiceNodePortRange"], json!({ "Base": 30000, "Size": 2768 }));
    let backends = ["none", "vxlan", "host-gw", "wireguard-native"];
    assert!(backends.contains(&config["FlannelBackend"].as_str().unwrap()), "{config}");
    let modes = ["disabled", "agent", "cluster", "pod"];
    assert!(modes.contains(&config["EgressSelectorMode"].as_str().unwrap()), "{config}");
    for flag in ["DisableCCM", "DisableNPC", "DisableServiceLB", "DisableKubeProxy", "EmbeddedRegistry"] {
        assert!(config[flag].is_boolean(), "{flag}");
    }
}

#[tokio::test]
async fn an_old_agent_is_given_its_keys() {
    let house = House::new().await;
    let agent = Agent::start(&house, &token_of(&house)).await;
    for (what, name, named) in [
        ("serving-kubelet", "n1", true),
        ("client-kubelet", "system:node:n1", true),
        ("client-kube-proxy", "system:kube-proxy", false),
        ("client-k3s-controller", "system:k3s-controller", false),
    ] {
        let request = agent.get(&format!("/v1-k3s/{what}.crt"));
        let pem = body(if named { agent.named(request, "n1") } else { request }).await;
        is_for(&pem, name);
        let key = pem.split_once("-----BEGIN PRIVATE KEY-----").expect("no key").1;
        let key = rcgen::KeyPair::from_pem(&format!("-----BEGIN PRIVATE KEY-----{key}")).unwrap();
        let (_, parsed) = parse_x509_pem(pem.as_bytes()).unwrap();
        let certificate = parsed.parse_x509().unwrap();
        use rcgen::PublicKeyData;
        assert_eq!(certificate.public_key().raw, key.subject_public_key_info(), "the key is another's");
    }
    // The key is made at each call, so the same proof is not good for a second one.
    let again = agent.named(agent.get("/v1-k3s/client-kubelet.crt"), "n1");
    expect(again, 401, "proof_replayed").await;
}

#[tokio::test]
async fn a_name_belongs_to_a_stake_and_not_to_a_password() {
    let house = House::new().await;
    let agent = Agent::start(&house, &token_of(&house)).await;
    let post = |what: &str| agent.request(http::Method::POST, &format!("/v1-k3s/{what}.crt")).body(csr());
    // K3s answers 403 where the name is another's, and its agent then speaks of a duplicate hostname.
    for what in ["serving-kubelet", "client-kubelet"] {
        let message = expect(agent.named(post(what), "n2"), 403, "node_name_mismatch").await;
        assert!(message.contains("n1"), "{message}");
        expect(post(what), 400, "bad_header").await;
    }
    // A reinstalled machine has another password and the same stake.
    let reinstalled = agent.named(post("serving-kubelet"), "n1").header("k3s-Node-Password", "another");
    body(reinstalled).await;
    // Bearer, as with bootstrap tokens.
    let bearer = house.client(None).get(house.url("/v1-k3s/config")).bearer_auth(house.proof(NODE));
    body(bearer).await;
    for path in
        ["config", "client-ca.crt", "server-ca.crt", "apiservers", "readyz", "client-kubelet.crt", "connect"]
    {
        let nobody = house.client(None).get(house.url(&format!("/v1-k3s/{path}")));
        expect(nobody, 401, "missing_credential").await;
    }
}
