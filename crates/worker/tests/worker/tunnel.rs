//! The worker's end of the tunnel, against a gateway that keeps the other end.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ::tunnel::{Link, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::support::{Bench, Fault};

/// A server that gives back what it gets.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    address
}

/// The tunnel that is open now, other than `old`.
async fn tunnel(bench: &Bench) -> Link {
    for _ in 0..500 {
        if let Some(link) = bench.gateway.tunnel.lock().clone().filter(|link| !link.is_over()) {
            return link;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no tunnel");
}

async fn says(stream: &mut Stream, words: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(words).await?;
    let mut answer = vec![0; words.len()];
    timeout(Duration::from_secs(10), stream.read_exact(&mut answer)).await.expect("no answer")?;
    Ok(answer)
}

#[tokio::test]
async fn the_master_reaches_the_kubelet_and_nothing_else() {
    let (bench, _gateway) = Bench::start(|config, _, _, _| config.clone(), Fault::None).await;
    let (kubelet, private) = (echo().await, echo().await);
    let link = tunnel(&bench).await;
    let asked = format!("127.0.0.1:{}", kubelet.port());
    let mut early = link.open("tcp", &asked).unwrap();
    let error = says(&mut early, b"hello").await.unwrap_err();
    assert_eq!(error.to_string(), "this node does not run");

    *bench.node.kubelet.lock() = Some(kubelet);
    let mut stream = link.open("tcp", &asked).unwrap();
    assert_eq!(says(&mut stream, b"hello").await.unwrap(), b"hello");
    for address in [private.to_string(), format!("127.0.0.1:{}", bench.api.port()), "10.43.0.1:443".into()] {
        let mut stream = link.open("tcp", &address).unwrap();
        let error = says(&mut stream, b"let me in").await.unwrap_err();
        assert_eq!(error.to_string(), "only this node's kubelet and pods are let in", "{address}");
    }
    let metrics = bench.get("/metrics").await.1;
    assert!(metrics.contains("k3s_daas_worker_tunnel_dials_total{result=\"refused\"} 3"), "{metrics}");
    assert!(metrics.contains("k3s_daas_worker_tunnel_open 1"), "{metrics}");
}

#[tokio::test]
async fn a_lost_tunnel_ends_its_streams_and_comes_back() {
    let (bench, _gateway) = Bench::start(|config, _, _, _| config.clone(), Fault::None).await;
    let kubelet = echo().await;
    *bench.node.kubelet.lock() = Some(kubelet);
    let asked = format!("127.0.0.1:{}", kubelet.port());
    let link = tunnel(&bench).await;
    let mut stream = link.open("tcp", &asked).unwrap();
    assert_eq!(says(&mut stream, b"before").await.unwrap(), b"before");
    link.close();
    let error = timeout(Duration::from_secs(5), stream.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the tunnel was lost");
    let link = tunnel(&bench).await;
    let mut stream = link.open("tcp", &asked).unwrap();
    // Much more than fits the buffers on the way.
    let (mut reader, mut writer) = tokio::io::split(&mut stream);
    let sent = async {
        for at in 0..64u8 {
            writer.write_all(&[at; 100_000]).await.unwrap();
        }
    };
    let received = async {
        let mut block = vec![0; 100_000];
        for at in 0..64u8 {
            reader.read_exact(&mut block).await.unwrap();
            assert!(block.iter().all(|byte| *byte == at));
        }
    };
    tokio::join!(sent, received);
}
