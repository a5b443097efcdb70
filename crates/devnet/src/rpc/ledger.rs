//! `LedgerService`: objects, transactions, checkpoints.

use std::sync::Arc;

use sui_rpc::field::FieldMaskTree;
use sui_rpc::merge::Merge;
use sui_rpc::proto::google::rpc as google;
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::get_checkpoint_request::CheckpointId;
use sui_rpc::proto::sui::rpc::v2::ledger_service_server::LedgerService;
use sui_rpc::proto::sui::rpc::v2::{get_object_result, get_transaction_result};
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use super::page::Room;
use super::{Api, CHAIN_NAME, SERVER, SIMULATED_NITRO, fields, parse, render, scan, timestamp};
use crate::ledger::{Ledger, ObjectSource, PROTOCOL_VERSION, StoredObject, gas};

const MAX_BATCH: usize = 1_000;
const OBJECT_DEFAULT: &str = "object_id,version,digest";
const TRANSACTION_DEFAULT: &str = "digest";
const CHECKPOINT_DEFAULT: &str = "sequence_number,digest";

#[tonic::async_trait]
impl LedgerService for Api {
    async fn get_service_info(
        &self,
        _request: Request<proto::GetServiceInfoRequest>,
    ) -> Result<Response<proto::GetServiceInfoResponse>, Status> {
        let mut info = proto::GetServiceInfoResponse::default();
        {
            let ledger = self.node.ledger();
            info.chain_id = Some(ledger.chain_id().to_string());
            info.chain = Some(CHAIN_NAME.to_owned());
            info.epoch = Some(ledger.epoch());
            info.checkpoint_height = Some(ledger.height());
            info.timestamp = Some(timestamp(ledger.timestamp_ms()));
            info.lowest_available_checkpoint = Some(ledger.history().lowest());
            info.lowest_available_checkpoint_objects = Some(ledger.history().lowest());
            let simulated = if self.node.vm().simulates_nitro() { SIMULATED_NITRO } else { "" };
            info.server = Some(format!("{SERVER}{simulated}"));
        }
        Ok(self.respond(info))
    }

    async fn get_object(
        &self,
        request: Request<proto::GetObjectRequest>,
    ) -> Result<Response<proto::GetObjectResponse>, Status> {
        let mut request = request.into_inner();
        let mask = fields::mask::<proto::Object>(request.read_mask.take(), OBJECT_DEFAULT)?;
        let mut response = proto::GetObjectResponse::default();
        response.object = Some(get_object(&self.node.ledger(), &request, &mask)?);
        Ok(self.respond(response))
    }

    async fn batch_get_objects(
        &self,
        request: Request<proto::BatchGetObjectsRequest>,
    ) -> Result<Response<proto::BatchGetObjectsResponse>, Status> {
        let request = request.into_inner();
        let mask = fields::mask::<proto::Object>(request.read_mask, OBJECT_DEFAULT)?;
        check_batch(request.requests.len())?;
        let mut response = proto::BatchGetObjectsResponse::default();
        {
            let ledger = self.node.ledger();
            let mut room = Room::of_batch();
            for request in &request.requests {
                let result = match get_object(&ledger, request, &mask) {
                    Ok(object) => get_object_result::Result::Object(object),
                    Err(status) => get_object_result::Result::Error(error(&status)),
                };
                let mut entry = proto::GetObjectResult::default();
                entry.result = Some(result);
                if !room.admit(&entry) {
                    return Err(too_much());
                }
                response.objects.push(entry);
            }
        }
        Ok(self.respond(response))
    }

    async fn get_transaction(
        &self,
        request: Request<proto::GetTransactionRequest>,
    ) -> Result<Response<proto::GetTransactionResponse>, Status> {
        let request = request.into_inner();
        let mask = fields::mask::<proto::ExecutedTransaction>(request.read_mask, TRANSACTION_DEFAULT)?;
        let transaction = get_transaction(&self.node.ledger(), request.digest.as_deref(), &mask)?;
        let mut response = proto::GetTransactionResponse::default();
        response.transaction = Some(transaction);
        Ok(self.respond(response))
    }

    async fn batch_get_transactions(
        &self,
        request: Request<proto::BatchGetTransactionsRequest>,
    ) -> Result<Response<proto::BatchGetTransactionsResponse>, Status> {
        let request = request.into_inner();
        let mask = fields::mask::<proto::ExecutedTransaction>(request.read_mask, TRANSACTION_DEFAULT)?;
        check_batch(request.digests.len())?;
        let mut response = proto::BatchGetTransactionsResponse::default();
        {
            let ledger = self.node.ledger();
            let mut room = Room::of_batch();
            for digest in &request.digests {
                let result = match get_transaction(&ledger, Some(digest), &mask) {
                    Ok(transaction) => get_transaction_result::Result::Transaction(transaction),
                    Err(status) => get_transaction_result::Result::Error(error(&status)),
                };
                let mut entry = proto::GetTransactionResult::default();
                entry.result = Some(result);
                if !room.admit(&entry) {
                    return Err(too_much());
                }
                response.transactions.push(entry);
            }
        }
        Ok(self.respond(response))
    }

    async fn get_checkpoint(
        &self,
        request: Request<proto::GetCheckpointRequest>,
    ) -> Result<Response<proto::GetCheckpointResponse>, Status> {
        let request = request.into_inner();
        let mask = fields::mask::<proto::Checkpoint>(request.read_mask, CHECKPOINT_DEFAULT)?;
        let mut response = proto::GetCheckpointResponse::default();
        {
            let ledger = self.node.ledger();
            let history = ledger.history();
            let found = match &request.checkpoint_id {
                None => history.tip(),
                Some(CheckpointId::SequenceNumber(number)) if *number < history.lowest() => {
                    return Err(super::pruned(*number, history.lowest()));
                }
                Some(CheckpointId::SequenceNumber(number)) => history.checkpoint(*number),
                Some(CheckpointId::Digest(text)) => {
                    history.checkpoint_by_digest(&parse::digest("digest", Some(text))?)
                }
                Some(_) => return Err(Status::invalid_argument("unknown kind of checkpoint_id")),
            };
            let checkpoint = found.ok_or_else(|| Status::not_found("no such checkpoint"))?;
            response.checkpoint = Some(render::checkpoint(&ledger, checkpoint, &mask));
        }
        Ok(self.respond(response))
    }

    async fn get_epoch(
        &self,
        request: Request<proto::GetEpochRequest>,
    ) -> Result<Response<proto::GetEpochResponse>, Status> {
        let request = request.into_inner();
        let mask = fields::mask::<proto::Epoch>(request.read_mask, "epoch")?;
        let epoch = describe_epoch(&self.node.ledger(), request.epoch)?;
        let mut response = proto::GetEpochResponse::default();
        response.epoch = Some(proto::Epoch::merge_from(&epoch, &mask));
        Ok(self.respond(response))
    }

    async fn list_checkpoints(
        &self,
        request: Request<proto::ListCheckpointsRequest>,
    ) -> Result<Response<BoxStream<proto::ListCheckpointsResponse>>, Status> {
        let request = request.into_inner();
        let mask = fields::mask::<proto::Checkpoint>(request.read_mask, CHECKPOINT_DEFAULT)?;
        let scan = scan::Scan::new(
            scan::Checkpoints,
            request.filter.as_ref(),
            request.options,
            request.start_checkpoint,
            request.end_checkpoint,
        )?;
        Ok(self.respond(scan::list(self.node.clone(), scan, mask)?))
    }

    async fn list_transactions(
        &self,
        request: Request<proto::ListTransactionsRequest>,
    ) -> Result<Response<BoxStream<proto::ListTransactionsResponse>>, Status> {
        let request = request.into_inner();
        let mask = fields::mask::<proto::ExecutedTransaction>(request.read_mask, TRANSACTION_DEFAULT)?;
        let scan = scan::Scan::new(
            scan::Transactions,
            request.filter.as_ref(),
            request.options,
            request.start_checkpoint,
            request.end_checkpoint,
        )?;
        Ok(self.respond(scan::list(self.node.clone(), scan, mask)?))
    }

    async fn list_events(
        &self,
        request: Request<proto::ListEventsRequest>,
    ) -> Result<Response<BoxStream<proto::ListEventsResponse>>, Status> {
        let request = request.into_inner();
        let mask = fields::mask::<proto::Event>(request.read_mask, scan::EVENT_DEFAULT)?;
        let scan = scan::Scan::new(
            scan::Events,
            request.filter.as_ref(),
            request.options,
            request.start_checkpoint,
            request.end_checkpoint,
        )?;
        Ok(self.respond(scan::list(self.node.clone(), scan, mask)?))
    }
}

/// An epoch, or the current one.
fn describe_epoch(ledger: &Ledger, wanted: Option<u64>) -> Result<proto::Epoch, Status> {
    let current = ledger.epoch();
    let wanted = wanted.unwrap_or(current);
    if wanted > current {
        return Err(Status::not_found(format!("epoch {wanted} has not begun; the current one is {current}")));
    }
    let mut epoch = proto::Epoch::default();
    epoch.epoch = Some(wanted);
    epoch.reference_gas_price = Some(gas::REFERENCE_GAS_PRICE);
    match ledger.history().epochs().iter().find(|epoch| epoch.number == wanted) {
        Some(known) => {
            epoch.first_checkpoint = Some(known.first_checkpoint);
            epoch.start = Some(timestamp(known.start_ms));
            if let Some((last, ended_ms)) = known.end {
                (epoch.last_checkpoint, epoch.end) = (Some(last), Some(timestamp(ended_ms)));
            }
        }
        // It began with the end of the one before and has no checkpoint yet.
        None => {
            epoch.first_checkpoint = Some(ledger.height() + 1);
            epoch.start = Some(timestamp(ledger.epoch_start_ms()));
        }
    }
    let mut config = proto::ProtocolConfig::default();
    config.protocol_version = Some(PROTOCOL_VERSION);
    epoch.protocol_config = Some(config);
    Ok(epoch)
}

fn get_object(
    ledger: &Ledger,
    request: &proto::GetObjectRequest,
    mask: &FieldMaskTree,
) -> Result<proto::Object, Status> {
    let id = parse::address("object_id", request.object_id.as_deref())?;
    let found: Option<Arc<StoredObject>> = match request.version {
        Some(version) => ledger.objects().version(&id, version).cloned(),
        None => ledger.objects().live(&id),
    };
    let stored = found.ok_or_else(|| match (request.version, ledger.objects().removed(&id)) {
        (Some(version), _) => Status::not_found(format!("there is no object {id} at version {version}")),
        (None, Some(version)) => {
            Status::not_found(format!("object {id} was deleted or wrapped at version {version}"))
        }
        (None, None) => Status::not_found(format!("there is no object {id}")),
    })?;
    Ok(render::object(&stored, mask))
}

fn get_transaction(
    ledger: &Ledger,
    digest: Option<&str>,
    mask: &FieldMaskTree,
) -> Result<proto::ExecutedTransaction, Status> {
    let digest = parse::digest("digest", digest)?;
    let executed = ledger
        .history()
        .transaction(&digest)
        .ok_or_else(|| Status::not_found(format!("there is no transaction {digest}")))?;
    Ok(render::transaction(ledger, executed, mask))
}

fn check_batch(requests: usize) -> Result<(), Status> {
    if requests > MAX_BATCH {
        return Err(Status::invalid_argument(format!(
            "{requests} requests in one batch, at most {MAX_BATCH} are answered"
        )));
    }
    Ok(())
}

fn too_much() -> Status {
    Status::resource_exhausted("the answer would be too large; ask for fewer or with a smaller read_mask")
}

fn error(status: &Status) -> google::Status {
    google::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        ..google::Status::default()
    }
}
