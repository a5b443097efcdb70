use std::collections::VecDeque;

use futures::stream;
use tonic::Status;

use super::dispatch::{Context, HttpRequest, HttpResponse, server_streaming, unary, unknown};
use super::hot;
use crate::mvcc;
use crate::proto::{KeyValue, RangeRequest, RangeResponse, RangeStreamResponse};

/// Bytes of a chunk of a range stream, about.
const CHUNK_BYTES: usize = 1 << 20;

/// Service `etcdserverpb.KV`.
pub(super) async fn call(context: Context, method: &str, request: HttpRequest) -> HttpResponse {
    let store = context.store.clone();
    match method {
        "Range" => unary(request, |q| async move { store.range(&q) }).await,
        "RangeStream" => {
            server_streaming(request, |q: RangeRequest| async move {
                mvcc::check_range_stream(&q)?;
                Ok(stream::iter(chunks(hot::range(&context, q).await?)))
            })
            .await
        }
        "Put" => unary(request, |q| async move { store.put(q).await }).await,
        "DeleteRange" => unary(request, |q| async move { store.delete_range(q).await }).await,
        "Txn" => unary(request, |q| async move { store.txn(q).await }).await,
        "Compact" => unary(request, |q| async move { store.compact(q).await }).await,
        _ => unknown("etcdserverpb.KV", method),
    }
}

/// Cuts a response into chunks; all but the keys is on the last one.
fn chunks(mut response: RangeResponse) -> impl Iterator<Item = Result<RangeStreamResponse, Status>> {
    let mut rest: VecDeque<KeyValue> = std::mem::take(&mut response.kvs).into();
    let mut last = Some(response);
    std::iter::from_fn(move || {
        last.as_ref()?;
        let (mut kvs, mut bytes) = (Vec::new(), 0);
        while bytes < CHUNK_BYTES {
            let Some(kv) = rest.pop_front() else { break };
            bytes += kv.key.len() + kv.value.len() + 32;
            kvs.push(kv);
        }
        let chunk = if rest.is_empty() { last.take()? } else { RangeResponse::default() };
        Some(Ok(RangeStreamResponse { range_response: Some(RangeResponse { kvs, ..chunk }) }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(keys: usize, value: usize) -> RangeResponse {
        let kv = |key: usize| KeyValue {
            key: key.to_string().into(),
            value: vec![1; value].into(),
            ..KeyValue::default()
        };
        RangeResponse { kvs: (0..keys).map(kv).collect(), more: true, count: 9, ..RangeResponse::default() }
    }

    #[test]
    fn chunks_merge_to_the_whole_and_only_the_last_says_how_many() {
        for (keys, value, expected) in [(0, 0, 1), (3, 10, 1), (5, CHUNK_BYTES, 5), (4, CHUNK_BYTES / 2, 2)] {
            let whole = response(keys, value);
            let parts: Vec<RangeResponse> =
                chunks(whole.clone()).map(|part| part.unwrap().range_response.unwrap()).collect();
            assert_eq!(parts.len(), expected);
            let (last, first) = parts.split_last().unwrap();
            assert!(first.iter().all(|part| part.count == 0 && !part.more));
            assert_eq!((last.count, last.more), (9, true));
            let kvs: Vec<KeyValue> = parts.iter().flat_map(|part| part.kvs.clone()).collect();
            assert_eq!(kvs, whole.kvs);
        }
    }
}
