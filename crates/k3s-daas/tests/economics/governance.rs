//! `govern`.

use crate::world::{DAY_MS, HOUR_MS, World, events, id_of};

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_money_waits_for_the_timelock() {
    let world = World::published().await;
    let file = world.write("economics.toml", "price = 3\n");
    world.both(&["govern", "economics", "propose", &file]).await;
    assert!(world.fails(&["govern", "economics", "apply"], 3).await.contains("timelock"));
    assert!(world.ok(&["govern", "show"]).await["pending"].is_object());
    assert_eq!(
        events(&world.both(&["govern", "economics", "cancel"]).await),
        ["governance::EconomicsCancelled"]
    );
    world.ok(&["govern", "economics", "propose", &file]).await;
    world.advance(DAY_MS).await;
    world.both(&["govern", "economics", "apply"]).await;
    assert_eq!(world.ok(&["govern", "economics", "show"]).await["price"], 3);
    assert!(world.read(&["govern", "economics", "show"]).await.contains("price = 3"));
    let typo = world.write("typo.toml", "prize = 3\n");
    assert!(world.fails(&["govern", "economics", "propose", &typo], 2).await.contains("prize"));

    world.both(&["govern", "insurance", "donate", "700"]).await;
    world.both(&["govern", "insurance", "propose", "staker", "700"]).await;
    world.both(&["govern", "insurance", "propose", "staker", "1"]).await;
    assert!(world.fails(&["govern", "insurance", "pay", "0"], 3).await.contains("timelock"));
    world.both(&["govern", "insurance", "cancel", "1"]).await;
    let show = world.read(&["govern", "show"]).await;
    assert!(show.contains("insurance: 700 MIST"), "{show}");
    world.advance(DAY_MS).await;
    world.both(&["govern", "insurance", "pay", "0"]).await;
    world.chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_package_is_upgraded_as_announced() {
    let world = World::published().await;
    let unguarded = world.fails(&["govern", "upgrade", "propose"], 4).await;
    assert!(unguarded.contains("govern upgrade guard"), "{unguarded}");
    world.both(&["govern", "upgrade", "guard", "--hours", "1"]).await;
    world.both(&["govern", "upgrade", "propose"]).await;
    world.both(&["govern", "upgrade", "cancel"]).await;
    world.ok(&["govern", "upgrade", "propose"]).await;
    assert!(world.fails(&["govern", "upgrade", "apply"], 3).await.contains("timelock"));
    assert!(world.read(&["govern", "upgrade", "show"]).await.contains("timelock 1 h"));
    world.advance(HOUR_MS).await;
    let done = world.both(&["govern", "upgrade", "apply"]).await;
    assert_eq!(events(&done), ["upgrade::UpgradeAuthorized", "upgrade::Upgraded"]);
    world.both(&["govern", "upgrade", "offer", "staker"]).await;
    let foreign = world.fails(&["govern", "upgrade", "accept"], 3).await;
    assert!(foreign.contains("offered"), "{foreign}");
    world.both(&["govern", "upgrade", "accept", "--wallet", "staker"]).await;
    // The code is the same, so is its version.
    for dry in [&["--dry-run"][..], &[]] {
        let args = [&["govern", "upgrade", "migrate", "--wallet", "staker"], dry].concat();
        assert!(world.fails(&args, 3).await.contains("version"));
    }
    world.chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn capabilities_are_issued_offered_and_taken_back() {
    let world = World::published().await;
    let issued = world.both(&["govern", "cap", "issue", "staker", "--days", "3"]).await;
    let deputy = id_of(&issued, "cap").to_string();
    assert_eq!(events(&world.both(&["govern", "cap", "revoke", &deputy]).await), ["governance::CapRevoked"]);
    let cap = world.id("cap").to_string();
    let last = world.fails(&["govern", "cap", "revoke", &cap], 3).await;
    assert!(last.contains("capability"), "{last}");
    world.both(&["govern", "cap", "offer", "staker"]).await;
    world.both(&["govern", "cap", "withdraw-offer"]).await;
    world.ok(&["govern", "cap", "offer", "staker"]).await;
    let show = world.read(&["govern", "show"]).await;
    assert!(show.contains("CAPABILITY OF") && show.contains("operator") && show.contains("staker"), "{show}");
    let foreign = world.fails(&["govern", "cap", "accept", &cap], 3).await;
    assert!(foreign.contains("offered"), "{foreign}");
    world.both(&["govern", "cap", "accept", &cap, "--wallet", "staker"]).await;
    assert_ne!(world.id("cap").to_string(), cap, "the new capability is remembered");
    world.ok(&["cluster", "pause", "--hours", "1", "--wallet", "staker"]).await;
    world.chain.shutdown().await;
}
