//! `List…` and `Subscribe…`: walks over the ledger in order, with a filter and resumable cursors.
//!
//! A position is checkpoint, transaction in it, event in that; a cursor is its big-endian bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use sui_rpc::field::FieldMaskTree;
use sui_rpc::merge::Merge;
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::{Ordering, QueryEndReason};
use tonic::Status;
use tonic::codegen::BoxStream;

use super::filter::Filter;
use super::render;
use crate::ledger::{Checkpoint, ExecutedTransaction, Ledger};
use crate::node::Node;

/// Fields of an event that are read if no mask is given.
pub(super) const EVENT_DEFAULT: &str = "event_type,contents,checkpoint,transaction_digest,\
                                        transaction_index,event_index";
const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 1_000;
/// Checkpoints searched per request before the client is asked to come again.
const MAX_CHECKPOINTS: u64 = 10_000;
/// A frame without item is sent at least this often, in checkpoints.
const PROGRESS: u64 = 100;

/// Place of an item in the ledger: checkpoint, transaction, event; the latter two count from 1, so
/// that the zero position is before everything.
pub(super) type Position = (u64, u64, u64);

/// What is listed.
pub(super) trait Family: Copy + Send + 'static {
    /// Whether an item is a whole checkpoint.
    const WHOLE: bool;
    type Filter: Send;
    type Response: Send + 'static;

    fn filter(filter: &Self::Filter) -> Result<Filter, Status>;

    /// Positions of the matching items of a checkpoint, ascending.
    fn positions(checkpoint: &Checkpoint, filter: Option<&Filter>) -> Vec<Position>;

    /// A frame with the item at `position`, if any is given.
    fn frame(
        ledger: &Ledger,
        item: Option<(&Checkpoint, Position)>,
        mask: &FieldMaskTree,
        watermark: proto::Watermark,
        end: Option<QueryEndReason>,
    ) -> Self::Response;
}

/// Lists checkpoints.
#[derive(Clone, Copy)]
pub(super) struct Checkpoints;
/// Lists transactions.
#[derive(Clone, Copy)]
pub(super) struct Transactions;
/// Lists events.
#[derive(Clone, Copy)]
pub(super) struct Events;

impl Family for Checkpoints {
    const WHOLE: bool = true;
    type Filter = proto::TransactionFilter;
    type Response = proto::ListCheckpointsResponse;

    fn filter(filter: &Self::Filter) -> Result<Filter, Status> {
        Filter::transactions(filter)
    }

    fn positions(checkpoint: &Checkpoint, filter: Option<&Filter>) -> Vec<Position> {
        let matches = filter.is_none_or(|filter| {
            checkpoint.transactions.iter().any(|executed| filter.matches_transaction(executed))
        });
        let position = end_of_checkpoint(checkpoint.summary.sequence_number);
        if matches { vec![position] } else { Vec::new() }
    }

    fn frame(
        ledger: &Ledger,
        item: Option<(&Checkpoint, Position)>,
        mask: &FieldMaskTree,
        watermark: proto::Watermark,
        end: Option<QueryEndReason>,
    ) -> Self::Response {
        let mut frame = Self::Response::default();
        frame.checkpoint = item.map(|(checkpoint, _)| render::checkpoint(ledger, checkpoint, mask));
        frame.watermark = Some(watermark);
        frame.end = end.map(query_end);
        frame
    }
}

impl Family for Transactions {
    const WHOLE: bool = false;
    type Filter = proto::TransactionFilter;
    type Response = proto::ListTransactionsResponse;

    fn filter(filter: &Self::Filter) -> Result<Filter, Status> {
        Filter::transactions(filter)
    }

    fn positions(checkpoint: &Checkpoint, filter: Option<&Filter>) -> Vec<Position> {
        checkpoint
            .transactions
            .iter()
            .filter(|executed| filter.is_none_or(|f| f.matches_transaction(executed)))
            .map(|executed| (executed.checkpoint, executed.index + 1, 0))
            .collect()
    }

    fn frame(
        ledger: &Ledger,
        item: Option<(&Checkpoint, Position)>,
        mask: &FieldMaskTree,
        watermark: proto::Watermark,
        end: Option<QueryEndReason>,
    ) -> Self::Response {
        let mut frame = Self::Response::default();
        frame.transaction = item
            .and_then(|(checkpoint, position)| transaction_at(checkpoint, position))
            .map(|executed| render::transaction(ledger, executed, mask));
        frame.watermark = Some(watermark);
        frame.end = end.map(query_end);
        frame
    }
}

impl Family for Events {
    const WHOLE: bool = false;
    type Filter = proto::EventFilter;
    type Response = proto::ListEventsResponse;

    fn filter(filter: &Self::Filter) -> Result<Filter, Status> {
        Filter::events(filter)
    }

    fn positions(checkpoint: &Checkpoint, filter: Option<&Filter>) -> Vec<Position> {
        let mut positions = Vec::new();
        for executed in &checkpoint.transactions {
            let events = executed.events.iter().flat_map(|events| &events.0);
            for (event, index) in events.zip(1..) {
                if filter.is_none_or(|filter| filter.matches_event(event)) {
                    positions.push((executed.checkpoint, executed.index + 1, index));
                }
            }
        }
        positions
    }

    fn frame(
        _ledger: &Ledger,
        item: Option<(&Checkpoint, Position)>,
        mask: &FieldMaskTree,
        watermark: proto::Watermark,
        end: Option<QueryEndReason>,
    ) -> Self::Response {
        let mut frame = Self::Response::default();
        frame.event = item.and_then(|(checkpoint, position)| event_at(checkpoint, position, mask));
        frame.watermark = Some(watermark);
        frame.end = end.map(query_end);
        frame
    }
}

fn transaction_at(
    checkpoint: &Checkpoint,
    (_, transaction, _): Position,
) -> Option<&Arc<ExecutedTransaction>> {
    checkpoint.transactions.get(usize::try_from(transaction.checked_sub(1)?).ok()?)
}

fn event_at(checkpoint: &Checkpoint, position: Position, mask: &FieldMaskTree) -> Option<proto::Event> {
    let executed = transaction_at(checkpoint, position)?;
    let index = position.2.checked_sub(1)?;
    let event = executed.events.as_ref()?.0.get(usize::try_from(index).ok()?)?;
    let mut message = proto::Event::merge_from(event.clone(), mask);
    if mask.contains("checkpoint") {
        message.checkpoint = Some(executed.checkpoint);
    }
    if mask.contains("transaction_digest") {
        message.transaction_digest = Some(executed.digest.to_string());
    }
    if mask.contains("transaction_index") {
        message.transaction_index = Some(executed.index);
    }
    if mask.contains("event_index") {
        message.event_index = u32::try_from(index).ok();
    }
    Some(message)
}

fn query_end(reason: QueryEndReason) -> proto::QueryEnd {
    let mut end = proto::QueryEnd::default();
    end.reason = Some(reason.into());
    end
}

/// One bounded walk.
pub(super) struct Scan<F> {
    _family: F,
    filter: Option<Filter>,
    limit: usize,
    ascending: bool,
    after: Option<Position>,
    before: Option<Position>,
    start: u64,
    end: Option<u64>,
}

impl<F: Family> Scan<F> {
    pub(super) fn new(
        family: F,
        filter: Option<&F::Filter>,
        options: Option<proto::QueryOptions>,
        start: Option<u64>,
        end: Option<u64>,
    ) -> Result<Self, Status> {
        let options = options.unwrap_or_default();
        let ascending = match options.ordering.map(Ordering::try_from) {
            None | Some(Ok(Ordering::Ascending)) => true,
            Some(Ok(Ordering::Descending)) => false,
            _ => return Err(Status::invalid_argument("options.ordering is not known")),
        };
        let start = start.unwrap_or(0);
        if end.is_some_and(|end| end <= start) {
            return Err(Status::invalid_argument("end_checkpoint is not after start_checkpoint"));
        }
        let limit = match options.limit {
            None | Some(0) => DEFAULT_LIMIT,
            Some(limit) => (limit as usize).min(MAX_LIMIT),
        };
        Ok(Self {
            _family: family,
            filter: filter.map(F::filter).transpose()?,
            limit,
            ascending,
            after: options.after.as_deref().map(decode).transpose()?,
            before: options.before.as_deref().map(decode).transpose()?,
            start,
            end,
        })
    }

    /// The checkpoints to walk over, both inclusive; `None` if there are none.
    fn range(&self, height: u64) -> Option<(u64, u64)> {
        let first = self.start.max(self.after.map_or(0, |after| after.0));
        let mut last = height;
        if let Some(end) = self.end {
            last = last.min(end - 1);
        }
        if let Some(before) = self.before {
            last = last.min(before.0);
        }
        (first <= last).then_some((first, last))
    }

    /// Why the walk ends when it got to the end of its range.
    fn reason(&self, height: u64) -> QueryEndReason {
        if self.ascending {
            let bound = self.end.map(|end| end - 1);
            let cursor = self.before.map(|before| before.0);
            match (bound, cursor) {
                (_, Some(cursor)) if cursor <= height && bound.is_none_or(|b| cursor <= b) => {
                    QueryEndReason::CursorBound
                }
                (Some(bound), _) if bound <= height => QueryEndReason::CheckpointBound,
                _ => QueryEndReason::LedgerTip,
            }
        } else if self.after.is_some_and(|after| after.0 >= self.start) {
            QueryEndReason::CursorBound
        } else {
            QueryEndReason::CheckpointBound
        }
    }

    fn admits(&self, position: Position) -> bool {
        self.after.is_none_or(|after| position > after) && self.before.is_none_or(|before| position < before)
    }
}

/// Runs a bounded walk as a stream.
///
/// # Errors
///
/// If it starts below the lowest checkpoint that is kept.
pub(super) fn list<F: Family>(
    node: Arc<Node>,
    scan: Scan<F>,
    mask: FieldMaskTree,
) -> Result<BoxStream<F::Response>, Status> {
    let (height, lowest) = {
        let ledger = node.ledger();
        (ledger.height(), ledger.history().lowest())
    };
    if let Some((first, _)) = scan.range(height)
        && first < lowest
    {
        return Err(super::pruned(first, lowest));
    }
    let walk = Walk {
        next: scan.range(height).map(|(first, last)| if scan.ascending { first } else { last }),
        covered: None,
        cursor: scan.resume_point(height),
        left: scan.limit,
        searched: 0,
        frames: VecDeque::new(),
        done: false,
        height,
        node,
        scan,
        mask,
    };
    Ok(Box::pin(stream::unfold(walk, |mut walk| async move {
        while walk.frames.is_empty() && !walk.done {
            walk.step();
        }
        walk.frames.pop_front().map(|frame| (frame, walk))
    })))
}

impl<F: Family> Scan<F> {
    /// Where a client that saw nothing would go on.
    fn resume_point(&self, height: u64) -> Position {
        if self.ascending {
            self.after.unwrap_or_else(|| before_checkpoint(self.start))
        } else {
            self.before.unwrap_or((self.end.unwrap_or(height + 1), 0, 0))
        }
    }
}

struct Walk<F: Family> {
    node: Arc<Node>,
    scan: Scan<F>,
    mask: FieldMaskTree,
    height: u64,
    next: Option<u64>,
    covered: Option<u64>,
    cursor: Position,
    left: usize,
    searched: u64,
    frames: VecDeque<Result<F::Response, Status>>,
    done: bool,
}

impl<F: Family> Walk<F> {
    /// Walks over one checkpoint, or ends.
    fn step(&mut self) {
        let node = self.node.clone();
        let ledger = node.ledger();
        let Some(number) = self.next else {
            let reason = self.scan.reason(self.height);
            if reason != QueryEndReason::CursorBound {
                self.cursor = self.edge();
            }
            self.finish(&ledger, reason);
            return;
        };
        if self.searched == MAX_CHECKPOINTS {
            self.finish(&ledger, QueryEndReason::ScanLimit);
            return;
        }
        self.searched += 1;
        let Some(checkpoint) = ledger.history().checkpoint(number) else {
            self.frames.push_back(Err(super::pruned(number, ledger.history().lowest())));
            self.done = true;
            return;
        };
        let mut positions = F::positions(checkpoint, self.scan.filter.as_ref());
        positions.retain(|position| self.scan.admits(*position));
        if !self.scan.ascending {
            positions.reverse();
        }
        let last = positions.last().copied();
        for position in positions {
            self.cursor = position;
            self.left -= 1;
            if Some(position) == last && self.covers(number) {
                self.covered = Some(number);
            }
            let end = (self.left == 0).then_some(QueryEndReason::ItemLimit);
            let frame = F::frame(&ledger, Some((checkpoint, position)), &self.mask, self.watermark(), end);
            self.frames.push_back(Ok(frame));
            if end.is_some() {
                self.done = true;
                return;
            }
        }
        if self.covers(number) {
            self.covered = Some(number);
            self.cursor = if self.scan.ascending { end_of_checkpoint(number) } else { (number, 0, 0) };
        }
        if self.searched.is_multiple_of(PROGRESS) {
            let frame = F::frame(&ledger, None, &self.mask, self.watermark(), None);
            self.frames.push_back(Ok(frame));
        }
        self.next = self.scan.range(self.height).and_then(|(first, last)| {
            if self.scan.ascending {
                (number < last).then(|| number + 1)
            } else {
                (number > first).then(|| number - 1)
            }
        });
    }

    fn finish(&mut self, ledger: &Ledger, reason: QueryEndReason) {
        let frame = F::frame(ledger, None, &self.mask, self.watermark(), Some(reason));
        self.frames.push_back(Ok(frame));
        self.done = true;
    }

    /// Whether the walk goes over the whole of checkpoint `number`, in its direction.
    fn covers(&self, number: u64) -> bool {
        if self.scan.ascending {
            self.scan.before.is_none_or(|before| before > end_of_checkpoint(number))
        } else {
            self.scan.after.is_none_or(|after| after < (number, 0, 0))
        }
    }

    /// The cursor at the end of the range.
    fn edge(&self) -> Position {
        match (self.covered, self.scan.ascending) {
            (Some(covered), true) => end_of_checkpoint(covered),
            (Some(covered), false) => (covered, 0, 0),
            (None, _) => self.cursor,
        }
    }

    fn watermark(&self) -> proto::Watermark {
        watermark(self.cursor, self.covered)
    }
}

/// Runs an endless walk from the latest checkpoint on.
pub(super) fn subscribe<F: Family>(
    node: Arc<Node>,
    filter: Option<Filter>,
    mask: FieldMaskTree,
) -> BoxStream<F::Response> {
    let mut height = node.height();
    let tip = *height.borrow_and_update();
    let first = filter.is_some().then(|| {
        let watermark = watermark(end_of_checkpoint(tip), Some(tip));
        F::frame(&node.ledger(), None, &mask, watermark, None)
    });
    let next = if first.is_some() { tip + 1 } else { tip };
    let follow = Follow { node, filter, mask, height, next, stopped: false };
    let frames = stream::unfold(follow, |mut follow| async move {
        if follow.stopped {
            return None;
        }
        while follow.next > *follow.height.borrow_and_update() {
            if follow.height.changed().await.is_err() {
                follow.stopped = true;
                let stopped = Err(Status::unavailable("the chain has stopped"));
                return Some((vec![stopped], follow));
            }
        }
        let frames = follow.step::<F>();
        Some((frames, follow))
    });
    let frames = frames.flat_map(stream::iter);
    Box::pin(stream::iter(first.map(Ok)).chain(frames))
}

struct Follow {
    node: Arc<Node>,
    filter: Option<Filter>,
    mask: FieldMaskTree,
    height: tokio::sync::watch::Receiver<u64>,
    next: u64,
    stopped: bool,
}

impl Follow {
    fn step<F: Family>(&mut self) -> Vec<Result<F::Response, Status>> {
        let number = self.next;
        self.next += 1;
        let ledger = self.node.ledger();
        let Some(checkpoint) = ledger.history().checkpoint(number) else {
            return vec![Err(super::pruned(number, ledger.history().lowest()))];
        };
        let positions = F::positions(checkpoint, self.filter.as_ref());
        let mut frames = Vec::with_capacity(positions.len() + 1);
        let whole = F::WHOLE;
        for position in positions {
            let covered = if whole { Some(number) } else { number.checked_sub(1) };
            let watermark = watermark(position, covered);
            let item = Some((&**checkpoint, position));
            frames.push(Ok(F::frame(&ledger, item, &self.mask, watermark, None)));
        }
        if !whole || frames.is_empty() {
            let watermark = watermark(end_of_checkpoint(number), Some(number));
            frames.push(Ok(F::frame(&ledger, None, &self.mask, watermark, None)));
        }
        frames
    }
}

fn watermark(cursor: Position, covered: Option<u64>) -> proto::Watermark {
    let mut watermark = proto::Watermark::default();
    watermark.cursor = Some(encode(cursor).into());
    watermark.checkpoint = covered;
    watermark
}

fn end_of_checkpoint(number: u64) -> Position {
    (number, u64::MAX, u64::MAX)
}

fn before_checkpoint(number: u64) -> Position {
    number.checked_sub(1).map_or((0, 0, 0), end_of_checkpoint)
}

fn encode((checkpoint, transaction, event): Position) -> Vec<u8> {
    [checkpoint, transaction, event].iter().flat_map(|part| part.to_be_bytes()).collect()
}

fn decode(cursor: &[u8]) -> Result<Position, Status> {
    let bad = || Status::invalid_argument("a cursor is not one of this server");
    let cursor: &[u8; 24] = cursor.try_into().map_err(|_| bad())?;
    let part = |index: usize| cursor[index * 8..].first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    Ok((part(0), part(1), part(2)))
}
