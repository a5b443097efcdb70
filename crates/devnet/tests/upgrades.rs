//! Packages that are upgraded, over gRPC with the unchanged client.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Chain, any, function};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::hash::Hasher;
use sui_sdk_types::{Address, Digest};
use sui_transaction_builder::TransactionBuilder;

const STD: Address = Address::from_static("0x1");
const V1: &[u8] = include_bytes!("probe/versioned_1/build/versioned.mv");
const V2: &[u8] = include_bytes!("probe/versioned_2/build/versioned.mv");
const OTHER_LAYOUT: &[u8] = include_bytes!("probe/versioned_3/build/versioned.mv");
const OTHER_SIGNATURE: &[u8] = include_bytes!("probe/versioned_4/build/versioned.mv");

/// What an upgrade commits to, computed as Sui's documentation says.
fn digest(modules: &[&[u8]], dependencies: &[Address]) -> Digest {
    let mut parts: Vec<[u8; 32]> = modules.iter().map(|module| Hasher::digest(module).into_inner()).collect();
    parts.extend(dependencies.iter().map(|id| id.into_inner()));
    parts.sort_unstable();
    Hasher::digest(parts.concat())
}

fn upgrade(package: Address, cap: Address, module: &[u8], authorised: &[u8]) -> TransactionBuilder {
    upgrade_by(package, cap, module, authorised, 0)
}

fn upgrade_by(
    package: Address,
    cap: Address,
    module: &[u8],
    authorised: &[u8],
    policy: u8,
) -> TransactionBuilder {
    let dependencies = vec![STD, Address::TWO];
    let mut builder = TransactionBuilder::new();
    let cap = builder.object(any(cap));
    let policy = builder.pure(&policy);
    let digest = builder.pure(&digest(&[authorised], &dependencies).as_bytes().to_vec());
    let ticket = builder.move_call(function("0x2::package::authorize_upgrade"), vec![cap, policy, digest]);
    let receipt = builder.upgrade(vec![module.to_vec()], dependencies, package, ticket);
    builder.move_call(function("0x2::package::commit_upgrade"), vec![cap, receipt]);
    builder
}

#[tokio::test]
async fn an_upgrade_keeps_types_and_changes_code() {
    let mut chain = Chain::start().await;
    let alice = chain.wallet(1).await;
    let (first, published) = chain.publish(&alice, (vec![V1.to_vec()], vec![STD, Address::TWO])).await;
    let cap = *published.created("0x2::package::UpgradeCap")[0].object_id();
    let mut builder = TransactionBuilder::new();
    let old = builder.move_call(function(&format!("{first}::versioned::make")), vec![]);
    let to = builder.pure(&alice.address);
    builder.transfer_objects(vec![old], to);
    let made = chain.execute(&alice, builder).await.unwrap().assert_success();
    let old = *made.created(&format!("{first}::versioned::Old"))[0].object_id();

    let upgraded = chain.execute(&alice, upgrade(first, cap, V2, V2)).await.unwrap().assert_success();
    let second = upgraded.package();
    assert_ne!(first, second);

    // The new code takes what the old code made; the old type keeps its name, the new has its own.
    let mut builder = TransactionBuilder::new();
    let object = builder.object(any(old));
    let new = builder.move_call(function(&format!("{second}::versioned::renew")), vec![object]);
    let to = builder.pure(&alice.address);
    builder.transfer_objects(vec![new], to);
    let renewed = chain.execute(&alice, builder).await.unwrap().assert_success();
    assert_eq!(renewed.created(&format!("{second}::versioned::New")).len(), 1);

    for (package, version) in [(first, 1u64), (second, 2)] {
        let mut builder = TransactionBuilder::new();
        builder.move_call(function(&format!("{package}::versioned::version")), vec![]);
        builder.set_sender(alice.address);
        let transaction = builder.build(&mut chain.client).await.unwrap();
        let request = proto::SimulateTransactionRequest::default().with_transaction(transaction);
        let simulated = chain.client.execution_client().simulate_transaction(request).await.unwrap();
        let value = simulated.get_ref().command_outputs[0].return_values[0].value();
        assert_eq!(value.deserialize::<u64>().unwrap(), version);
    }

    let request = proto::GetPackageRequest::new(&second);
    let package = chain.client.package_client().get_package(request).await.unwrap().into_inner();
    assert_eq!(package.package().original_id(), first.to_string());
    assert_eq!(package.package().version(), 2);
    let origin = |name: &str| {
        let origins = &package.package().type_origins;
        origins.iter().find(|o| o.datatype_name() == name).unwrap().package_id().to_owned()
    };
    assert_eq!((origin("Old"), origin("New")), (first.to_string(), second.to_string()));
    let request = proto::ListPackageVersionsRequest::default().with_package_id(second);
    let versions = chain.client.package_client().list_package_versions(request).await.unwrap().into_inner();
    let versions: Vec<_> = versions.versions.iter().map(|v| v.package_id().to_owned()).collect();
    assert_eq!(versions, [first.to_string(), second.to_string()]);
}

#[tokio::test]
async fn an_upgrade_that_was_not_authorised_is_refused() {
    let mut chain = Chain::start().await;
    let alice = chain.wallet(1).await;
    let (first, published) = chain.publish(&alice, (vec![V1.to_vec()], vec![STD, Address::TWO])).await;
    let cap = *published.created("0x2::package::UpgradeCap")[0].object_id();
    let mut builder = upgrade(first, cap, V2, V1);
    builder.set_sender(alice.address);
    let refused = builder.build(&mut chain.client).await.unwrap_err().to_string();
    assert!(refused.contains("PACKAGE_UPGRADE_ERROR"), "{refused}");
    // An upgrade that drops a type is no upgrade.
    let upgraded = chain.execute(&alice, upgrade(first, cap, V2, V2)).await.unwrap().assert_success();
    let mut builder = upgrade(upgraded.package(), cap, V1, V1);
    builder.set_gas_budget(common::SUI);
    builder.set_gas_price(1_000);
    builder.set_sender(alice.address);
    let refused = builder.build(&mut chain.client).await.unwrap_err().to_string();
    assert!(refused.contains("PACKAGE_UPGRADE_ERROR"), "{refused}");
}

#[tokio::test]
async fn an_upgrade_that_breaks_what_is_there_is_refused() {
    let mut chain = Chain::start().await;
    let alice = chain.wallet(1).await;
    let (first, published) = chain.publish(&alice, (vec![V1.to_vec()], vec![STD, Address::TWO])).await;
    let cap = *published.created("0x2::package::UpgradeCap")[0].object_id();
    for (module, policy) in [(OTHER_LAYOUT, 0), (OTHER_SIGNATURE, 0), (V2, 192)] {
        let mut builder = upgrade_by(first, cap, module, module, policy);
        builder.set_sender(alice.address);
        let refused = builder.build(&mut chain.client).await.unwrap_err().to_string();
        assert!(refused.contains("PACKAGE_UPGRADE_ERROR"), "{refused}");
    }
    // Adding is allowed by the policy that allows nothing else.
    chain.execute(&alice, upgrade_by(first, cap, V2, V2, 128)).await.unwrap().assert_success();
}

#[tokio::test]
async fn declarations_are_described() {
    let mut chain = Chain::start().await;
    let alice = chain.wallet(1).await;
    let (first, published) = chain.publish(&alice, (vec![V1.to_vec()], vec![STD, Address::TWO])).await;
    let cap = *published.created("0x2::package::UpgradeCap")[0].object_id();
    let upgraded = chain.execute(&alice, upgrade(first, cap, V2, V2)).await.unwrap().assert_success();
    let second = upgraded.package();
    let mut client = chain.client.package_client();

    let mut request = proto::GetDatatypeRequest::default();
    request.package_id = Some(second.to_string());
    request.module_name = Some("versioned".to_owned());
    request.name = Some("New".to_owned());
    let new = client.get_datatype(request.clone()).await.unwrap().into_inner().datatype.unwrap();
    assert_eq!(new.type_name(), format!("{second}::versioned::New"));
    assert_eq!(new.abilities, [proto::Ability::Store as i32, proto::Ability::Key as i32]);
    let fields: Vec<_> = new.fields.iter().map(proto::FieldDescriptor::name).collect();
    assert_eq!(fields, ["id", "old"]);
    assert_eq!(new.fields[1].r#type().type_name(), format!("{first}::versioned::Old"), "where it was first");
    request.name = Some("Nothing".to_owned());
    assert_eq!(client.get_datatype(request).await.unwrap_err().code(), tonic::Code::NotFound);

    let mut request = proto::GetFunctionRequest::default();
    request.package_id = Some(second.to_string());
    request.module_name = Some("versioned".to_owned());
    request.name = Some("renew".to_owned());
    let renew = client.get_function(request.clone()).await.unwrap().into_inner().function.unwrap();
    assert_eq!(renew.visibility(), proto::function_descriptor::Visibility::Public);
    let references: Vec<_> = renew.parameters.iter().map(|parameter| parameter.reference).collect();
    assert_eq!(references, [None, Some(proto::open_signature::Reference::Mutable as i32)]);
    assert_eq!(renew.returns[0].body().type_name(), format!("{second}::versioned::New"));
    request.package_id = Some("0x2".to_owned());
    request.module_name = Some("coin".to_owned());
    request.name = Some("split".to_owned());
    let split = client.get_function(request.clone()).await.unwrap().into_inner().function.unwrap();
    let coin = split.parameters[0].body();
    assert_eq!(coin.type_parameter_instantiation[0].type_parameter(), 0);
    assert_eq!((split.type_parameters.len(), split.parameters[1].body().r#type() as i32), (1, 6));
    request.module_name = Some("nothing".to_owned());
    assert_eq!(client.get_function(request).await.unwrap_err().code(), tonic::Code::NotFound);
}
