//! The Rust `etcd-client` against a server: put, get, transaction, watch, lease, compaction, alarms, snapshot.

use std::time::Duration;

use etcd_client::{
    AlarmAction, AlarmType, Client, Compare, CompareOp, DeleteOptions, Error, EventType, GetOptions, PutOptions,
    SortOrder, SortTarget, Txn, TxnOp, WatchOptions,
};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let endpoint = std::env::args().nth(1).expect("usage: store-client-test URL");
    let mut client = Client::connect([endpoint], None).await?;
    client.delete("rust/", Some(DeleteOptions::new().with_prefix())).await?;
    keys(&mut client).await?;
    transactions(&mut client).await?;
    watches(&mut client).await?;
    leases(&mut client).await?;
    upkeep(&mut client).await?;
    client.delete("rust/", Some(DeleteOptions::new().with_prefix())).await?;
    println!("ok");
    Ok(())
}

async fn keys(client: &mut Client) -> Result<(), Error> {
    for (key, value) in [("rust/a", "3"), ("rust/b", "2"), ("rust/c", "1")] {
        client.put(key, value, None).await?;
    }
    let replaced = client.put("rust/a", "4", Some(PutOptions::new().with_prev_key())).await?;
    assert_eq!(replaced.prev_key().expect("the value before").value(), b"3");

    let sorted = GetOptions::new().with_prefix().with_sort(SortTarget::Value, SortOrder::Ascend).with_limit(2);
    let found = client.get("rust/", Some(sorted)).await?;
    let values: Vec<&str> = found.kvs().iter().map(|kv| kv.value_str().expect("text")).collect();
    assert_eq!((values, found.more(), found.count()), (vec!["1", "2"], true, 3));

    let old = replaced.header().expect("a header").revision() - 1;
    let before = client.get("rust/a", Some(GetOptions::new().with_revision(old))).await?;
    assert_eq!(before.kvs()[0].value(), b"3");

    let gone = client.delete("rust/c", Some(DeleteOptions::new().with_prev_key())).await?;
    assert_eq!((gone.deleted(), gone.prev_kvs()[0].value()), (1, &b"1"[..]));
    Ok(())
}

async fn transactions(client: &mut Client) -> Result<(), Error> {
    let swap = |expected: &str, next: &str| {
        Txn::new()
            .when([Compare::value("rust/t", CompareOp::Equal, expected)])
            .and_then([TxnOp::put("rust/t", next, None)])
            .or_else([TxnOp::get("rust/t", None)])
    };
    client.put("rust/t", "1", None).await?;
    assert!(client.txn(swap("1", "2")).await?.succeeded());
    assert!(!client.txn(swap("1", "3")).await?.succeeded());
    assert_eq!(client.get("rust/t", None).await?.kvs()[0].value(), b"2");

    let twice = Txn::new().and_then([TxnOp::put("rust/t", "a", None), TxnOp::put("rust/t", "b", None)]);
    let refusal = client.txn(twice).await.expect_err("one key twice");
    assert!(refusal.to_string().contains("duplicate key given in txn request"), "{refusal}");
    Ok(())
}

async fn watches(client: &mut Client) -> Result<(), Error> {
    let first = client.put("rust/w", "history", None).await?.header().expect("a header").revision();
    let options = WatchOptions::new().with_start_revision(first).with_prev_key();
    let mut stream = client.watch("rust/w", Some(options)).await?;
    assert!(stream.message().await?.expect("an answer").created());
    client.put("rust/w", "live", None).await?;
    client.delete("rust/w", None).await?;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let response = stream.message().await?.expect("an event");
        for event in response.events() {
            let kv = event.kv().expect("a key");
            let before = event.prev_kv().map(|kv| kv.value().to_vec());
            seen.push((event.event_type(), kv.value().to_vec(), before));
        }
    }
    assert_eq!(
        seen,
        [
            (EventType::Put, b"history".to_vec(), None),
            (EventType::Put, b"live".to_vec(), Some(b"history".to_vec())),
            (EventType::Delete, Vec::new(), Some(b"live".to_vec())),
        ]
    );
    stream.request_progress().await?;
    assert!(stream.message().await?.expect("progress").events().is_empty());
    Ok(())
}

async fn leases(client: &mut Client) -> Result<(), Error> {
    let lease = client.lease_grant(2, None).await?.id();
    client.put("rust/l", "held", Some(PutOptions::new().with_lease(lease))).await?;
    let (mut keeper, mut answers) = client.lease_keep_alive(lease).await?;
    keeper.keep_alive().await?;
    assert_eq!(answers.message().await?.expect("an answer").ttl(), 2);
    assert!(client.leases().await?.leases().iter().any(|status| status.id() == lease));
    // Left alone, it takes its key along.
    for _ in 0..60 {
        if client.get("rust/l", None).await?.kvs().is_empty() {
            let refusal = client.lease_revoke(lease).await.expect_err("it is gone");
            assert!(refusal.to_string().contains("requested lease not found"), "{refusal}");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the lease never ended");
}

async fn upkeep(client: &mut Client) -> Result<(), Error> {
    let revision = client.put("rust/u", "1", None).await?.header().expect("a header").revision();
    client.compact(revision, None).await?;
    let refusal = client.get("rust/u", Some(GetOptions::new().with_revision(revision - 1))).await;
    let refusal = refusal.expect_err("compacted").to_string();
    assert!(refusal.contains("required revision has been compacted"), "{refusal}");

    assert!(client.status().await?.version().starts_with("3."));
    assert_eq!(client.member_list().await?.members().len(), 1);
    assert!(client.alarm(AlarmAction::Get, AlarmType::None, None).await?.alarms().is_empty());
    client.hash_kv(0).await?;
    client.defragment().await?;
    let mut blobs = client.snapshot().await?;
    let mut bytes = 0;
    while let Some(blob) = blobs.message().await? {
        bytes += blob.blob().len();
    }
    assert_eq!(bytes % 512, 32, "whole pages and a checksum");
    Ok(())
}
