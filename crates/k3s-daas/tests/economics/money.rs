//! `rewards` and `escrow`.

use chain::{RewardTree, Share, Shares};
use serde_json::json;
use worker::{ChainSource as _, Epoch, ObjectId, OnChain, PostedShare};

use crate::world::{DAY_MS, World, events, id_of};

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_is_posted_claimed_and_swept() {
    let world = World::published().await;
    let enclave = world.enclave().await;
    world.ok(&["stake", "--tier", "node", "--node-name", "n1"]).await;
    world.advance(2 * DAY_MS).await;
    assert_eq!(events(&world.both(&["rewards", "fund", "1000"]).await), ["rewards::PoolFunded"]);
    assert!(world.fails(&["rewards", "fund", "0"], 3).await.contains("zero"));

    let stake = world.json("tokens/n1.json")["stakeId"].as_str().unwrap().parse().unwrap();
    let mut shares = vec![Share { stake, owner: world.wallet("staker"), weight: 3 }];
    shares.push(Share { stake: world.id("cluster"), owner: world.wallet("operator"), weight: 1 });
    let tree = RewardTree::new(world.id("cluster"), 1, shares.clone()).unwrap();
    let posted = Shares {
        cluster: world.id("cluster"),
        number: 1,
        from_ms: world.now() - DAY_MS,
        to_ms: world.now(),
        weight: 4,
        root: tree.root().to_vec(),
    };
    let file = world.write_json("shares.json", &json!({ "number": 1, "shares": shares }));
    let unposted = world.fails(&["rewards", "claim", "n1", "--shares", &file], 4).await;
    assert!(unposted.contains("not posted"), "{unposted}");
    let statement = world.stated(&enclave, "epoch.json", posted);
    let done = world.both(&["rewards", "post", &statement]).await;
    assert_eq!(events(&done), ["enclave::StatementAccepted", "rewards::EpochPosted"]);
    let epoch = id_of(&done, "epoch").to_string();
    assert!(world.fails(&["rewards", "post", &statement], 3).await.contains("epoch"));

    // What the worker of the node shows of it.
    let (place, claim) = tree.claim(stake).unwrap();
    assert_eq!(place, 0);
    let mut share = PostedShare {
        number: 1,
        epoch: epoch.parse().unwrap(),
        shard: None,
        weight: claim.share.weight,
        index: claim.index,
    };
    let seen = async |share: &PostedShare| {
        let (package, cluster) = (world.id("package").into(), world.id("cluster").into());
        let source = OnChain::new(world.client().await, package, cluster, ObjectId([0; 32]), None);
        source.epoch(share).await.unwrap()
    };
    let unclaimed = Epoch { claimed: false, ..seen(&share).await.unwrap() };
    assert_eq!((unclaimed.budget, unclaimed.weight), (1_000, 4));
    assert_eq!(seen(&share).await, Some(unclaimed));
    assert_eq!(seen(&PostedShare { number: 2, ..share.clone() }).await, None, "another epoch's number");

    let done = world.both(&["rewards", "open", "n1", "--shares", &file]).await;
    assert_eq!(events(&done), ["rewards::ShardOpened"]);
    let shard = id_of(&done, "shard").to_string();
    share.shard = Some(shard.parse().unwrap());
    assert_eq!(seen(&share).await, Some(unclaimed), "opened, not claimed");
    let done = world.both(&["rewards", "claim", "n1", "--shares", &file]).await;
    assert_eq!(events(&done), ["rewards::Claimed"]);
    assert_eq!(done["events"][0]["data"]["amount"], 750);
    assert_eq!(seen(&share).await, Some(Epoch { claimed: true, ..unclaimed }));
    let neighbour = PostedShare { index: claim.index ^ 1, ..share.clone() };
    assert_eq!(seen(&neighbour).await, Some(unclaimed), "the other share is nobody's yet");
    let twice = world.fails(&["rewards", "claim", "n1", "--shares", &file], 3).await;
    assert!(twice.contains("claimed"), "{twice}");
    let lie =
        json!({ "number": 1, "shares": [{ "stake": stake, "owner": world.wallet("staker"), "weight": 4 }] });
    let lie = world.write_json("lie.json", &lie);
    assert!(
        world.fails(&["rewards", "claim", "n1", "--shares", &lie], 3).await.contains("not what the enclave")
    );
    let show = world.read(&["rewards", "show"]).await;
    assert!(show.contains("pool: 0 MIST") && show.contains("250"), "{show}");

    let early = world.fails(&["rewards", "sweep-shard", &shard], 3).await;
    assert!(early.contains("deadline") || early.contains("claim"), "{early}");
    world.advance(31 * DAY_MS).await;
    let done = world.both(&["rewards", "sweep-shard", &shard]).await;
    assert_eq!(events(&done), ["rewards::ShardSwept", "rewards::PoolFunded"]);
    let done = world.both(&["rewards", "sweep-epoch", &epoch]).await;
    assert_eq!(events(&done), ["rewards::EpochSwept", "rewards::PoolFunded"]);
    assert_eq!(world.ok(&["rewards", "show"]).await["pool"]["balance"], 250);
    assert_eq!(seen(&share).await, None, "swept");
    assert!(world.fails(&["rewards", "sweep-shard", "0x5"], 1).await.contains("no object"));
    world.chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_escrow_pays_by_the_second() {
    let world = World::published().await;
    let escrow = world.both(&["escrow", "open", "--units", "2", "50000"]).await;
    let id = &id_of(&escrow, "escrow").to_string();
    world.both(&["escrow", "top-up", id, "1000"]).await;
    world.both(&["escrow", "resize", id, "--units", "1"]).await;
    world.both(&["escrow", "withdraw", id, "1000"]).await;
    let low = world.fails(&["escrow", "withdraw", id, "49000"], 3).await;
    assert!(low.contains("grace"), "{low}");
    world.advance(60_000).await;
    world.both(&["escrow", "settle", id]).await;
    world.both(&["escrow", "collect", id]).await;
    assert!(world.fails(&["escrow", "reprice", id], 3).await.contains("present price"));
    let dearer = world.write("economics.toml", "price = 2\n");
    world.ok(&["govern", "economics", "propose", &dearer]).await;
    world.advance(DAY_MS).await;
    world.ok(&["govern", "economics", "apply"]).await;
    world.ok(&["escrow", "top-up", id, "500000"]).await;
    assert_eq!(events(&world.both(&["escrow", "reprice", id]).await), ["usage::EscrowChanged"]);
    assert!(world.ok(&["rewards", "show"]).await["pool"]["balance"].as_u64().unwrap() >= 60);
    let list = world.read(&["escrow", "list"]).await;
    assert!(list.contains("LASTS UNTIL") && list.contains("active"), "{list}");
    let foreign = world.fails(&["escrow", "close", id, "--wallet", "operator"], 3).await;
    assert!(foreign.contains("own"), "{foreign}");
    world.both(&["escrow", "close", id]).await;
    assert_eq!(world.ok(&["escrow", "list"]).await, json!([]));
    world.chain.shutdown().await;
}
