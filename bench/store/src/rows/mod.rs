//! The rows of the table, each runnable alone.

mod kubernetes;
mod lean;
mod million;
mod official;
mod pages;
mod revisions;
mod watch;

use std::future::Future;
use std::pin::Pin;

use crate::result::Measured;
use crate::server::Kind;
use crate::settings::Settings;

/// A load, and how to measure it.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    measure: for<'a> fn(&'a Settings) -> Measuring<'a>,
}

type Measuring<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Measured>> + 'a>>;

impl Row {
    pub(crate) async fn measure(&self, settings: &Settings) -> anyhow::Result<Measured> {
        (self.measure)(settings).await
    }
}

/// In the order of the report.
pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "put",
        title: "put 1 KiB, 100 clients on 10 connections",
        measure: |settings| Box::pin(official::measure(&official::PUT, settings)),
    },
    Row {
        name: "put-one",
        title: "put 1 KiB, 1 client",
        measure: |settings| Box::pin(official::measure(&official::PUT_ONE, settings)),
    },
    Row {
        name: "range",
        title: "range one key, linearizable, 100 clients",
        measure: |settings| Box::pin(official::measure(&official::RANGE, settings)),
    },
    Row {
        name: "txn-put",
        title: "txn-put 1 KiB, 100 clients",
        measure: |settings| Box::pin(official::measure(&official::TXN_PUT, settings)),
    },
    Row {
        name: "txn-mixed",
        title: "txn-mixed, 100 clients, half of them reading 10 of 1,000 keys",
        measure: |settings| Box::pin(official::measure(&official::TXN_MIXED, settings)),
    },
    Row {
        name: "lean-put",
        title: "put 1 KiB, 100 clients, lean load generator",
        measure: |settings| Box::pin(lean::put(settings)),
    },
    Row {
        name: "lean-range",
        title: "range one key, 100 clients, lean load generator",
        measure: |settings| Box::pin(lean::range(settings)),
    },
    Row {
        name: "list",
        title: "list 10,000 keys of 1 KiB in pages of 500, at a revision",
        measure: |settings| Box::pin(pages::measure(settings)),
    },
    Row {
        name: "watch",
        title: "100 puts/s to 1,000 watchers on 20 streams, lean load generator",
        measure: |settings| Box::pin(watch::measure(settings)),
    },
    Row {
        name: "watch-tool",
        title: "100 puts/s to 1,000 watchers on 20 streams, watch-latency",
        measure: |settings| Box::pin(watch::official(settings)),
    },
    Row {
        name: "million",
        title: "1 M keys of 1 KiB",
        measure: |settings| Box::pin(million::measure(settings)),
    },
    Row {
        name: "revisions",
        title: "put 128 bytes at 5 M uncompacted revisions",
        measure: |settings| Box::pin(revisions::measure(settings)),
    },
    Row {
        name: "kubernetes",
        title: "kube-apiserver creating 5,000 pods on 50 kwok nodes",
        measure: |settings| Box::pin(kubernetes::measure(settings)),
    },
];

/// etcd and ours, in this order in every round, and kine where it can run.
fn kinds(settings: &Settings, kine_can: bool) -> Vec<Kind> {
    let mut kinds = vec![Kind::Etcd, Kind::Ours];
    if kine_can && settings.with_kine {
        kinds.push(Kind::Kine);
    }
    kinds
}

/// Whether this round is one for this server: kine is slow, and three times are enough to place it.
fn takes_part(kind: Kind, run: u32) -> bool {
    kind != Kind::Kine || run < 3
}

/// 64 bytes.
fn key(number: u64) -> Vec<u8> {
    format!("/bench/{number:057}").into_bytes()
}
