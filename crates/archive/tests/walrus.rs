//! Pieces on Walrus: what ends there is stored again in time, and the price is read from Sui before anything is stored.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use archive::cold::{
    Catalog, ColdError, ColdStore, Directory, Entry, Link, Piece, PriceError, Renewed, walrus_price,
};
use async_trait::async_trait;
use bytes::Bytes;
use chain::sui::{self, Address, Identifier, StructTag, TypeTag};
use sha2::{Digest as _, Sha256};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::ledger_service_server::{LedgerService, LedgerServiceServer};
use tonic::{Request, Response, Status};

const HOUR: u64 = 3_600_000;

/// A place that keeps pieces for eight hours.
struct Ending {
    inner: Directory,
    now_ms: u64,
    until: Mutex<BTreeMap<String, u64>>,
}

impl Ending {
    fn new(dir: &Path) -> Self {
        let inner = Directory::open(dir.to_owned()).unwrap();
        Self { inner, now_ms: 0, until: Mutex::default() }
    }
}

#[async_trait]
impl ColdStore for Ending {
    fn place(&self) -> String {
        "a place where things end".to_owned()
    }

    fn name(&self, piece: &[u8]) -> Result<String, ColdError> {
        self.inner.name(piece)
    }

    fn lifetime(&self) -> Option<Duration> {
        Some(Duration::from_secs(8 * 3_600))
    }

    async fn put(&self, name: &str, piece: Bytes) -> Result<(), ColdError> {
        self.until.lock().unwrap().insert(name.to_owned(), self.now_ms + 8 * HOUR);
        self.inner.put(name, piece).await
    }

    async fn get(&self, name: &str, most: usize) -> Result<Bytes, ColdError> {
        if self.until.lock().unwrap().get(name).is_none_or(|until| *until <= self.now_ms) {
            return Err(ColdError::Missing { place: self.place(), name: name.to_owned() });
        }
        self.inner.get(name, most).await
    }

    async fn remove(&self, name: &str) -> Result<(), ColdError> {
        self.inner.remove(name).await
    }
}

async fn snapshot(place: &Ending, number: u64) -> Entry {
    let mut pieces = Vec::new();
    for part in 0..3 {
        let text = format!("piece {part} of {number}");
        let sha256 = Sha256::digest(&text).to_vec();
        let piece = Piece { name: hex::encode(&sha256), sha256, bytes: text.len() as u64 };
        place.put(&piece.name, text.into()).await.unwrap();
        pieces.push(piece);
    }
    let last = pieces.pop().unwrap();
    let link = Link { last, since: 0, revision: number as i64, bytes: 0, created_ms: place.now_ms };
    Entry { link, chain: Vec::new(), pieces, renewed_ms: 0 }
}

#[tokio::test]
async fn what_is_kept_never_ends_and_what_is_pruned_does() {
    let home = tempfile::tempdir().unwrap();
    let mut place = Ending::new(&home.path().join("cold"));
    let path = home.path().join("catalog.json");
    let mut catalog = Catalog::open(path.clone()).unwrap();
    let mut renewed = 0;
    for hour in 0..100 {
        place.now_ms = hour * HOUR;
        if hour % 5 == 0 {
            catalog.add(snapshot(&place, hour).await).unwrap();
        }
        renewed += catalog.renew(&place, place.now_ms).await.unwrap().pieces;
        for entry in catalog.entries() {
            for piece in entry.pieces.iter().chain([&entry.link.last]) {
                place.get(&piece.name, 100).await.unwrap();
            }
        }
        // A restart knows what was renewed when.
        catalog = Catalog::open(path.clone()).unwrap();
    }
    let lived: u64 = (0..20).map(|number| 99 - number * 5).sum();
    assert_eq!(
        renewed as u64,
        (0..20).map(|number| (99 - number * 5) / 6 * 3).sum::<u64>(),
        "of {lived} hours"
    );

    // One piece is lost. The others are renewed all the same, and the loss is told from when it was its turn.
    let lost = catalog.entries()[3].pieces[1].name.clone();
    place.until.lock().unwrap().remove(&lost);
    let mut told = Vec::new();
    for _ in 0..12 {
        place.now_ms += HOUR;
        told.extend(catalog.renew(&place, place.now_ms).await.err());
    }
    assert!((6..=12).contains(&told.len()), "{told:?}");
    assert!(
        told.iter().all(|told| matches!(told, ColdError::Missing { name, .. } if *name == lost)),
        "{told:?}"
    );
    let oldest = |entry: &Entry| entry.renewed_ms.max(entry.link.created_ms) + 6 * HOUR < place.now_ms;
    assert_eq!(catalog.entries().iter().filter(|entry| oldest(entry)).count(), 1);

    let directory = Directory::open(home.path().join("for-ever")).unwrap();
    assert_eq!(catalog.renew(&directory, u64::MAX).await.unwrap(), Renewed::default());
}

/// A Sui endpoint that has these objects.
struct Endpoint(BTreeMap<Address, sui::Object>);

#[tonic::async_trait]
impl LedgerService for Endpoint {
    async fn get_service_info(
        &self,
        _: Request<proto::GetServiceInfoRequest>,
    ) -> Result<Response<proto::GetServiceInfoResponse>, Status> {
        let chain = "4btiuiMPvEENsttpZC7CZ53DruC3MAgfznDbASZ7DR6S";
        Ok(Response::new(proto::GetServiceInfoResponse::default().with_chain_id(chain)))
    }

    async fn batch_get_objects(
        &self,
        request: Request<proto::BatchGetObjectsRequest>,
    ) -> Result<Response<proto::BatchGetObjectsResponse>, Status> {
        let found = |request: &proto::GetObjectRequest| {
            let object = request.object_id().parse().ok().and_then(|id: Address| self.0.get(&id));
            match object {
                Some(object) => proto::GetObjectResult::new_object(
                    proto::Object::default().with_bcs(bcs::to_bytes(object).unwrap()),
                ),
                None => proto::GetObjectResult::new_error(sui_rpc::proto::google::rpc::Status {
                    code: 5,
                    ..Default::default()
                }),
            }
        };
        let answer = request.get_ref().requests.iter().map(found).collect();
        Ok(Response::new(proto::BatchGetObjectsResponse::new(answer)))
    }
}

fn object(content: Vec<u8>) -> sui::Object {
    let name = Identifier::new("any").unwrap();
    let type_ = StructTag::new(Address::TWO, name.clone(), name, vec![]);
    let data = sui::MoveStruct::new(type_, true, 1, content).unwrap();
    sui::Object::new(sui::ObjectData::Struct(data), sui::Owner::Immutable, sui::Digest::ZERO, 0)
}

#[tokio::test]
async fn the_price_is_read_from_suis_objects() {
    let system = Address::new([7; 32]);
    let field = system.derive_dynamic_child_id(&TypeTag::U64, &4_u64.to_le_bytes());
    let text = include_str!("../../walrus/tests/oracle/system.txt");
    let mut content = hex::decode(text.trim()).unwrap();
    content[..32].copy_from_slice(field.as_bytes());
    // `System { id, version, package_id, new_package_id }`.
    let head = [system.as_bytes(), &4_u64.to_le_bytes()[..], &[1; 32][..], &[0][..]].concat();
    let broken = Address::new([9; 32]);
    let objects = [(system, object(head)), (field, object(content)), (broken, object([9; 32].to_vec()))];
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = LedgerServiceServer::new(Endpoint(objects.into()));
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));

    let client = chain::Client::new(&url).unwrap();
    let found = walrus_price(&client, system).await.unwrap();
    assert_eq!((found.epoch, found.price.storage, found.price.write), (42, 11_000, 20_000));
    let wrong = walrus_price(&client, broken).await.unwrap_err();
    assert!(
        wrong.to_string().ends_with("is no system object of Walrus: its content ends in its version"),
        "{wrong}"
    );
    let missing = walrus_price(&client, Address::new([1; 32])).await.unwrap_err();
    assert!(matches!(missing, PriceError::Chain(chain::Error::NotFound { .. })), "{missing:?}");
}
