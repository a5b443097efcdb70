//! `stake`, `unstake` and `withdraw`.

use serde_json::json;

use crate::world::{DAY_MS, World, events};

#[tokio::test(flavor = "multi_thread")]
async fn a_staker_is_told_before_and_gets_it_all_back() {
    let world = World::published().await;
    let node = ["stake", "--tier", "node", "--node-name", "n1"];
    let dry = world.ok(&[&node[..], &["--dry-run"]].concat()).await;
    assert_eq!(dry["dryRun"], true);
    let own = &dry["balances"][0];
    assert_eq!(own["wallet"], "staker");
    assert!(own["amount"].as_str().unwrap().parse::<i64>().unwrap() < -100, "stake and gas: {own}");
    assert!(dry["gasMist"].as_i64().unwrap() > 0);
    assert!(dry["objects"].as_array().unwrap().iter().any(|o| o["change"] == "created"));
    let told = world.read(&[&node[..], &["--dry-run"]].concat()).await;
    assert!(told.contains("staking::Staked") && told.contains("staker"), "{told}");
    assert_eq!(world.ok(&["stake", "list"]).await, json!([]), "nothing was staked");

    assert!(world.fails(&[&node[..], &["--amount", "99"]].concat(), 3).await.contains("minimum"));
    assert!(world.fails(&["stake", "--tier", "user", "--node-name", "n1"], 2).await.contains("--tier node"));
    world.ok(&node).await;
    assert!(world.fails(&node, 2).await.contains("--name"));
    world.both(&["stake", "top-up", "n1", "3"]).await;
    let done = world.both(&["stake", "top-up", "n1", "20", "--sponsor", "operator"]).await;
    assert_eq!(events(&done), ["staking::ToppedUp"]);
    assert_eq!(world.ok(&["stake", "list"]).await[0]["amount"], 123);
    let list = world.read(&["stake", "list"]).await;
    assert!(list.contains("STANDING") && list.contains("live") && list.contains("n1"), "{list}");
    let foreign = world.fails(&["stake", "top-up", "n1", "1", "--wallet", "operator"], 3).await;
    assert!(foreign.contains("own"), "{foreign}");

    let done = world.both(&["stake", "maintenance", "n1", "--for", "2"]).await;
    assert_eq!(events(&done), ["staking::MaintenanceAnnounced"]);
    assert!(world.fails(&["stake", "maintenance", "n1", "--for", "25"], 2).await.contains("24 hours"));
    assert!(world.fails(&["withdraw", "n1"], 3).await.contains("request_unstake"));
    assert_eq!(events(&world.both(&["unstake", "n1"]).await), ["staking::UnstakeRequested"]);
    assert!(world.fails(&["withdraw", "n1"], 3).await.contains("not over"));
    assert!(world.read(&["stake", "list"]).await.contains("unbonding until"));
    world.advance(8 * DAY_MS).await;
    assert_eq!(events(&world.both(&["withdraw", "n1"]).await), ["staking::Withdrawn"]);
    assert_eq!(world.ok(&["stake", "list"]).await, json!([]));
    world.chain.shutdown().await;
}
