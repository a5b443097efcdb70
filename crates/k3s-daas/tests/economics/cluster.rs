//! `cluster`, `enclave`, `grant` and `token`.

use chain::{Place, Point};
use devnet::SimulatedDocument;
use serde_json::{Value, json};

use crate::world::{DAY_MS, World, events, id_of};

#[tokio::test(flavor = "multi_thread")]
async fn enclaves_say_where_the_cluster_is_and_how_far() {
    let world = World::published().await;
    let enclave = world.enclave().await;
    let cluster = world.id("cluster");
    let place = Place {
        cluster,
        gateway: "https://127.0.0.1:9345".into(),
        apiserver: "https://127.0.0.1:6443".into(),
        ca_hash: vec![3; 32],
    };
    let file = world.stated(&enclave, "place.json", place);
    assert_eq!(events(&world.both(&["cluster", "place", &file]).await)[1], "k8s_gateway::PlaceChanged");
    assert!(world.fails(&["cluster", "place", &file], 3).await.contains("after the last one"));
    let point = |revision| Point {
        cluster,
        revision,
        state_root: vec![1; 32],
        log_hash: vec![2; 32],
        blob: vec![],
        key_epoch: 0,
    };
    let file = world.stated(&enclave, "point.json", point(41));
    assert_eq!(events(&world.both(&["cluster", "anchor", &file]).await)[1], "anchor::Anchored");
    let back = world.stated(&enclave, "back.json", point(41));
    assert!(world.fails(&["cluster", "anchor", &back], 3).await.contains("revision"));
    let opened = chain::Unanchored { cluster, revision: 41, state_root: vec![1; 32], opened_ms: world.now() };
    let file = world.stated(&enclave, "opened.json", opened);
    let done = world.both(&["cluster", "declare-unanchored", &file]).await;
    assert_eq!(events(&done)[1], "anchor::OpenedUnanchored");
    let show = world.read(&["cluster", "show"]).await;
    assert!(show.contains("https://127.0.0.1:9345") && show.contains("41"), "{show}");

    let measured = ["--measurement", "code=0101"];
    let plan = [&["enclave", "plan-retirement"][..], &measured, &["--hours", "2"]].concat();
    assert_eq!(events(&world.both(&plan).await), ["enclave::RetirementPlanned"]);
    let list = world.read(&["enclave", "list"]).await;
    assert!(list.contains("code=0101") && list.contains("simulated"), "{list}");
    let id = enclave.id.to_string();
    assert_eq!(events(&world.both(&["enclave", "revoke", &id]).await), ["enclave::EnclaveRevoked"]);
    let late = world.stated(&enclave, "late.json", point(42));
    assert!(world.fails(&["cluster", "anchor", &late], 3).await.contains("expired"));
    let retire = [&["enclave", "retire"][..], &measured].concat();
    assert_eq!(events(&world.both(&retire).await), ["enclave::MeasurementRetired"]);
    assert!(world.fails(&retire, 3).await.contains("not allowed"));
    assert!(world.fails(&["enclave", "allow", "--measurement", "code"], 2).await.contains("NAME=HEX"));
    world.chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_workers_may_prove_and_what_platforms_are_held_to_is_said_on_chain() {
    let world = World::published().await;
    let code = ["--measurement", "code=0202"];
    let allow = [&["enclave", "allow-worker"][..], &code].concat();
    assert_eq!(events(&world.both(&allow).await), ["enclave::WorkerMeasurementAllowed"]);
    let bounds =
        ["--minimum", "microcode=115", "--status", "SWHardeningNeeded", "--advisory", "INTEL-SA-00334"];
    let set =
        [&["enclave", "set-tcb", "--platform", "sev-snp", "--max-age-seconds", "240"][..], &bounds].concat();
    assert_eq!(events(&world.both(&set).await), ["enclave::TcbBoundsSet"]);
    let list = world.read(&["enclave", "list"]).await;
    for said in ["code=0202", "microcode=115", "SWHardeningNeeded", "INTEL-SA-00334", "240 s"] {
        assert!(list.contains(said), "{said} in {list}");
    }
    for (bad, problem) in [
        (&["--platform", "vax"][..], "vax"),
        (&["--platform", "tdx", "--minimum", "microcode"], "COMPONENT=NUMBER"),
        (&["--platform", "tdx", "--minimum", "microcode=-1"], "COMPONENT=NUMBER"),
        (&["--platform", "tdx", "--status", "Sublime"], "Sublime"),
        (&["--platform", "tdx", "--max-age-seconds", "60"], "180"),
        (&["--platform", "tdx", "--advisory", "A", "--any-advisory"], "--any-advisory"),
    ] {
        let refused = world.fails(&[&["enclave", "set-tcb"][..], bad].concat(), 2).await;
        assert!(refused.contains(problem), "{refused}");
    }
    let old = ["enclave", "set-tcb", "--platform", "tdx", "--max-age-seconds", "2592001"];
    assert!(world.fails(&old, 3).await.contains("30 days"));
    let clear = ["enclave", "clear-tcb", "--platform", "sev-snp"];
    assert_eq!(events(&world.both(&clear).await), ["enclave::TcbBoundsCleared"]);
    assert!(world.fails(&clear, 3).await.contains("no bounds"));
    let retire = [&["enclave", "retire-worker"][..], &code].concat();
    assert_eq!(events(&world.both(&retire).await), ["enclave::WorkerMeasurementRetired"]);
    assert!(!world.read(&["enclave", "list"]).await.contains("code=0202"));
    world.chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nitro_enclave_is_registered_by_its_document() {
    let world = World::published().await;
    let document = |cluster: &[u8]| SimulatedDocument {
        timestamp_ms: world.now(),
        code: [[1; 48], [2; 48], [3; 48]],
        public_key: Some(vec![7; 32]),
        user_data: Some(cluster.to_vec()),
    };
    let write = |name: &str, document| world.write(name, world.nitro.document(&document).unwrap());
    let good = write("nitro.cose", document(world.id("cluster").as_bytes()));
    assert!(world.fails(&["enclave", "register-nitro", &good], 3).await.contains("not allowed"));
    let pcrs: Vec<String> =
        (1..=3u8).map(|pcr| format!("pcr{}={}", pcr - 1, hex::encode([pcr; 48]))).collect();
    let mut allow = vec!["enclave", "allow", "--platform", "nitro"];
    pcrs.iter().for_each(|pcr| allow.extend(["--measurement", pcr]));
    world.both(&allow).await;
    let foreign = write("foreign.cose", document(world.id("registry").as_bytes()));
    assert!(world.fails(&["enclave", "register-nitro", &foreign], 3).await.contains("id of the cluster"));
    let torn = world.write("torn.cose", [1, 2, 3]);
    let said = world.fails(&["enclave", "register-nitro", &torn], 3).await;
    assert!(said.contains("no attestation document"), "{said}");
    let done = world.both(&["enclave", "register-nitro", &good, "--days", "3"]).await;
    assert_eq!(events(&done), ["enclave::EnclaveRegistered"]);
    let list = world.ok(&["enclave", "list"]).await;
    assert_eq!(list["enclaves"][0]["platform"], "nitro");
    assert_eq!(list["enclaves"][0]["inStanding"], true);
    assert_eq!(list["enclaves"][0]["publicKey"], hex::encode([7; 32]));
    world.chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_configured_paused_and_doubled() {
    let world = World::published().await;
    world.both(&["cluster", "pause", "--hours", "2"]).await;
    let refused = world.fails(&["escrow", "open", "--units", "1", "50000"], 3).await;
    assert!(refused.contains("paused"), "{refused}");
    assert!(world.read(&["cluster", "show"]).await.contains("paused until"));
    world.both(&["cluster", "unpause"]).await;
    world.both(&["cluster", "config", "--user-minimum", "77"]).await;
    assert_eq!(world.ok(&["cluster", "show"]).await["cluster"]["config"]["tiers"][1]["minimum"], 77);
    assert!(world.fails(&["cluster", "config", "--user-minimum", "0"], 3).await.contains("bounds"));
    let made = world.both(&["cluster", "create", "second"]).await;
    assert_ne!(id_of(&made, "cluster"), world.id("cluster"));
    // Of one version, nothing is older than the package.
    for object in [
        "governance".to_owned(),
        format!("pool:{}", world.ok(&["cluster", "show"]).await["cluster"]["pool"].as_str().unwrap()),
    ] {
        let refused = world.fails(&["cluster", "migrate", &object, "--dry-run"], 3).await;
        assert!(refused.contains("version"), "{refused}");
        assert!(world.fails(&["cluster", "migrate", &object], 3).await.contains("version"));
    }
    assert!(world.fails(&["cluster", "migrate", "pool:0x5"], 1).await.contains("0x"));
    assert!(world.fails(&["cluster", "migrate", "planet:0x5"], 2).await.contains("KIND"));
    world.chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_change_and_say_so_before() {
    let world = World::published().await;
    world.ok(&["stake", "--tier", "node", "--node-name", "n1"]).await;
    let key = || std::fs::read(world.dir.path().join("tokens/n1.key")).unwrap();
    let mut keys = vec![key()];
    let changes: [(&str, &[&str], &str); 4] = [
        ("renew", &["token", "renew", "n1"], "seal_token::TokenRenewed"),
        ("rotate", &["token", "rotate", "n1"], "seal_token::KeyRotated"),
        ("revoke", &["token", "revoke", "n1"], "seal_token::TokenRevoked"),
        ("issue", &["token", "issue", "n1"], "seal_token::TokenIssued"),
    ];
    for (change, args, event) in changes {
        let before = (key(), world.json("tokens/n1.json"));
        let dry = world.ok(&[args, &["--dry-run"]].concat()).await;
        assert_eq!(events(&dry), [event]);
        assert_eq!((key(), world.json("tokens/n1.json")), before, "{change}: a dry run changes nothing");
        assert!(!world.dir.path().join("tokens/n1-next.key").exists(), "a dry run leaves no key behind");
        // The operator pays; the gas of the staker is not touched.
        let client = world.client().await;
        let staker = client.balance(world.wallet("staker")).await.unwrap();
        world.both(&[args, &["--sponsor", "operator"]].concat()).await;
        assert_eq!(client.balance(world.wallet("staker")).await.unwrap(), staker, "{change} is sponsored");
        keys.push(key());
    }
    keys.dedup();
    assert_eq!(keys.len(), 3, "rotate and issue make a key each");
    let foreign = world.fails(&["token", "renew", "n1", "--wallet", "operator"], 3).await;
    assert!(foreign.contains("own"), "{foreign}");
    assert_eq!(world.ok(&["token", "list"]).await[0]["standing"], "live");
    let list = world.read(&["token", "list"]).await;
    assert!(list.contains("STANDING") && list.contains("live"), "{list}");

    assert_eq!(events(&world.both(&["govern", "revoke-token", "n1"]).await), ["seal_token::TokenRevoked"]);
    let barred = world.fails(&["token", "issue", "n1"], 3).await;
    assert!(barred.contains("Governance revoked"), "{barred}");
    assert_eq!(world.ok(&["token", "list"]).await[0]["standing"], "revoked");
    world.chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_given_and_taken_back() {
    let world = World::published().await;
    let grant = world.both(&["grant", "add", "staker", "--namespace", "web"]).await;
    let id = grant["grantId"].as_str().unwrap();
    let list = world.read(&["grant", "list"]).await;
    assert!(list.contains("staker") && list.contains("web") && list.contains("edit"), "{list}");
    let bad = world.fails(&["grant", "add", "staker", "--role", "root"], 3).await;
    assert!(bad.contains("role"), "{bad}");
    let client = world.client().await;
    let operator = client.balance(world.wallet("operator")).await.unwrap();
    world.both(&["grant", "revoke", id, "--sponsor", "staker"]).await;
    assert_eq!(client.balance(world.wallet("operator")).await.unwrap(), operator, "the staker has paid");
    assert_eq!(world.ok(&["grant", "list"]).await, json!([]));
    let deputy = world.ok(&["govern", "cap", "issue", "staker", "--days", "1"]).await;
    let cap = id_of(&deputy, "cap").to_string();
    let mut deployment: Value = world.json("deployment.json");
    deployment["cap"] = json!(cap);
    world.write_json("deployment.json", &deployment);
    world.both(&["grant", "add", "operator", "--role", "view", "--wallet", "staker"]).await;
    world.advance(DAY_MS).await;
    let expired = world.fails(&["grant", "add", "operator", "--wallet", "staker"], 3).await;
    assert!(expired.contains("expired"), "{expired}");
    world.chain.shutdown().await;
}
