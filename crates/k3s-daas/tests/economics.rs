//! The economics and governance commands, as the binary, against a development chain.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use chain::{Address, AdminCap, Client};
use devnet::{Config, Devnet};
use serde_json::Value;

struct World {
    chain: Devnet,
    dir: tempfile::TempDir,
}

impl World {
    async fn start() -> World {
        let framework = std::env::var_os("K3S_DAAS_FRAMEWORK").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/framework.bcs")),
            PathBuf::from,
        );
        assert!(framework.exists(), "{} is missing: run `make setup`", framework.display());
        let chain = Devnet::start(Config::in_memory(framework)).await.unwrap();
        World { chain, dir: tempfile::tempdir().unwrap() }
    }

    /// A world with contracts and a cluster, and money in the staker's wallet.
    async fn published() -> World {
        let world = World::start().await;
        world.ok(&["publish", "--allow-simulated"]).await;
        world.ok(&["wallet", "new", "staker"]).await;
        world.chain.faucet(world.wallet("staker"), 5_000_000_000).await.unwrap();
        world
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_k3s-daas"));
        command.arg("--state-dir").arg(self.dir.path()).args(["--chain", &self.chain.url(), "-o", "json"]);
        command.args(args).env_clear().stdin(Stdio::null());
        command
    }

    async fn run(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn ok(&self, args: &[&str]) -> Value {
        let output = self.run(args).await;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {words}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {words}"))
    }

    /// The words of a command that has to end with this exit code.
    async fn fails(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args).await;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {words}");
        words
    }

    fn json(&self, file: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.dir.path().join(file)).unwrap()).unwrap()
    }

    fn wallet(&self, name: &str) -> Address {
        self.json("wallets/aliases.json")[name].as_str().unwrap().parse().unwrap()
    }

    fn id(&self, name: &str) -> Address {
        self.json("deployment.json")[name].as_str().unwrap().parse().unwrap()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn events(answer: &Value) -> Vec<&str> {
    answer["events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn publish_survives_being_killed_and_publishes_once() {
    let world = World::start().await;
    // At any point: before and after each signature, submission and write.
    for delay in [5, 40, 80, 120, 160, 200, 240, 280, 320, 400] {
        let mut command = world.command(&["publish", "--allow-simulated"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(delay)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let first = world.ok(&["publish", "--allow-simulated"]).await;
    let again = world.ok(&["publish", "--allow-simulated"]).await;
    assert_eq!(first["package"], again["package"]);
    assert_eq!(first["cluster"], again["cluster"]);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_stakers_commands_say_before_they_do() {
    let world = World::published().await;
    let dry = world.ok(&["stake", "--tier", "node", "--node-name", "n1", "--dry-run"]).await;
    assert_eq!(dry["dryRun"], true);
    let own = &dry["balances"][0];
    assert_eq!(own["wallet"], "staker");
    assert!(own["amount"].as_str().unwrap().parse::<i64>().unwrap() < -100, "stake and gas: {own}");
    assert!(dry["gasMist"].as_i64().unwrap() > 0);
    assert!(dry["objects"].as_array().unwrap().iter().any(|o| o["change"] == "created"));
    assert_eq!(world.ok(&["stake", "list"]).await, serde_json::json!([]), "nothing was staked");

    world.ok(&["stake", "--tier", "node", "--node-name", "n1"]).await;
    let dry = world.ok(&["stake", "top-up", "n1", "23", "--dry-run"]).await;
    assert_eq!(events(&dry), ["staking::ToppedUp"]);
    let done = world.ok(&["stake", "top-up", "n1", "23", "--sponsor", "operator"]).await;
    assert_eq!(events(&done), ["staking::ToppedUp"]);
    assert_eq!(world.ok(&["stake", "list"]).await[0]["amount"], 123);
    assert!(world.fails(&["withdraw", "n1"], 3).await.contains("request_unstake"));
    world.ok(&["unstake", "n1"]).await;
    world.chain.advance_clock(Duration::from_secs(8 * 86_400)).await.unwrap();
    let done = world.ok(&["withdraw", "n1"]).await;
    assert_eq!(events(&done), ["staking::Withdrawn"]);

    let escrow = world.ok(&["escrow", "open", "--units", "2", "50000"]).await;
    let id = escrow["events"][0]["data"]["escrow"].as_str().unwrap();
    world.ok(&["escrow", "top-up", id, "1000"]).await;
    world.ok(&["escrow", "resize", id, "--units", "1"]).await;
    world.ok(&["escrow", "withdraw", id, "1000"]).await;
    world.chain.advance_clock(Duration::from_secs(60)).await.unwrap();
    world.ok(&["escrow", "settle", id]).await;
    world.ok(&["escrow", "collect", id]).await;
    assert!(world.fails(&["escrow", "reprice", id], 3).await.contains("present price"));
    assert!(world.ok(&["rewards", "show"]).await["pool"]["balance"].as_u64().unwrap() >= 60);
    world.ok(&["escrow", "close", id]).await;
    assert_eq!(world.ok(&["escrow", "list"]).await, serde_json::json!([]));
    world.ok(&["rewards", "fund", "500"]).await;
    assert!(world.fails(&["rewards", "sweep-shard", "0x5"], 1).await.contains("no object"));
    world.chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_grants_say_before_they_do() {
    let world = World::published().await;
    world.ok(&["stake", "--tier", "node", "--node-name", "n1"]).await;
    let key = || std::fs::read(world.dir.path().join("tokens/n1.key")).unwrap();
    let before = (key(), world.json("tokens/n1.json"));
    for (change, event) in [
        ("renew", "seal_token::TokenRenewed"),
        ("rotate", "seal_token::KeyRotated"),
        ("revoke", "seal_token::TokenRevoked"),
    ] {
        let dry = world.ok(&["token", change, "n1", "--dry-run"]).await;
        assert_eq!((dry["dryRun"].as_bool(), events(&dry)), (Some(true), vec![event]), "{change}");
    }
    assert_eq!((key(), world.json("tokens/n1.json")), before);
    assert!(!world.dir.path().join("tokens/n1-next.key").exists(), "a dry run leaves no key behind");
    assert_eq!(world.ok(&["token", "list"]).await[0]["standing"], "live");

    let dry = world.ok(&["grant", "add", "staker", "--namespace", "web", "--dry-run"]).await;
    assert_eq!(events(&dry), ["k8s_gateway::Granted"]);
    assert_eq!(world.ok(&["grant", "list"]).await.as_array().unwrap().len(), 0);
    let grant = world.ok(&["grant", "add", "staker", "--namespace", "web"]).await;
    let dry = world.ok(&["grant", "revoke", grant["grantId"].as_str().unwrap(), "--dry-run"]).await;
    assert_eq!(events(&dry), ["k8s_gateway::GrantRevoked"]);
    assert_eq!(world.ok(&["grant", "list"]).await.as_array().unwrap().len(), 1);
    world.chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn governance_acts_behind_its_timelock() {
    let world = World::published().await;
    let file = world.write("economics.toml", "price = 3\n");
    world.ok(&["govern", "economics", "propose", &file]).await;
    assert!(world.fails(&["govern", "economics", "apply"], 3).await.contains("timelock"));
    assert!(world.ok(&["govern", "show"]).await["pending"].is_object());
    world.chain.advance_clock(Duration::from_secs(86_400)).await.unwrap();
    world.ok(&["govern", "economics", "apply"]).await;
    assert_eq!(world.ok(&["govern", "economics", "show"]).await["price"], 3);
    let typo = world.write("typo.toml", "prize = 3\n");
    assert!(world.fails(&["govern", "economics", "propose", &typo], 2).await.contains("prize"));

    world.ok(&["govern", "insurance", "donate", "700"]).await;
    world.ok(&["govern", "insurance", "propose", "staker", "700"]).await;
    world.chain.advance_clock(Duration::from_secs(86_400)).await.unwrap();
    world.ok(&["govern", "insurance", "pay", "0"]).await;

    world.ok(&["cluster", "pause", "--hours", "2"]).await;
    let refused = world.fails(&["escrow", "open", "--units", "1", "50000"], 3).await;
    assert!(refused.contains("paused"), "{refused}");
    world.ok(&["cluster", "unpause"]).await;
    world.ok(&["cluster", "config", "--user-minimum", "77"]).await;
    assert_eq!(world.ok(&["cluster", "show"]).await["cluster"]["config"]["tiers"][1]["minimum"], 77);
    let refused = world.fails(&["cluster", "migrate", "pool:0x5"], 1).await;
    assert!(refused.contains("0x"), "{refused}");
    assert!(world.fails(&["cluster", "migrate", "planet:0x5"], 2).await.contains("KIND"));

    world.ok(&["govern", "upgrade", "guard", "--hours", "1"]).await;
    world.ok(&["govern", "upgrade", "propose"]).await;
    assert!(world.fails(&["govern", "upgrade", "apply"], 3).await.contains("timelock"));
    world.chain.advance_clock(Duration::from_secs(3600)).await.unwrap();
    let done = world.ok(&["govern", "upgrade", "apply"]).await;
    assert_eq!(events(&done), ["upgrade::UpgradeAuthorized", "upgrade::Upgraded"]);

    world.ok(&["govern", "cap", "offer", "staker"]).await;
    let cap = world.ok(&["govern", "show"]).await["caps"][0]["id"].as_str().unwrap().to_owned();
    world.ok(&["govern", "cap", "accept", &cap, "--wallet", "staker"]).await;
    assert_ne!(world.id("cap").to_string(), cap, "the new capability is remembered");
    world.ok(&["cluster", "pause", "--hours", "1", "--wallet", "staker"]).await;
    world.chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wallets_may_have_their_keys_elsewhere() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::published().await;
    // A key of the Sui CLI, of another scheme than our own wallets have.
    let key = "suiprivkey1qyqr6yvxdqkh32ep4pk9caqvphmk9epn6rhkczcrhaeermsyvwsg783y9am";
    let file = world.write("alice.key", key);
    assert!(world.fails(&["wallet", "link", "alice", "--key-file", &file], 3).await.contains("chmod 600"));
    std::fs::set_permissions(Path::new(&file), std::fs::Permissions::from_mode(0o600)).unwrap();
    world.ok(&["wallet", "link", "alice", "--key-file", &file]).await;
    world.chain.faucet(world.wallet("alice"), 1_000_000_000).await.unwrap();
    world.ok(&["stake", "--tier", "user", "--wallet", "alice"]).await;
    let said = world.fails(&["wallet", "link", "bob", "--key-env", "BOBS_KEY"], 2).await;
    assert!(said.contains("BOBS_KEY"), "{said}");
    let keystore = world.dir.path().join("wallets/sui.keystore");
    let address = world.wallet("operator").to_string();
    let args = ["wallet", "link", "chief", "--keystore", keystore.to_str().unwrap(), "--address", &address];
    assert_eq!(world.ok(&args).await["address"], address.as_str());
    for name in ["links.json", "aliases.json"] {
        let text = std::fs::read_to_string(world.dir.path().join("wallets").join(name)).unwrap();
        assert!(!text.contains("suiprivkey"), "{name} holds a secret");
    }
    world.chain.shutdown().await;
}
