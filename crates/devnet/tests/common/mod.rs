//! What the tests share: a chain, wallets, and transactions over the unchanged Sui client.
#![allow(dead_code, clippy::unwrap_used, missing_docs, unreachable_pub)]

use std::path::PathBuf;
use std::time::Duration;

use devnet::{Config, Devnet};
use sui_crypto::SuiSigner;
use sui_crypto::ed25519::Ed25519PrivateKey;
use sui_rpc::Client;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{
    Address, IdOperation, ObjectOut, ObjectReference, StructTag, Transaction, TransactionEffects,
    TransactionEffectsV2, TypeTag,
};
use sui_transaction_builder::{Function, ObjectInput, TransactionBuilder};

pub const SUI: u64 = 1_000_000_000;

pub fn framework() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/framework.bcs");
    std::env::var_os("K3S_DAAS_FRAMEWORK").map_or_else(|| default.into(), PathBuf::from)
}

pub fn config() -> Config {
    let mut config = Config::in_memory(framework());
    config.idle_checkpoint = Duration::from_secs(2);
    config
}

pub struct Chain {
    pub devnet: Devnet,
    pub client: Client,
}

impl Chain {
    pub async fn start() -> Self {
        Self::with(config()).await
    }

    pub async fn with(config: Config) -> Self {
        let devnet = Devnet::start(config).await.unwrap();
        let client = Client::new(devnet.url()).unwrap();
        Self { devnet, client }
    }

    /// A new wallet with one coin of 100 SUI.
    pub async fn wallet(&self, seed: u8) -> Wallet {
        let wallet = Wallet::new(seed);
        self.devnet.faucet(wallet.address, 100 * SUI).await.unwrap();
        wallet
    }

    /// Builds with gas selection, signs, executes and waits for the checkpoint.
    pub async fn execute(
        &mut self,
        wallet: &Wallet,
        mut builder: TransactionBuilder,
    ) -> Result<Executed, tonic::Status> {
        builder.set_sender(wallet.address);
        let transaction = builder
            .build(&mut self.client)
            .await
            .map_err(|error| tonic::Status::failed_precondition(error.to_string()))?;
        self.send(&transaction, &[wallet]).await
    }

    /// Signs and executes a transaction that is complete.
    pub async fn send(
        &mut self,
        transaction: &Transaction,
        signers: &[&Wallet],
    ) -> Result<Executed, tonic::Status> {
        let signatures =
            signers.iter().map(|wallet| wallet.key.sign_transaction(transaction).unwrap().into()).collect();
        let request = proto::ExecuteTransactionRequest::default()
            .with_transaction(transaction.clone())
            .with_signatures(signatures)
            .with_read_mask(FieldMask::from_str("*"));
        let response =
            self.client.execute_transaction_and_wait_for_checkpoint(request, Duration::from_secs(10)).await;
        match response {
            Ok(response) => Ok(Executed(response.into_inner().transaction.unwrap())),
            Err(sui_rpc::client::ExecuteAndWaitError::RpcError(status)) => Err(status),
            Err(other) => panic!("{other}"),
        }
    }

    pub async fn object(&mut self, id: Address) -> Result<sui_sdk_types::Object, tonic::Status> {
        let request = proto::GetObjectRequest::new(&id).with_read_mask(FieldMask::from_str("bcs"));
        let response = self.client.ledger_client().get_object(request).await?.into_inner();
        Ok(response.object.unwrap().bcs().deserialize().unwrap())
    }

    pub async fn reference(&mut self, id: Address) -> ObjectReference {
        let object = self.object(id).await.unwrap();
        ObjectReference::new(id, object.version(), object.digest())
    }

    pub async fn coins(&self, owner: Address) -> Vec<(ObjectReference, u64)> {
        self.client
            .select_up_to_n_largest_coins(&owner, &sui(), 1_000, &[])
            .await
            .unwrap()
            .iter()
            .map(|coin| ((&coin.object_reference()).try_into().unwrap(), coin.balance()))
            .collect()
    }

    pub async fn balance(&mut self, owner: Address) -> u64 {
        let request = proto::GetBalanceRequest::default().with_owner(owner).with_coin_type(StructTag::sui());
        let response = self.client.state_client().get_balance(request).await.unwrap();
        response.into_inner().balance().balance()
    }
}

pub struct Wallet {
    pub key: Ed25519PrivateKey,
    pub address: Address,
}

impl Wallet {
    pub fn new(seed: u8) -> Self {
        let key = Ed25519PrivateKey::new([seed; 32]);
        let address = key.public_key().derive_address();
        Self { key, address }
    }
}

pub struct Executed(pub proto::ExecutedTransaction);

impl Executed {
    pub fn effects(&self) -> TransactionEffectsV2 {
        match self.0.effects().bcs().deserialize().unwrap() {
            TransactionEffects::V2(effects) => *effects,
            TransactionEffects::V1(_) => panic!("effects of version 1"),
        }
    }

    pub fn success(&self) -> bool {
        self.0.effects().status().success()
    }

    pub fn assert_success(self) -> Self {
        assert!(self.success(), "{:?}", self.effects().status);
        self
    }

    /// References of the objects created with a type that starts with `prefix`.
    pub fn created(&self, prefix: &str) -> Vec<ObjectReference> {
        let effects = self.effects();
        let messages = &self.0.effects().changed_objects;
        effects
            .changed_objects
            .iter()
            .zip(messages)
            .filter(|(changed, message)| {
                changed.id_operation == IdOperation::Created
                    && short(message.object_type()).starts_with(prefix)
            })
            .filter_map(|(changed, _)| match changed.output_state {
                ObjectOut::ObjectWrite { digest, .. } => {
                    Some(ObjectReference::new(changed.object_id, effects.lamport_version, digest))
                }
                _ => None,
            })
            .collect()
    }

    /// The package that was published.
    pub fn package(&self) -> Address {
        let effects = self.effects();
        let published = effects
            .changed_objects
            .iter()
            .find(|changed| matches!(changed.output_state, ObjectOut::PackageWrite { .. }));
        published.unwrap().object_id
    }
}

/// A type's text with short addresses.
pub fn short(text: &str) -> String {
    text.replace(&format!("0x{}", "0".repeat(63)), "0x")
}

pub fn sui() -> TypeTag {
    TypeTag::Struct(Box::new(StructTag::sui()))
}

pub fn function(path: &str) -> Function {
    let parts: Vec<_> = path.split("::").collect();
    Function::new(parts[0].parse().unwrap(), parts[1].parse().unwrap(), parts[2].parse().unwrap())
}

/// A transaction that pays `amount` out of the gas coin, given in full.
pub fn payment(wallet: &Wallet, gas: &ObjectReference, to: Address, amount: u64) -> TransactionBuilder {
    let mut builder = TransactionBuilder::new();
    builder.set_sender(wallet.address);
    builder.set_gas_budget(SUI / 10);
    builder.set_gas_price(1_000);
    builder.add_gas_objects([ObjectInput::owned(*gas.object_id(), gas.version(), *gas.digest())]);
    let gas = builder.gas();
    let amount = builder.pure(&amount);
    let coins = builder.split_coins(gas, vec![amount]);
    let to = builder.pure(&to);
    builder.transfer_objects(coins, to);
    builder
}

/// Compiled modules of the repository's contracts, or of the test package `name`, with the
/// identifiers of what they depend on.
pub fn contracts() -> (Vec<Vec<u8>>, Vec<Address>) {
    let build = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/build"));
    let mut files: Vec<_> = std::fs::read_dir(build)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "mv"))
        .collect();
    files.sort();
    let modules = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    (modules, vec![Address::from_static("0x1"), Address::TWO])
}

/// The compiled test package.
pub fn probe() -> (Vec<Vec<u8>>, Vec<Address>) {
    let module = include_bytes!("../probe/build/probe.mv").to_vec();
    (vec![module], vec![Address::from_static("0x1"), Address::TWO])
}

impl Chain {
    /// Publishes a package and returns its identifier with what else the transaction made.
    pub async fn publish(
        &mut self,
        wallet: &Wallet,
        package: (Vec<Vec<u8>>, Vec<Address>),
    ) -> (Address, Executed) {
        let mut builder = TransactionBuilder::new();
        let cap = builder.publish(package.0, package.1);
        let to = builder.pure(&wallet.address);
        builder.transfer_objects(vec![cap], to);
        let executed = self.execute(wallet, builder).await.unwrap().assert_success();
        (executed.package(), executed)
    }

    /// Calls `module::function` of `package` with arguments that `fill` makes.
    pub async fn call(
        &mut self,
        wallet: &Wallet,
        package: Address,
        path: &str,
        fill: impl FnOnce(&mut TransactionBuilder) -> Vec<sui_transaction_builder::Argument>,
    ) -> Result<Executed, tonic::Status> {
        let mut builder = TransactionBuilder::new();
        let arguments = fill(&mut builder);
        builder.move_call(function(&format!("{package}::{path}")), arguments);
        self.execute(wallet, builder).await
    }
}

/// An object of which the server finds out the rest.
pub fn any(id: impl std::borrow::Borrow<Address>) -> ObjectInput {
    ObjectInput::new(*id.borrow())
}
