//! `wallet`: keys that are elsewhere.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn wallets_may_have_their_keys_elsewhere() {
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
