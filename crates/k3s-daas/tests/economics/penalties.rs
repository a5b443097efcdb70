//! `slash`, from evidence to each of its ends.

use chain::{Address, Evidence, Keypair, Measurement, NodeStatement, SignedNodeStatement};
use serde_json::json;

use crate::world::{DAY_MS, Enclave, HOUR_MS, World, events, id_of};

fn stake(world: &World) -> Address {
    world.json("tokens/n1.json")["stakeId"].as_str().unwrap().parse().unwrap()
}

/// Evidence of the last hours, whose records have this digest.
fn evidence(world: &World, by: &Enclave, digest: u8, reason: u8) -> String {
    let to_ms = world.now();
    let evidence = Evidence {
        cluster: world.id("cluster"),
        stake: stake(world),
        reason,
        from_ms: to_ms - 12 * HOUR_MS,
        to_ms,
        up_ms: 0,
        measurement: (reason == 1)
            .then(|| Measurement::new("simulated", &[("code".to_owned(), vec![6])].into())),
        digest: vec![digest; 32],
        locator: "walrus:records".into(),
        reporter: world.wallet("operator"),
    };
    world.stated(by, &format!("evidence-{digest}.json"), evidence)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_penalty_comes_to_each_of_its_ends() {
    let world = World::published().await;
    let enclave = world.enclave().await;
    world.ok(&["stake", "--tier", "node", "--node-name", "n1", "--amount", "1000000"]).await;
    world.advance(2 * DAY_MS).await;
    let propose = async |digest, reason| {
        let file = evidence(&world, &enclave, digest, reason);
        let done = world.both(&["slash", "propose", &file]).await;
        assert_eq!(events(&done), ["slashing::SlashProposed", "slashing::EvidenceShown"]);
        id_of(&done, "case").to_string()
    };
    let dismissed = propose(2, 1).await;
    // What is left below the cap of 50 %.
    let executed = propose(1, 3).await;
    let again = world.fails(&["slash", "propose", &evidence(&world, &enclave, 1, 3)], 3).await;
    assert!(again.contains("judged"), "{again}");
    let early = world.fails(&["slash", "execute", &executed], 3).await;
    assert!(early.contains("contest"), "{early}");
    let list = world.read(&["slash", "list"]).await;
    assert!(list.contains("tampering") && list.contains(&executed), "{list}");

    let words = world.write("words.txt", "the machine was being moved");
    let done = world.both(&["slash", "contest", &executed, &words]).await;
    assert_eq!(events(&done), ["slashing::SlashContested"]);
    assert!(world.fails(&["slash", "contest", &executed, &words], 3).await.contains("contested"));
    let done = world.both(&["slash", "dismiss", &dismissed]).await;
    assert_eq!(events(&done), ["slashing::SlashDropped"]);
    let frozen = world.fails(&["withdraw", "n1"], 3).await;
    assert!(frozen.contains("request_unstake"), "{frozen}");

    world.advance(7 * DAY_MS).await;
    let done = world.both(&["slash", "execute", &executed]).await;
    assert_eq!(events(&done), ["slashing::SlashExecuted", "insurance::InsuranceFunded"]);
    assert_eq!(world.ok(&["stake", "list"]).await[0]["amount"], 600_000);
    assert!(world.fails(&["slash", "execute", &executed], 1).await.contains("no object"));
    world.advance(30 * DAY_MS).await;
    let renewed = world.fails(&["slash", "propose", &evidence(&world, &enclave, 3, 3)], 3).await;
    assert!(renewed.contains("expired"), "an enclave's registration ends: {renewed}");
    world.chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contradiction_needs_no_enclave_and_lapses() {
    let world = World::published().await;
    world.ok(&["stake", "--tier", "node", "--node-name", "n1", "--amount", "1000000"]).await;
    let holder = Keypair::generate().unwrap();
    // The token's key is replaced by one that this test holds.
    let token = world.json("tokens/n1.json")["tokenId"].as_str().unwrap().parse::<Address>().unwrap();
    let client = world.client().await;
    let calls = chain::Calls::new(world.id("package"));
    let message = chain::possession_message(token, 2, &holder.public_key()).unwrap();
    let path = chain::TokenPath { token, stake: stake(&world), cluster: world.id("cluster") };
    let rotate = calls.rotate_key(path, &holder.public_key(), &holder.sign(&message));
    let keystore = chain::Keystore::load(world.dir.path().join("wallets/sui.keystore")).unwrap();
    let staker = keystore.wallet_key(&world.wallet("staker")).unwrap();
    client.execute(&staker, &rotate).await.unwrap();

    let said = |name: &str, digest: u8| {
        let statement = NodeStatement {
            cluster: world.id("cluster"),
            token,
            subject: b"heartbeat".to_vec(),
            sequence: 7,
            digest: vec![digest; 32],
        };
        let at = world.now();
        let signature = holder.sign(&statement.message(at).unwrap()).to_vec();
        world.write_json(name, &SignedNodeStatement { timestamp_ms: at, statement, signature })
    };
    let (first, second) = (said("first.json", 1), said("second.json", 2));
    let key = hex::encode(holder.public_key());
    let shown = ["slash", "contradiction", "n1", "--public-key", &key, &first];
    let same = world.fails(&[&shown[..], &[&first]].concat(), 3).await;
    assert!(same.contains("contradict") || same.contains("same"), "{same}");
    let done = world.both(&[&shown[..], &[&second]].concat()).await;
    assert_eq!(events(&done), ["slashing::SlashProposed", "slashing::ContradictionShown"]);
    let case = id_of(&done, "case").to_string();
    assert!(world.fails(&["slash", "lapse", &case], 3).await.contains("time"));
    world.ok(&["unstake", "n1"]).await;
    world.advance(8 * DAY_MS).await;
    let frozen = world.fails(&["withdraw", "n1"], 3).await;
    assert!(frozen.contains("penalty"), "{frozen}");
    world.advance(2 * DAY_MS).await;
    let done = world.both(&["slash", "lapse", &case]).await;
    assert_eq!(events(&done), ["slashing::SlashDropped"]);
    assert_eq!(world.ok(&["slash", "list"]).await, json!([]));
    assert_eq!(events(&world.both(&["withdraw", "n1"]).await), ["staking::Withdrawn"]);
    world.chain.shutdown().await;
}
