//! `TransactionExecutionService`: executes and simulates transactions.

use sui_rpc::field::FieldMaskTree;
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::simulate_transaction_request::TransactionChecks;
use sui_rpc::proto::sui::rpc::v2::transaction_execution_service_server::TransactionExecutionService;
use sui_sdk_types::{SignedTransaction, Transaction, UserSignature};
use tonic::{Request, Response, Status};

use super::resolve::{self, Simulation};
use super::{Api, fields, parse, refused, render};
use crate::ledger::{ExecutedTransaction, Execution, VerifiedTransaction, gas};
use crate::ptb::CommandOutputs;

const MAX_SIGNATURES: usize = 2;

#[tonic::async_trait]
impl TransactionExecutionService for Api {
    async fn execute_transaction(
        &self,
        request: Request<proto::ExecuteTransactionRequest>,
    ) -> Result<Response<proto::ExecuteTransactionResponse>, Status> {
        let request = request.into_inner();
        let default = "effects.status,checkpoint";
        let mask = fields::mask::<proto::ExecutedTransaction>(request.read_mask, default)?;
        let transaction =
            request.transaction.ok_or_else(|| Status::invalid_argument("transaction is missing"))?;
        let transaction = complete(&transaction)?;
        if request.signatures.len() > MAX_SIGNATURES {
            return Err(Status::invalid_argument("too many signatures"));
        }
        let signatures = request
            .signatures
            .iter()
            .map(UserSignature::try_from)
            .collect::<Result<_, _>>()
            .map_err(|error| Status::invalid_argument(format!("signatures: {error}")))?;
        let signed = SignedTransaction { transaction, signatures };
        let verified = VerifiedTransaction::verify(signed).map_err(|r| super::rejected(&r))?;
        let executed = self.node.submit(verified).await.map_err(|error| refused(&error))?;
        let mut response = proto::ExecuteTransactionResponse::default();
        response.transaction = Some(render::transaction(&self.node.ledger(), &executed, &mask));
        Ok(self.respond(response))
    }

    async fn simulate_transaction(
        &self,
        request: Request<proto::SimulateTransactionRequest>,
    ) -> Result<Response<proto::SimulateTransactionResponse>, Status> {
        let request = request.into_inner();
        let mask = fields::mask::<proto::SimulateTransactionResponse>(request.read_mask, "*")?;
        let transaction =
            request.transaction.ok_or_else(|| Status::invalid_argument("transaction is missing"))?;
        let checks = match request.checks.map(TransactionChecks::try_from) {
            None | Some(Ok(TransactionChecks::Enabled)) => true,
            Some(Ok(TransactionChecks::Disabled)) => false,
            _ => return Err(Status::invalid_argument("checks is not known")),
        };
        let select_gas = checks && request.do_gas_selection.unwrap_or(false);
        let node = self.node.clone();
        let simulation =
            tokio::task::spawn_blocking(move || resolve::simulate(&node, &transaction, select_gas))
                .await
                .map_err(|_| Status::internal("the simulation broke off"))??;
        Ok(self.respond(self.render_simulation(simulation, &mask)))
    }
}

impl Api {
    fn render_simulation(
        &self,
        simulation: Simulation,
        mask: &FieldMaskTree,
    ) -> proto::SimulateTransactionResponse {
        let mut response = proto::SimulateTransactionResponse::default();
        let Simulation { transaction, execution } = simulation;
        if let Some(mask) = mask.subtree("command_outputs") {
            response.command_outputs =
                execution.outputs.iter().map(|outputs| command_result(outputs, &mask)).collect();
        }
        if mask.contains("suggested_gas_price") {
            response.suggested_gas_price = Some(gas::REFERENCE_GAS_PRICE);
        }
        if let Some(mask) = mask.subtree("transaction") {
            let executed = as_executed(transaction, execution);
            let mut message = render::transaction(&self.node.ledger(), &executed, &mask);
            message.checkpoint = None;
            message.timestamp = None;
            message.transaction_index = None;
            response.transaction = Some(message);
        }
        response
    }
}

/// Reads a transaction that lacks nothing.
fn complete(transaction: &proto::Transaction) -> Result<Transaction, Status> {
    check_types(transaction)?;
    Transaction::try_from(transaction)
        .map_err(|error| Status::invalid_argument(format!("transaction: {error}")))
}

/// Refuses type arguments that a recursive parser should not see.
pub(super) fn check_types(transaction: &proto::Transaction) -> Result<(), Status> {
    use proto::command::Command;
    for command in &transaction.kind().programmable_transaction().commands {
        match &command.command {
            Some(Command::MoveCall(call)) => {
                for text in &call.type_arguments {
                    parse::check_type("type_arguments", text)?;
                }
            }
            Some(Command::MakeMoveVector(make)) => {
                parse::check_type("element_type", make.element_type.as_deref().unwrap_or(""))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn as_executed(transaction: Transaction, execution: Execution) -> ExecutedTransaction {
    let signed = SignedTransaction { transaction, signatures: Vec::new() };
    ExecutedTransaction {
        digest: signed.transaction.digest(),
        signed,
        effects_digest: execution.effects.digest(),
        effects: execution.effects,
        events: execution.events,
        written: execution.written,
        checkpoint: 0,
        index: 0,
        timestamp_ms: 0,
    }
}

fn command_result(outputs: &CommandOutputs, mask: &FieldMaskTree) -> proto::CommandResult {
    let output = |argument: Option<sui_sdk_types::Argument>, tag: String, value: &[u8]| {
        let mut bcs = proto::Bcs::default();
        bcs.name = Some(tag);
        bcs.value = Some(value.to_vec().into());
        let mut output = proto::CommandOutput::default();
        output.argument = argument.map(Into::into);
        output.value = Some(bcs);
        output
    };
    let mut result = proto::CommandResult::default();
    if mask.contains("return_values") {
        result.return_values =
            outputs.returned.iter().map(|(tag, value)| output(None, tag.to_string(), value)).collect();
    }
    if mask.contains("mutated_by_ref") {
        result.mutated_by_ref = outputs
            .mutated
            .iter()
            .map(|(argument, tag, value)| output(Some(*argument), tag.to_string(), value))
            .collect();
    }
    result
}
