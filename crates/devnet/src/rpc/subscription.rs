//! `SubscriptionService`: checkpoints, transactions and events as they come.

use futures::TryStreamExt;
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::subscription_service_server::SubscriptionService;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use super::filter::Filter;
use super::{Api, fields, scan};

#[tonic::async_trait]
impl SubscriptionService for Api {
    async fn subscribe_checkpoints(
        &self,
        request: Request<proto::SubscribeCheckpointsRequest>,
    ) -> Result<Response<BoxStream<proto::SubscribeCheckpointsResponse>>, Status> {
        let request = request.into_inner();
        let default = "sequence_number,digest";
        let mask = fields::mask::<proto::Checkpoint>(request.read_mask, default)?;
        let filter = request.filter.as_ref().map(Filter::transactions).transpose()?;
        let frames = scan::subscribe::<scan::Checkpoints>(self.node.clone(), filter, mask);
        let frames = frames.map_ok(|frame| {
            let mut response = proto::SubscribeCheckpointsResponse::default();
            response.cursor = frame.watermark.and_then(|watermark| watermark.checkpoint);
            response.checkpoint = frame.checkpoint;
            response
        });
        Ok(self.respond(Box::pin(frames)))
    }

    async fn subscribe_transactions(
        &self,
        request: Request<proto::SubscribeTransactionsRequest>,
    ) -> Result<Response<BoxStream<proto::SubscribeTransactionsResponse>>, Status> {
        let request = request.into_inner();
        let mask = fields::mask::<proto::ExecutedTransaction>(request.read_mask, "digest")?;
        let filter = request.filter.as_ref().map(Filter::transactions).transpose()?;
        let frames = scan::subscribe::<scan::Transactions>(self.node.clone(), filter, mask);
        let frames = frames.map_ok(|frame| {
            let mut response = proto::SubscribeTransactionsResponse::default();
            response.transaction = frame.transaction;
            response.watermark = frame.watermark;
            response
        });
        Ok(self.respond(Box::pin(frames)))
    }

    async fn subscribe_events(
        &self,
        request: Request<proto::SubscribeEventsRequest>,
    ) -> Result<Response<BoxStream<proto::SubscribeEventsResponse>>, Status> {
        let request = request.into_inner();
        let mask = fields::mask::<proto::Event>(request.read_mask, scan::EVENT_DEFAULT)?;
        let filter = request.filter.as_ref().map(Filter::events).transpose()?;
        let frames = scan::subscribe::<scan::Events>(self.node.clone(), filter, mask);
        let frames = frames.map_ok(|frame| {
            let mut response = proto::SubscribeEventsResponse::default();
            response.event = frame.event;
            response.watermark = frame.watermark;
            response
        });
        Ok(self.respond(Box::pin(frames)))
    }
}
