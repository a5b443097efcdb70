use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use sui_rpc::field::{FieldMask, FieldMaskUtil as _};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::filter::transaction;
use sui_sdk_types::Address;

use crate::checkpoint::{self, Checkpoint};
use crate::{Client, Error};

const CALL: &str = "ListCheckpoints";
/// The longest wait for the next piece of a listing.
const FRAME_TIMEOUT: Duration = Duration::from_secs(20);

/// A piece of the checkpoints of a stretch that have events of ours.
#[derive(Debug)]
pub(crate) struct Piece {
    /// The next checkpoint with events of ours, when this piece brings one.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// Everything of ours before this checkpoint has been brought.
    pub(crate) covered: u64,
}

impl Client {
    /// The checkpoints of `next..end` that have events of `package`, in order, as far as the endpoint has an
    /// index of them; the last piece says how far that is. To be asked of a pinned client.
    pub(crate) fn selected(
        &self,
        package: Address,
        next: u64,
        end: u64,
    ) -> BoxStream<'static, Result<Piece, Error>> {
        if next >= end {
            return stream::empty().boxed();
        }
        let filter = proto::TransactionFilter::matching(transaction::event_type(package.to_string()));
        let request = proto::ListCheckpointsRequest::default()
            .with_read_mask(FieldMask::from_paths(checkpoint::MASK))
            .with_start_checkpoint(next)
            .with_end_checkpoint(end)
            .with_filter(filter);
        let frames = self.rpc().list_checkpoints(request).boxed();
        let listing = Listing { client: self.clone(), package, frames, first: next, covered: next, end };
        stream::try_unfold(listing, |mut listing| async move {
            Ok(listing.next().await?.map(|piece| (piece, listing)))
        })
        .boxed()
    }
}

struct Listing {
    client: Client,
    package: Address,
    frames: BoxStream<'static, Result<proto::ListCheckpointsResponse, tonic::Status>>,
    first: u64,
    covered: u64,
    end: u64,
}

impl Listing {
    async fn next(&mut self) -> Result<Option<Piece>, Error> {
        let frame = tokio::time::timeout(FRAME_TIMEOUT, self.frames.next()).await.map_err(|_| {
            let status = tonic::Status::deadline_exceeded("the listing stands still");
            self.client.error(CALL, None, status)
        })?;
        let frame = match frame {
            None => return Ok(None),
            // It has no index: everything is left to be fetched.
            Some(Err(status))
                if status.code() == tonic::Code::Unimplemented && self.covered == self.first =>
            {
                return Ok(None);
            }
            Some(Err(status)) => return Err(self.client.error(CALL, None, status)),
            Some(Ok(frame)) => frame,
        };
        let checkpoint =
            frame.checkpoint.map(|answer| checkpoint::decode(self.package, answer)).transpose()?;
        if let Some(checkpoint) = &checkpoint {
            if !(self.covered..self.end).contains(&checkpoint.sequence) {
                return Err(Error::malformed(CALL, "checkpoints are out of order"));
            }
            self.covered = checkpoint.sequence.saturating_add(1);
        }
        if let Some(boundary) = frame.watermark.and_then(|watermark| watermark.checkpoint) {
            self.covered = self.covered.max(boundary.saturating_add(1)).min(self.end);
        }
        Ok(Some(Piece { checkpoint, covered: self.covered }))
    }
}
