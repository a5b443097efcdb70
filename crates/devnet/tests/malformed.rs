//! Whatever bytes arrive, the server answers with an error and lives.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Chain, SUI, Wallet, payment};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use sui_crypto::SuiSigner;
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{
    Address, Argument, Command, Input, MakeMoveVector, MoveCall, ProgrammableTransaction, Transaction,
    TransactionKind, TypeTag,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Setup {
    chain: Chain,
    alice: Wallet,
    transaction: Transaction,
}

async fn setup() -> Setup {
    let chain = Chain::start().await;
    let alice = chain.wallet(1).await;
    let (gas, _) = chain.coins(alice.address).await.remove(0);
    let transaction = payment(&alice, &gas, Address::TWO, SUI).try_build().unwrap();
    Setup { chain, alice, transaction }
}

impl Setup {
    async fn execute_bytes(&mut self, transaction: Vec<u8>, signature: Vec<u8>) {
        let mut message = proto::Transaction::default();
        message.bcs = Some(transaction.into());
        let mut user_signature = proto::UserSignature::default();
        user_signature.bcs = Some(signature.into());
        let request = proto::ExecuteTransactionRequest::default()
            .with_transaction(message.clone())
            .with_signatures(vec![user_signature]);
        let executed = self.chain.client.execution_client().execute_transaction(request).await;
        assert!(executed.is_err());
        let request = proto::SimulateTransactionRequest::default().with_transaction(message);
        let _ = self.chain.client.execution_client().simulate_transaction(request).await;
    }

    async fn lives(&mut self) {
        let info = proto::GetServiceInfoRequest::default();
        self.chain.client.ledger_client().get_service_info(info).await.unwrap();
        self.chain.devnet.faucet(Address::TWO, 1).await.unwrap();
    }

    /// Signs with alice's key and executes.
    async fn execute(&mut self, transaction: Transaction) -> Result<(), tonic::Status> {
        let signature = self.alice.key.sign_transaction(&transaction).unwrap();
        let request = proto::ExecuteTransactionRequest::default()
            .with_transaction(transaction)
            .with_signatures(vec![signature.into()]);
        self.chain.client.execution_client().execute_transaction(request).await.map(|_| ())
    }
}

fn run<S: Strategy>(strategy: &S, mut check: impl FnMut(S::Value)) {
    let config = Config { cases: 150, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    for _ in 0..runner.config().cases {
        check(strategy.new_tree(&mut runner).unwrap().current());
    }
}

#[test]
fn garbled_transactions_are_refused() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut setup = runtime.block_on(setup());
    let whole = bcs::to_bytes(&setup.transaction).unwrap();
    let signature = setup.alice.key.sign_transaction(&setup.transaction).unwrap().to_bytes();
    let garble = (any::<prop::sample::Index>(), any::<u8>(), any::<prop::sample::Index>(), any::<bool>());
    run(&garble, |(at, with, cut, truncate)| {
        let mut bytes = whole.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= with | 1;
        if truncate {
            bytes.truncate(cut.index(bytes.len()));
        }
        runtime.block_on(setup.execute_bytes(bytes, signature.clone()));
        let mut garbled = signature.clone();
        let at = at % garbled.len();
        garbled[at] ^= with | 1;
        runtime.block_on(setup.execute_bytes(whole.clone(), garbled));
    });
    run(&proptest::collection::vec(any::<u8>(), 0..200), |bytes| {
        runtime.block_on(setup.execute_bytes(bytes.clone(), bytes));
    });
    runtime.block_on(setup.lives());
}

fn argument() -> impl Strategy<Value = Argument> {
    prop_oneof![
        Just(Argument::Gas),
        (0u16..4).prop_map(Argument::Input),
        (0u16..5).prop_map(Argument::Result),
        (0u16..5, 0u16..3).prop_map(|(result, nested)| Argument::NestedResult(result, nested)),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let arguments = || proptest::collection::vec(argument(), 0..3);
    let tags = prop_oneof![
        Just(TypeTag::U64),
        Just("0x2::coin::Coin<0x2::sui::SUI>".parse().unwrap()),
        Just("0x2::sui::SUI".parse().unwrap()),
        Just("0x5::no::Such".parse().unwrap()),
    ];
    let functions = prop_oneof![
        Just(("coin", "join")),
        Just(("coin", "split")),
        Just(("coin", "into_balance")),
        Just(("coin", "destroy_zero")),
        Just(("balance", "value")),
        Just(("transfer", "public_transfer")),
        Just(("object", "id")),
        Just(("no", "such")),
    ];
    prop_oneof![
        (argument(), arguments())
            .prop_map(|(coin, amounts)| { Command::SplitCoins(sui_sdk_types::SplitCoins { coin, amounts }) }),
        (argument(), arguments()).prop_map(|(coin, coins_to_merge)| {
            Command::MergeCoins(sui_sdk_types::MergeCoins { coin, coins_to_merge })
        }),
        (argument(), arguments()).prop_map(|(address, objects)| {
            Command::TransferObjects(sui_sdk_types::TransferObjects { objects, address })
        }),
        (proptest::option::of(tags.clone()), arguments())
            .prop_map(|(type_, elements)| Command::MakeMoveVector(MakeMoveVector { type_, elements })),
        (functions, proptest::collection::vec(tags, 0..2), arguments()).prop_map(
            |((module, function), type_arguments, arguments)| {
                Command::MoveCall(MoveCall {
                    package: Address::TWO,
                    module: module.parse().unwrap(),
                    function: function.parse().unwrap(),
                    type_arguments,
                    arguments,
                })
            }
        ),
        proptest::collection::vec(any::<u8>(), 0..60).prop_map(|module| {
            Command::Publish(sui_sdk_types::Publish {
                modules: vec![module],
                dependencies: vec![Address::TWO],
            })
        }),
    ]
}

/// Well-formed nonsense: it is executed or refused, the chain lives, and no money appears or is lost.
#[test]
fn nonsense_programs_neither_panic_nor_make_money() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut setup = runtime.block_on(setup());
    let alice = setup.alice.address;
    run(&proptest::collection::vec(command(), 1..6), |commands| {
        runtime.block_on(async {
            let coins = setup.chain.coins(alice).await;
            let (gas, _) = coins[0].clone();
            let before: i128 = coins.iter().map(|(_, balance)| i128::from(*balance)).sum();
            let mut transaction = setup.transaction.clone();
            transaction.gas_payment.objects = vec![gas];
            let second = coins.get(1).map(|(coin, _)| coin.clone());
            transaction.kind = TransactionKind::ProgrammableTransaction(ProgrammableTransaction {
                inputs: [
                    Some(Input::Pure(5u64.to_le_bytes().to_vec())),
                    Some(Input::Pure(alice.as_bytes().to_vec())),
                    second.map(Input::ImmutableOrOwned),
                ]
                .into_iter()
                .flatten()
                .collect(),
                commands,
            });
            let digest = transaction.digest();
            if setup.execute(transaction).await.is_ok() {
                let node = setup.chain.devnet.node();
                let used =
                    node.ledger().history().transaction(&digest).unwrap().effects.gas_summary().clone();
                let after: i128 =
                    setup.chain.coins(alice).await.iter().map(|(_, balance)| i128::from(*balance)).sum();
                assert_eq!(after, before - i128::from(used.net_gas_usage()), "{digest}");
            }
        });
    });
    runtime.block_on(setup.lives());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_types_do_not_exhaust_the_stack() {
    let mut setup = setup().await;
    for depth in [10usize, 100, 400, 2_000, 100_000] {
        let text = format!("{}u8{}", "vector<".repeat(depth), ">".repeat(depth));
        let request = proto::GetBalanceRequest::default().with_owner(Address::TWO).with_coin_type(&text);
        let answer = setup.chain.client.state_client().get_balance(request).await;
        assert_eq!(answer.is_ok(), depth <= 10, "{depth}");
        let request =
            proto::ListOwnedObjectsRequest::default().with_owner(Address::TWO).with_object_type(&text);
        assert!(setup.chain.client.state_client().list_owned_objects(request).await.is_err());
    }
    // The same as BCS: TypeTag::Vector is variant 6, u8 variant 1.
    let mut transaction = setup.transaction.clone();
    let mut tags: Vec<Vec<u8>> = Vec::new();
    for depth in [10usize, 200, 400, 499, 600, 10_000] {
        let mut tag = vec![6u8; depth];
        tag.push(1);
        tags.push(tag);
    }
    transaction.kind = TransactionKind::ProgrammableTransaction(ProgrammableTransaction {
        inputs: vec![],
        commands: vec![Command::MakeMoveVector(MakeMoveVector {
            type_: Some(TypeTag::U8),
            elements: vec![],
        })],
    });
    let whole = bcs::to_bytes(&transaction).unwrap();
    // Kind, inputs, one command, MakeMoveVector, some type.
    let at = whole.windows(5).position(|window| window == [0, 1, 5, 1, 1]).unwrap() + 4;
    let signature = setup.alice.key.sign_transaction(&transaction).unwrap().to_bytes();
    for tag in tags {
        let mut bytes = whole.clone();
        bytes.splice(at..=at, tag);
        setup.execute_bytes(bytes, signature.clone()).await;
    }
    setup.lives().await;
}

#[tokio::test]
async fn garbled_http_is_survived() {
    let mut setup = setup().await;
    let address = setup.chain.devnet.local_addr();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let frames: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"POST /v2/gas HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n".to_vec(),
        b"POST /v2/gas HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
            .to_vec(),
        [preface.clone(), vec![0xff; 64]].concat(),
        [preface, vec![0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 0xff, 0, 0, 0, 0, 1]].concat(),
        vec![0; 1_000],
    ];
    for bytes in frames {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ =
            tokio::time::timeout(std::time::Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    }
    setup.lives().await;
}

#[tokio::test]
async fn oversized_messages_are_refused() {
    let mut setup = setup().await;
    let digests = vec!["1".repeat(40); 50_000];
    let request = proto::BatchGetTransactionsRequest::default().with_digests(digests);
    let refused = setup.chain.client.ledger_client().batch_get_transactions(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::OutOfRange, "{refused}");
    let digests = vec!["1".repeat(40); 1_001];
    let request = proto::BatchGetTransactionsRequest::default().with_digests(digests);
    let refused = setup.chain.client.ledger_client().batch_get_transactions(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused}");
    setup.lives().await;
}
