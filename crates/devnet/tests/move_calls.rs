//! Published code and what it does to objects, over gRPC with the unchanged client.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{Chain, Executed, Wallet, any, function, probe, short};
use futures::TryStreamExt;
use sui_crypto::SuiSigner;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{
    Address, ChangedObject, CommandArgumentError, ExecutionError, ExecutionStatus, IdOperation, ObjectIn,
    ObjectOut, Owner, TypeTag,
};
use sui_transaction_builder::{Argument, ObjectInput, TransactionBuilder};

struct Probe {
    chain: Chain,
    alice: Wallet,
    package: Address,
    published: Executed,
}

impl Probe {
    async fn start() -> Self {
        let mut chain = Chain::start().await;
        let alice = chain.wallet(1).await;
        let (package, published) = chain.publish(&alice, probe()).await;
        Self { chain, alice, package, published }
    }

    async fn call(
        &mut self,
        name: &str,
        fill: impl FnOnce(&mut TransactionBuilder) -> Vec<Argument>,
    ) -> Result<Executed, tonic::Status> {
        self.chain.call(&self.alice, self.package, &format!("probe::{name}"), fill).await
    }

    /// Makes an item of alice's.
    async fn item(&mut self, value: u64) -> Address {
        let mut builder = TransactionBuilder::new();
        let value = builder.pure(&value);
        let item = builder.move_call(self.function("new_item"), vec![value]);
        let to = builder.pure(&self.alice.address);
        builder.transfer_objects(vec![item], to);
        let executed = self.chain.execute(&self.alice, builder).await.unwrap().assert_success();
        *executed.created(&self.type_name("Item"))[0].object_id()
    }

    async fn counter(&mut self) -> Address {
        let executed = self.call("share_counter", |_| vec![]).await.unwrap().assert_success();
        *executed.created(&self.type_name("Counter"))[0].object_id()
    }

    fn function(&self, name: &str) -> sui_transaction_builder::Function {
        function(&format!("{}::probe::{name}", self.package))
    }

    fn type_name(&self, name: &str) -> String {
        format!("{}::probe::{name}", self.package)
    }

    async fn value(&mut self, item: Address) -> u64 {
        let object = self.chain.object(item).await.unwrap();
        bcs::from_bytes::<(Address, u64)>(object.as_struct().unwrap().contents()).unwrap().1
    }

    /// Executes without simulating first, so that failures have effects.
    async fn force(&mut self, fill: impl FnOnce(&mut TransactionBuilder)) -> Executed {
        let mut builder = TransactionBuilder::new();
        builder.set_sender(self.alice.address);
        builder.set_gas_budget(common::SUI);
        builder.set_gas_price(1_000);
        let (gas, _) = self.chain.coins(self.alice.address).await.remove(0);
        builder.add_gas_objects([ObjectInput::owned(*gas.object_id(), gas.version(), *gas.digest())]);
        fill(&mut builder);
        let transaction = builder.try_build().unwrap();
        self.chain.send(&transaction, &[&self.alice]).await.unwrap()
    }
}

fn change(executed: &Executed, id: Address) -> ChangedObject {
    executed.effects().changed_objects.into_iter().find(|changed| changed.object_id == id).unwrap()
}

#[tokio::test]
async fn publishing_runs_init_with_a_witness_and_gives_the_upgrade_cap() {
    let mut probe = Probe::start().await;
    let born = probe.published.created(&probe.type_name("Born")).remove(0);
    let object = probe.chain.object(*born.object_id()).await.unwrap();
    assert_eq!(object.owner(), &Owner::Address(probe.alice.address));
    assert_eq!(object.as_struct().unwrap().contents()[32..], [1], "the witness is genuine");
    assert!(!object.as_struct().unwrap().has_public_transfer());

    let cap = probe.published.created("0x2::package::UpgradeCap").remove(0);
    let cap = probe.chain.object(*cap.object_id()).await.unwrap();
    let (_, package, version, policy): (Address, Address, u64, u8) =
        bcs::from_bytes(cap.as_struct().unwrap().contents()).unwrap();
    assert_eq!((package, version, policy), (probe.package, 1, 0));

    let request = proto::GetPackageRequest::new(&probe.package);
    let found = probe.chain.client.package_client().get_package(request).await.unwrap().into_inner();
    assert_eq!(found.package().modules.len(), 1);
    assert!(found.package().type_origins.iter().any(|origin| origin.datatype_name() == "Counter"));
    assert_eq!(found.package().linkage.len(), 2);
}

#[tokio::test]
async fn objects_are_changed_wrapped_unwrapped_and_deleted() {
    let mut probe = Probe::start().await;
    let item = probe.item(5).await;
    let set = probe.call("set", |b| vec![b.object(any(item)), b.pure(&6u64)]).await.unwrap().assert_success();
    assert_eq!(probe.value(item).await, 6);
    assert_eq!(change(&set, item).id_operation, IdOperation::None);

    let wrapped = probe.call("wrap", |b| vec![b.object(any(item))]).await.unwrap().assert_success();
    let gone = change(&wrapped, item);
    assert_eq!((gone.output_state, gone.id_operation), (ObjectOut::NotExist, IdOperation::None));
    assert!(probe.chain.object(item).await.is_err());
    let holder = *wrapped.created(&probe.type_name("Box"))[0].object_id();

    let mut builder = TransactionBuilder::new();
    let held = builder.object(any(holder));
    let out = builder.move_call(probe.function("unwrap"), vec![held]);
    let to = builder.pure(&probe.alice.address);
    builder.transfer_objects(vec![out], to);
    let unwrapped = probe.chain.execute(&probe.alice, builder).await.unwrap().assert_success();
    let back = change(&unwrapped, item);
    assert_eq!((back.input_state, back.id_operation), (ObjectIn::NotExist, IdOperation::None));
    assert_eq!(probe.value(item).await, 6);

    let deleted = probe.call("delete", |b| vec![b.object(any(item))]).await.unwrap().assert_success();
    assert_eq!(change(&deleted, item).id_operation, IdOperation::Deleted);

    // Wrapped, then deleted inside of its box: never live again, deleted nevertheless.
    let inner = probe.item(1).await;
    let wrapped = probe.call("wrap", |b| vec![b.object(any(inner))]).await.unwrap().assert_success();
    let holder = *wrapped.created(&probe.type_name("Box"))[0].object_id();
    let crushed = probe.call("crush", |b| vec![b.object(any(holder))]).await.unwrap().assert_success();
    assert_eq!(change(&crushed, holder).id_operation, IdOperation::Deleted);
    let inner = change(&crushed, inner);
    assert_eq!((inner.input_state, inner.id_operation), (ObjectIn::NotExist, IdOperation::Deleted));
}

#[tokio::test]
async fn frozen_objects_are_read_by_anybody_and_changed_by_nobody() {
    let mut probe = Probe::start().await;
    let bob = probe.chain.wallet(2).await;
    let item = probe.item(5).await;
    let frozen = probe.call("freeze_item", |b| vec![b.object(any(item))]).await.unwrap().assert_success();
    assert!(matches!(
        change(&frozen, item).output_state,
        ObjectOut::ObjectWrite { owner: Owner::Immutable, .. }
    ));
    let package = probe.package;
    let read = probe.chain.call(&bob, package, "probe::value", |b| vec![b.object(any(item))]).await.unwrap();
    let effects = read.assert_success().effects();
    assert!(effects.changed_objects.iter().all(|changed| changed.object_id != item));

    let reference = probe.chain.reference(item).await;
    let function = probe.function("set");
    let executed = probe
        .force(|b| {
            let item = b.object(ObjectInput::immutable(item, reference.version(), *reference.digest()));
            let value = b.pure(&1u64);
            b.move_call(function, vec![item, value]);
        })
        .await;
    let error = ExecutionError::CommandArgumentError {
        argument: 0,
        kind: CommandArgumentError::InvalidObjectByMutRef,
    };
    assert_eq!(executed.effects().status, ExecutionStatus::Failure { error, command: Some(0) });
}

#[tokio::test]
async fn shared_objects_keep_their_first_version_and_see_the_clock() {
    let mut probe = Probe::start().await;
    let bob = probe.chain.wallet(2).await;
    let counter = probe.counter().await;
    let Owner::Shared(first) = *probe.chain.object(counter).await.unwrap().owner() else {
        panic!("not shared")
    };
    let package = probe.package;
    let clock = Address::from_static("0x6");
    let mut times = Vec::new();
    for round in 1..=3u64 {
        probe.chain.devnet.advance_clock(Duration::from_secs(60)).await.unwrap();
        let executed = probe
            .chain
            .call(&bob, package, "probe::increment", |b| vec![b.object(any(counter)), b.object(any(clock))])
            .await
            .unwrap()
            .assert_success();
        let events = &executed.0.events().events;
        assert!(events[0].event_type().ends_with("::probe::Counted"));
        let (id, count, at_ms): (Address, u64, u64) = events[0].contents().deserialize().unwrap();
        assert_eq!((id, count), (counter, round));
        times.push(at_ms);
        let effects = executed.effects();
        assert!(effects.events_digest.is_some());
        assert_eq!(effects.unchanged_consensus_objects[0].object_id, clock);
        let object = probe.chain.object(counter).await.unwrap();
        assert_eq!(*object.owner(), Owner::Shared(first));
        assert_eq!(object.version(), effects.lamport_version);
        let executed_at = executed.0.timestamp.unwrap();
        assert_eq!(executed_at.seconds as u64 * 1_000 + executed_at.nanos as u64 / 1_000_000, at_ms);
    }
    assert!(times.windows(2).all(|pair| pair[1] >= pair[0] + 60_000), "{times:?}");
}

#[tokio::test]
async fn a_shared_object_by_value_is_shared_again_or_deleted() {
    let mut probe = Probe::start().await;
    let counter = probe.counter().await;
    let first = *probe.chain.object(counter).await.unwrap().owner();
    probe.call("reshare", |b| vec![b.object(any(counter))]).await.unwrap().assert_success();
    assert_eq!(*probe.chain.object(counter).await.unwrap().owner(), first);

    let Owner::Shared(version) = first else { panic!("not shared") };
    let keep = probe.function("keep");
    let kept = probe
        .force(|b| {
            let counter = b.object(ObjectInput::shared(counter, version, true));
            b.move_call(keep, vec![counter]);
        })
        .await;
    let ExecutionStatus::Failure { .. } = kept.effects().status else { panic!("kept a shared object") };
    assert_eq!(*probe.chain.object(counter).await.unwrap().owner(), first);

    let ended = probe.call("end", |b| vec![b.object(any(counter))]).await.unwrap().assert_success();
    assert_eq!(change(&ended, counter).id_operation, IdOperation::Deleted);
    let refused = probe.call("end", |b| vec![b.object(any(counter))]).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn dynamic_fields_are_objects_of_their_parent() {
    let mut probe = Probe::start().await;
    let counter = probe.counter().await;
    let object = probe.chain.object(counter).await.unwrap();
    let (_, _, table, size): (Address, u64, Address, u64) =
        bcs::from_bytes(object.as_struct().unwrap().contents()).unwrap();
    assert_eq!(size, 0);
    for (name, value) in [("one", 1u64), ("two", 2), ("three", 3), ("two", 22)] {
        probe
            .call("name", |b| vec![b.object(any(counter)), b.pure(&name), b.pure(&value)])
            .await
            .unwrap()
            .assert_success();
    }
    let mut found = Vec::new();
    let request = proto::ListDynamicFieldsRequest::default()
        .with_parent(table)
        .with_page_size(2u32)
        .with_read_mask(FieldMask::from_str("*"));
    for field in probe.chain.client.list_dynamic_fields(request).try_collect::<Vec<_>>().await.unwrap() {
        let name: String = field.name().deserialize().unwrap();
        let value: u64 = field.value().deserialize().unwrap();
        assert_eq!(field.value_type(), "u64");
        assert_eq!(short(field.name().name()), "0x1::string::String");
        let name_tag: TypeTag = field.name().name().parse().unwrap();
        let id = table.derive_dynamic_child_id(&name_tag, field.name().value());
        assert_eq!(field.field_id(), id.to_string());
        let object = probe.chain.object(id).await.unwrap();
        assert_eq!(*object.owner(), Owner::Object(table));
        found.push((name, value));
    }
    found.sort();
    let expected = [("one", 1), ("three", 3), ("two", 22)];
    assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));

    let removed = probe
        .call("unname", |b| vec![b.object(any(counter)), b.pure(&"two")])
        .await
        .unwrap()
        .assert_success();
    let deleted =
        removed.effects().changed_objects.iter().filter(|c| c.id_operation == IdOperation::Deleted).count();
    assert_eq!(deleted, 1);
}

#[tokio::test]
async fn dynamic_object_fields_stay_objects() {
    let mut probe = Probe::start().await;
    let parent = probe.item(1).await;
    let child = probe.item(2).await;
    let attached = probe
        .call("attach", |b| vec![b.object(any(parent)), b.pure(&"child"), b.object(any(child))])
        .await
        .unwrap()
        .assert_success();
    let Owner::Object(field) = *probe.chain.object(child).await.unwrap().owner() else {
        panic!("the child is not a child: {:?}", attached.effects())
    };
    assert_eq!(*probe.chain.object(field).await.unwrap().owner(), Owner::Object(parent));
    let request = proto::ListDynamicFieldsRequest::default()
        .with_parent(parent)
        .with_read_mask(FieldMask::from_str("*"));
    let fields: Vec<_> = probe.chain.client.list_dynamic_fields(request).try_collect().await.unwrap();
    assert_eq!(fields[0].child_id(), child.to_string());
    assert_eq!(fields[0].name().deserialize::<String>().unwrap(), "child");
    assert_eq!(fields[0].value_type(), probe.type_name("Item"));

    probe
        .call("set_attached", |b| vec![b.object(any(parent)), b.pure(&"child"), b.pure(&9u64)])
        .await
        .unwrap()
        .assert_success();
    assert_eq!(probe.value(child).await, 9);

    let mut builder = TransactionBuilder::new();
    let arguments = vec![builder.object(any(parent)), builder.pure(&"child")];
    let out = builder.move_call(probe.function("detach"), arguments);
    let to = builder.pure(&probe.alice.address);
    builder.transfer_objects(vec![out], to);
    let detached = probe.chain.execute(&probe.alice, builder).await.unwrap().assert_success();
    assert_eq!(change(&detached, field).id_operation, IdOperation::Deleted);
    assert_eq!(*probe.chain.object(child).await.unwrap().owner(), Owner::Address(probe.alice.address));
}

#[tokio::test]
async fn an_object_sent_to_an_object_is_received() {
    let mut probe = Probe::start().await;
    let parent = probe.item(1).await;
    let sent = probe.item(2).await;
    let mut builder = TransactionBuilder::new();
    let object = builder.object(any(sent));
    let to = builder.pure(&parent);
    builder.transfer_objects(vec![object], to);
    probe.chain.execute(&probe.alice, builder).await.unwrap().assert_success();

    let mut builder = TransactionBuilder::new();
    let arguments = vec![builder.object(any(parent)), builder.object(any(sent))];
    let item = builder.move_call(probe.function("receive"), arguments);
    let to = builder.pure(&probe.alice.address);
    builder.transfer_objects(vec![item], to);
    let received = probe.chain.execute(&probe.alice, builder).await.unwrap().assert_success();
    assert_eq!(change(&received, sent).id_operation, IdOperation::None);
    assert_eq!(*probe.chain.object(sent).await.unwrap().owner(), Owner::Address(probe.alice.address));
}

#[tokio::test]
async fn aborts_and_errors_say_where() {
    let mut probe = Probe::start().await;
    let [check, divide, hidden, only, sum] =
        ["check_zero", "divide", "hidden", "only_entry", "spin"].map(|name| probe.function(name));
    let aborted = probe
        .force(|b| {
            let value = b.pure(&1u64);
            b.move_call(check, vec![value]);
        })
        .await;
    let ExecutionStatus::Failure { error: ExecutionError::MoveAbort { location, code }, command: Some(0) } =
        aborted.effects().status
    else {
        panic!("{:?}", aborted.effects().status)
    };
    assert_eq!((location.package, location.module.as_str(), code), (probe.package, "probe", 42));
    assert_eq!(location.function_name.unwrap().as_str(), "check_zero");
    assert_eq!(aborted.effects().changed_objects.len(), 1, "nothing but the gas coin changed");

    let divided = probe
        .force(|b| {
            let arguments = vec![b.pure(&1u64), b.pure(&0u64)];
            b.move_call(divide, arguments);
        })
        .await;
    assert!(matches!(
        divided.effects().status,
        ExecutionStatus::Failure { error: ExecutionError::MovePrimitiveRuntimeError { .. }, .. }
    ));
    let not_callable = probe
        .force(|b| {
            b.move_call(hidden, vec![]);
        })
        .await;
    let error = ExecutionError::NonEntryFunctionInvoked;
    assert_eq!(not_callable.effects().status, ExecutionStatus::Failure { error, command: Some(0) });
    let entry = probe
        .force(|b| {
            let value = b.pure(&1u64);
            b.move_call(only, vec![value]);
        })
        .await;
    entry.assert_success();
    let endless = probe
        .force(|b| {
            b.set_gas_budget(5_000_000);
            let rounds = b.pure(&u64::MAX);
            b.move_call(sum, vec![rounds]);
        })
        .await;
    let error = ExecutionError::InsufficientGas;
    assert_eq!(endless.effects().status, ExecutionStatus::Failure { error, command: None });
    assert_eq!(endless.effects().gas_used.computation_cost, 5_000_000);
}

#[tokio::test]
async fn values_flow_between_commands_and_must_be_used() {
    let mut probe = Probe::start().await;
    let package = probe.package;
    let named = |name: &str| function(&format!("{package}::probe::{name}"));
    let status = |executed: Executed| executed.effects().status;

    let cooked = probe
        .force(|b| {
            let potato = b.move_call(named("cook"), vec![]);
            b.move_call(named("eat"), vec![potato]);
        })
        .await;
    assert_eq!(status(cooked), ExecutionStatus::Success);
    let wasted = probe
        .force(|b| {
            b.move_call(named("cook"), vec![]);
        })
        .await;
    let error = ExecutionError::UnusedValueWithoutDrop { result: 0, subresult: 0 };
    assert_eq!(status(wasted), ExecutionStatus::Failure { error, command: None });

    let summed = probe
        .force(|b| {
            let values = [b.pure(&3u64), b.pure(&4u64)];
            let items = values.map(|value| b.move_call(named("new_item"), vec![value]));
            let five = b.pure(&5u64);
            b.move_call(named("set"), vec![items[0], five]);
            let items = b.make_move_vec(None, items.to_vec());
            b.move_call(named("sum"), vec![items]);
        })
        .await;
    assert_eq!(summed.effects().changed_objects.len(), 1, "made and deleted in one transaction");
    assert_eq!(status(summed), ExecutionStatus::Success);

    let several = probe
        .force(|b| {
            let results = b.move_call(named("many"), vec![]).to_nested(3);
            b.move_call(named("delete"), vec![results[1]]);
            let u8s = named("last").with_type_args(vec![TypeTag::U8]);
            b.move_call(u8s, vec![results[2]]);
        })
        .await;
    assert_eq!(status(several), ExecutionStatus::Success);
    let strings = probe
        .force(|b| {
            let arguments = vec![b.pure(&"a"), b.pure(&"b"), b.pure(&Some("c"))];
            b.move_call(named("concat"), arguments);
        })
        .await;
    assert_eq!(status(strings), ExecutionStatus::Success);
    let not_utf8 = probe
        .force(|b| {
            let arguments = vec![b.pure(&vec![0xffu8]), b.pure(&"b"), b.pure(&Some("c"))];
            b.move_call(named("concat"), arguments);
        })
        .await;
    let error =
        ExecutionError::CommandArgumentError { argument: 0, kind: CommandArgumentError::InvalidBcsBytes };
    assert_eq!(status(not_utf8), ExecutionStatus::Failure { error, command: Some(0) });
}

#[tokio::test]
async fn simulation_shows_return_values() {
    let mut probe = Probe::start().await;
    let mut builder = TransactionBuilder::new();
    builder.set_sender(probe.alice.address);
    builder.set_gas_budget(common::SUI);
    builder.set_gas_price(1_000);
    let (gas, _) = probe.chain.coins(probe.alice.address).await.remove(0);
    builder.add_gas_objects([ObjectInput::owned(*gas.object_id(), gas.version(), *gas.digest())]);
    let arguments = vec![builder.pure(&84u64), builder.pure(&2u64)];
    builder.move_call(probe.function("divide"), arguments);
    let request = proto::SimulateTransactionRequest::default().with_transaction(builder.try_build().unwrap());
    let response =
        probe.chain.client.execution_client().simulate_transaction(request).await.unwrap().into_inner();
    let value = response.command_outputs[0].return_values[0].value();
    assert_eq!((value.name(), value.deserialize::<u64>().unwrap()), ("u64", 42));
    assert_eq!(probe.chain.reference(*gas.object_id()).await, gas, "nothing was executed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_changes_of_a_shared_object_are_all_made() {
    const EACH: u64 = 8;
    let mut probe = Probe::start().await;
    let counter = probe.counter().await;
    let Owner::Shared(first) = *probe.chain.object(counter).await.unwrap().owner() else {
        panic!("not shared")
    };
    let mut wallets = Vec::new();
    for seed in 10..16 {
        let wallet = probe.chain.wallet(seed).await;
        let (gas, _) = probe.chain.coins(wallet.address).await.remove(0);
        wallets.push((wallet, gas));
    }
    let (url, increment) = (probe.chain.devnet.url(), format!("{}::probe::increment", probe.package));
    let tasks = wallets.into_iter().map(|(wallet, mut gas)| {
        let (url, increment) = (url.clone(), increment.clone());
        tokio::spawn(async move {
            let mut client = sui_rpc::Client::new(url).unwrap();
            for _ in 0..EACH {
                let mut builder = TransactionBuilder::new();
                builder.set_sender(wallet.address);
                builder.set_gas_budget(common::SUI);
                builder.set_gas_price(1_000);
                builder.add_gas_objects([ObjectInput::owned(*gas.object_id(), gas.version(), *gas.digest())]);
                let arguments = vec![
                    builder.object(ObjectInput::shared(counter, first, true)),
                    builder.object(ObjectInput::shared(Address::from_static("0x6"), 1, false)),
                ];
                builder.move_call(function(&increment), arguments);
                let transaction = builder.try_build().unwrap();
                let signature = wallet.key.sign_transaction(&transaction).unwrap();
                let request = proto::ExecuteTransactionRequest::default()
                    .with_transaction(transaction)
                    .with_signatures(vec![signature.into()])
                    .with_read_mask(FieldMask::from_str("effects.status,effects.gas_object"));
                let response = client.execution_client().execute_transaction(request).await.unwrap();
                let effects = response.get_ref().transaction().effects();
                assert!(effects.status().success());
                let change = effects.gas_object();
                gas = sui_sdk_types::ObjectReference::new(
                    change.object_id().parse().unwrap(),
                    change.output_version(),
                    change.output_digest().parse().unwrap(),
                );
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let object = probe.chain.object(counter).await.unwrap();
    let count: [u8; 8] = object.as_struct().unwrap().contents()[32..40].try_into().unwrap();
    assert_eq!(u64::from_le_bytes(count), 6 * EACH);
}

#[tokio::test]
async fn what_the_interpreter_lacks_is_named_and_not_executed() {
    let mut chain = Chain::start().await;
    let alice = chain.wallet(1).await;
    let (gas, _) = chain.coins(alice.address).await.remove(0);
    let mut builder = TransactionBuilder::new();
    builder.set_sender(alice.address);
    builder.set_gas_budget(common::SUI);
    builder.set_gas_price(1_000);
    builder.add_gas_objects([ObjectInput::owned(*gas.object_id(), gas.version(), *gas.digest())]);
    let values = builder.pure(&vec![[1u8; 32]]);
    builder.move_call(function("0x2::poseidon::poseidon_bn254"), vec![values]);
    let refused = chain.send(&builder.try_build().unwrap(), &[&alice]).await.map(|_| ()).unwrap_err();
    assert!(refused.message().contains("poseidon_bn254"), "{refused}");
    assert!(refused.message().contains("not supported by the development chain"), "{refused}");
    assert_eq!(chain.coins(alice.address).await[0].0, gas, "nothing was charged");
}
