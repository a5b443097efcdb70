//! `publish`.

use std::process::Stdio;
use std::time::Duration;

use chain::{Address, AdminCap, Client};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn publish_survives_being_killed_and_publishes_once() {
    let world = World::start().await;
    let params = world.write("params.toml", "unbonding_hours = 1\n[tiers.node]\nminimum = 5000\n");
    let publish = ["publish", "--allow-simulated", "--params", &params];
    // At any point: before and after each signature, submission and write.
    for delay in [5, 40, 80, 120, 160, 200, 240, 280, 320, 400] {
        let mut command = world.command(&publish);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(delay)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let first = world.ok(&publish).await;
    let again = world.ok(&publish).await;
    assert_eq!(first["package"], again["package"]);
    assert_eq!(first["cluster"], again["cluster"]);
    let cluster = world.ok(&["cluster", "show"]).await;
    assert_eq!(cluster["cluster"]["config"]["tiers"][0]["minimum"], 5000);
    assert_eq!(cluster["cluster"]["config"]["unbonding_ms"], 3_600_000);
    let client = Client::connect(&world.chain.url()).await.unwrap();
    let operator = world.wallet("operator");
    let caps = client.read_owned::<AdminCap>(world.id("package"), operator).await.unwrap();
    assert_eq!(caps.len(), 1, "one cluster");
    let name = |text| chain::sui::Identifier::new(text).unwrap();
    let upgrade = chain::sui::StructTag::new(Address::TWO, name("package"), name("UpgradeCap"), vec![]);
    assert_eq!(client.owned(operator, &upgrade).await.unwrap().len(), 1, "one package");
    world.chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publish_configures_warns_and_keeps_to_its_chain() {
    let world = World::start().await;
    let params = world.write("params.toml", "unbonding_hours = 1\n[tiers.node]\nminimum = 5000\n");
    let dry = world.ok(&["publish", "--dry-run", "--params", &params]).await;
    assert_eq!(dry["modules"], chain::package::bundled().modules.len());
    assert!(!world.dir.path().join("deployment.json").exists(), "a dry run publishes nothing");
    let output = world.run(&["publish", "--allow-simulated", "--params", &params]).await;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && words.contains("WARNING"), "{words}");
    let cluster = world.ok(&["cluster", "show"]).await;
    assert_eq!(cluster["cluster"]["config"]["tiers"][0]["minimum"], 5000);
    assert_eq!(cluster["cluster"]["config"]["unbonding_ms"], 3_600_000);
    let wrong = world.write("wrong.toml", "[tiers.root]\nminimum = 1\n");
    assert!(world.fails(&["publish", "--params", &wrong], 2).await.contains("root"));

    let other = World::start().await;
    std::fs::copy(world.dir.path().join("deployment.json"), other.dir.path().join("deployment.json"))
        .unwrap();
    assert!(other.fails(&["publish"], 3).await.contains("belongs to chain"));
    other.chain.shutdown().await;
    world.chain.shutdown().await;
}
