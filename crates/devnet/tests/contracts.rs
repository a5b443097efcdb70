//! The repository's contracts, executed as published.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{Chain, SUI, Wallet, any, contracts, function};
use sui_sdk_types::{Address, ExecutionError, ExecutionStatus, IdOperation};
use sui_transaction_builder::{ObjectInput, TransactionBuilder};

const CLOCK: Address = Address::from_static("0x6");

struct Setup {
    chain: Chain,
    operator: Wallet,
    package: Address,
    cluster: Address,
    names: Address,
    governance: Address,
    cap: Address,
}

impl Setup {
    async fn start() -> Self {
        let mut chain = Chain::start().await;
        let operator = chain.wallet(1).await;
        let (package, _) = chain.publish(&operator, contracts()).await;
        let created = chain
            .call(&operator, package, "k8s_gateway::create_cluster", |b| vec![b.pure(&"test"), b.pure(&true)])
            .await
            .unwrap()
            .assert_success();
        let one = |name: &str| *created.created(&format!("{package}::{name}"))[0].object_id();
        let (cluster, names) = (one("k8s_gateway::Cluster"), one("k8s_gateway::Names"));
        let (governance, cap) = (one("governance::Governance"), one("governance::AdminCap"));
        Self { cluster, names, governance, cap, chain, operator, package }
    }

    /// Stakes `amount` for a tier; the transaction and the stake, if there is one.
    async fn stake(&mut self, wallet: &Wallet, tier: u8, amount: u64) -> Result<Address, String> {
        let mut builder = TransactionBuilder::new();
        let gas = builder.gas();
        let amount = builder.pure(&amount);
        let coin = builder.split_coins(gas, vec![amount]).remove(0);
        let arguments =
            vec![builder.object(any(self.cluster)), builder.pure(&tier), coin, builder.object(any(CLOCK))];
        builder.move_call(function(&format!("{}::staking::stake", self.package)), arguments);
        let executed = self.chain.execute(wallet, builder).await.map_err(|status| status.to_string())?;
        let executed = executed.assert_success();
        Ok(*executed.created(&format!("{}::staking::Stake", self.package))[0].object_id())
    }
}

#[tokio::test]
async fn a_stake_is_locked_asked_back_and_withdrawn() {
    let mut setup = Setup::start().await;
    let bob = setup.chain.wallet(2).await;
    let refused = setup.stake(&bob, 0, 1).await.unwrap_err();
    assert!(refused.contains("MOVE_ABORT"), "{refused}");

    let stake = setup.stake(&bob, 0, 5 * SUI).await.unwrap();
    let (package, cluster, names) = (setup.package, setup.cluster, setup.names);
    let withdraw = async |setup: &mut Setup, wallet: &Wallet| {
        setup
            .chain
            .call(wallet, package, "staking::withdraw", |b| {
                vec![b.object(any(stake)), b.object(any(names)), b.object(any(CLOCK))]
            })
            .await
    };
    let asked = setup
        .chain
        .call(&bob, package, "staking::request_unstake", |b| {
            vec![b.object(any(stake)), b.object(any(cluster)), b.object(any(CLOCK))]
        })
        .await
        .unwrap()
        .assert_success();
    let events = &asked.0.events().events;
    assert!(events[0].event_type().ends_with("::staking::UnstakeRequested"));
    let (_, id, _, until_ms): (Address, Address, u64, u64) = events[0].contents().deserialize().unwrap();
    assert_eq!(id, stake);

    assert!(withdraw(&mut setup, &bob).await.is_err(), "locked");
    let now = setup.chain.devnet.node().ledger().timestamp_ms();
    setup.chain.devnet.advance_clock(Duration::from_millis(until_ms - now)).await.unwrap();
    let mallory = setup.chain.wallet(3).await;
    assert!(withdraw(&mut setup, &mallory).await.is_err(), "not the owner");
    let before = setup.chain.balance(bob.address).await;
    let withdrawn = withdraw(&mut setup, &bob).await.unwrap().assert_success();
    let used = withdrawn.effects().gas_used.net_gas_usage();
    let after = setup.chain.balance(bob.address).await;
    assert_eq!(i128::from(after), i128::from(before + 5 * SUI) - i128::from(used));
    let gone = withdrawn.effects().changed_objects.into_iter().find(|c| c.object_id == stake).unwrap();
    assert_eq!(gone.id_operation, IdOperation::Deleted);
}

#[tokio::test]
async fn a_revoked_capability_aborts_with_its_code() {
    let mut setup = Setup::start().await;
    let (package, governance, cap) = (setup.package, setup.governance, setup.cap);
    let issue = setup
        .chain
        .call(&setup.operator, package, "governance::issue_cap", |b| {
            vec![
                b.object(any(governance)),
                b.object(any(cap)),
                b.pure(&setup.operator.address),
                b.pure(&u64::MAX),
                b.object(any(CLOCK)),
            ]
        })
        .await
        .unwrap()
        .assert_success();
    let second = *issue.created(&format!("{package}::governance::AdminCap"))[0].object_id();
    setup
        .chain
        .call(&setup.operator, package, "governance::revoke_cap", |b| {
            vec![b.object(any(governance)), b.object(any(cap)), b.pure(&second), b.object(any(CLOCK))]
        })
        .await
        .unwrap()
        .assert_success();

    let (gas, _) = setup.chain.coins(setup.operator.address).await.remove(0);
    let second = setup.chain.reference(second).await;
    let object = setup.chain.object(setup.cluster).await.unwrap();
    let sui_sdk_types::Owner::Shared(cluster_version) = *object.owner() else { panic!("not shared") };
    let object = setup.chain.object(governance).await.unwrap();
    let sui_sdk_types::Owner::Shared(governance_version) = *object.owner() else { panic!("not shared") };
    let mut builder = TransactionBuilder::new();
    builder.set_sender(setup.operator.address);
    builder.set_gas_budget(SUI);
    builder.set_gas_price(1_000);
    builder.add_gas_objects([ObjectInput::owned(*gas.object_id(), gas.version(), *gas.digest())]);
    let arguments = vec![
        builder.object(ObjectInput::shared(setup.cluster, cluster_version, false)),
        builder.object(ObjectInput::shared(governance, governance_version, false)),
        builder.object(ObjectInput::owned(*second.object_id(), second.version(), *second.digest())),
        builder.pure(&Address::TWO),
        builder.pure(&"default"),
        builder.pure(&"view"),
        builder.object(ObjectInput::shared(CLOCK, 1, false)),
    ];
    builder.move_call(function(&format!("{package}::k8s_gateway::grant")), arguments);
    let transaction = builder.try_build().unwrap();
    let executed = setup.chain.send(&transaction, &[&setup.operator]).await.unwrap();
    let ExecutionStatus::Failure { error: ExecutionError::MoveAbort { location, code }, command: Some(0) } =
        executed.effects().status
    else {
        panic!("{:?}", executed.effects().status)
    };
    assert_eq!((location.module.as_str(), code), ("governance", 3));
    assert_eq!(location.package, package);
}
