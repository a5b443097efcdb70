//! A thousand nodes that show their evidence again at once, each over a connection of its own, while heartbeats go on.

use std::time::Instant;

use api::Heartbeat;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::evidence::{key_of, policy};
use super::*;

/// A node with its kubelet's connection, not yet open, and the evidence that it will show over it.
struct Machine {
    token: Id,
    name: String,
    client: Client,
    key: [u8; 32],
}

fn id(number: usize) -> Id {
    let mut id = [0xb1; 32];
    id[1..9].copy_from_slice(&number.to_le_bytes());
    Id(id)
}

/// A gateway with so many live nodes, all of which were attested half of the maximum age ago.
async fn crowd(
    nodes: usize,
    burn: Duration,
) -> (Arc<House>, Vec<Machine>, SimulatedPlatform, tempfile::TempDir) {
    let house = House::built(
        GatewayLimits::default(),
        |platform| Arc::new(platform),
        |mut shared| {
            shared.workers.checker.burn = burn;
            shared
        },
    );
    let house = Arc::new(house.await);
    let real = crate::shared::system_clock()();
    let machine = |number: usize| {
        let (token_id, name) = (id(number), format!("crowd-{number}"));
        house.tell(Fact::Stake(Stake { tier: Tier::Node, ..stake(token_id) }));
        house.tell(Fact::Token(Token { node_name: Some(name.clone()), ..token(token_id) }));
        let (user, bound) = (format!("system:node:{name}"), format!("k3s-daas:token:{token_id}.1"));
        let groups = ["system:nodes", &bound];
        let profile = Profile::client(&user, &groups, 3600);
        let identity = house.pki.issue(&profile, real).unwrap();
        Machine { token: token_id, name, client: house.client(Some(&identity)), key: key_of(&identity) }
    };
    let machines: Vec<_> = (0..nodes).map(machine).collect();
    let dir = tempfile::tempdir().unwrap();
    let platform = SimulatedPlatform::open(dir.path(), &tee::measure_bytes(b"kubelet")).unwrap();
    house.decree(Some(policy(b"kubelet")));
    let demanded = Arc::new(policy(b"kubelet"));
    for machine in &machines {
        let mut book = house.shared.workers.book.lock();
        let nonce = book.offer(&machine.name, machine.token, [1; 32], START).unwrap();
        let given = book.spend(&machine.name, machine.token, &nonce, START).unwrap();
        let evidence = platform.attest(&[0; 64], START).unwrap();
        let claims = tee::verify(&evidence, &demanded, &[0; 64], START).unwrap();
        book.record(&machine.name, machine.token, machine.key, &claims, &given, START).unwrap();
    }
    house.wait(150_000);
    house.contact();
    (house, machines, platform, dir)
}

/// What every node will show: made before, so that the time is the gateway's.
fn prepared(house: &House, machines: &[Machine], platform: &SimulatedPlatform) -> Vec<RequestBuilder> {
    let show = |machine: &Machine| {
        let now_ms = house.shared.now_ms();
        let fresh = tee::fresh_nonce().unwrap();
        let nonce =
            house.shared.workers.book.lock().offer(&machine.name, machine.token, fresh, now_ms).unwrap();
        let report_data = tee::node_report_data(&nonce, &[0xcc; 32], &machine.token.0, &machine.key);
        let evidence = api::NodeEvidence {
            nonce: hex::encode(nonce),
            token_id: machine.token.to_string(),
            key_sha256: hex::encode(machine.key),
            evidence: STANDARD.encode(platform.attest(&report_data, now_ms).unwrap().encode()),
        };
        machine.client.post(house.url("/api/v1/nodes/attestation")).json(&evidence)
    };
    machines.iter().map(show).collect()
}

/// Heartbeats of all nodes in turn, one each millisecond, until `over` says so; how long each took, sorted.
async fn beats(house: &Arc<House>, machines: &[Machine], over: impl Fn(usize) -> bool) -> Vec<Duration> {
    let client = house.client(None);
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let mut tasks = Vec::new();
    for machine in machines.iter().cycle() {
        if over(tasks.len()) {
            break;
        }
        ticks.tick().await;
        house.wait(1);
        house.contact();
        let beat = Heartbeat { node_name: machine.name.clone(), ..beats::unsigned(house.shared.now_ms()) };
        let beat = beats::signed_by(machine.token, machine.token, beat);
        let url = house.url("/api/v1/nodes/heartbeat");
        let request = client.post(url).bearer_auth(house.proof(machine.token)).json(&beat);
        tasks.push(tokio::spawn(async move {
            let asked = Instant::now();
            let answer = request.send().await.unwrap();
            // A node's next one may overtake it on a machine that is busy with tests.
            assert!([200, 409].contains(&answer.status().as_u16()), "{}", answer.text().await.unwrap());
            asked.elapsed()
        }));
    }
    let mut took = Vec::new();
    for task in tasks {
        took.push(task.await.unwrap());
    }
    took.sort_unstable();
    took
}

/// Everybody within `spread`; how many were answered well, and the time until the last.
async fn everybody(requests: Vec<RequestBuilder>, spread: Duration) -> (usize, Duration) {
    let (began, count) = (Instant::now(), u32::try_from(requests.len()).unwrap());
    let ask = |(request, number): (RequestBuilder, u32)| {
        tokio::spawn(async move {
            tokio::time::sleep(spread * number / count).await;
            request.send().await.unwrap().status() == 200
        })
    };
    let all: Vec<_> = requests.into_iter().zip(0..count).map(ask).collect();
    let mut good = 0;
    for one in all {
        good += usize::from(one.await.unwrap());
    }
    (good, began.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_shows_its_evidence_at_once_is_taken_and_heartbeats_go_on() {
    let (house, machines, platform, _dir) = crowd(200, Duration::from_millis(2)).await;
    let requests = prepared(&house, &machines, &platform);
    let crowd = tokio::spawn(everybody(requests, Duration::ZERO));
    let waits = beats(&house, &machines, |sent| sent >= 50 && crowd.is_finished()).await;
    assert_eq!(crowd.await.unwrap().0, 200);
    assert!(waits.len() >= 50);
    assert_eq!(house.shared.workers.book.lock().view(house.shared.now_ms()).len(), 200);
}

/// `cargo test --release -p master --lib evidence_crowd -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, and asserts nothing about time: make bench"]
async fn what_a_thousand_nodes_that_show_their_evidence_at_once_cost() {
    let print = |what: &str, waits: &[Duration]| {
        let at = |permille: usize| waits[(waits.len() - 1) * permille / 1_000].as_secs_f64() * 1_000.0;
        println!("| {what} | {} | {:.1} | {:.1} | {:.1} |", waits.len(), at(500), at(990), at(1_000));
    };
    println!("| beside | heartbeats | p50 ms | p99 ms | max ms |\n|---|---:|---:|---:|---:|");
    let (house, machines, ..) = crowd(1_000, Duration::ZERO).await;
    print("nothing", &beats(&house, &machines, |sent| sent == 5_000).await);
    for (spread_s, burn_ms) in [(0, None), (0, Some(0)), (0, Some(5)), (5, None), (5, Some(5))] {
        let burn = Duration::from_millis(burn_ms.unwrap_or(0));
        let (house, machines, platform, _dir) = crowd(1_000, burn).await;
        let healthz = |machine: &Machine| machine.client.get(house.url("/healthz"));
        let (what, requests) = match burn_ms {
            None => ("connections that show none".to_owned(), machines.iter().map(healthz).collect()),
            Some(ms) => (format!("pieces of evidence of {ms} ms"), prepared(&house, &machines, &platform)),
        };
        let crowd = tokio::spawn(everybody(requests, Duration::from_secs(spread_s)));
        let waits = beats(&house, &machines, |sent| sent >= 1_000 && crowd.is_finished()).await;
        let (good, took) = crowd.await.unwrap();
        let within = if spread_s == 0 { "at once".to_owned() } else { format!("within {spread_s} s") };
        print(&format!("1,000 {what} {within}: {good} answered in {:.2} s", took.as_secs_f64()), &waits);
    }
}
