//! What the master has said on chain, with its proofs and records: public, as the chain is.

use std::sync::Arc;

use api::{RewardEpochs, RewardProof, ShardOfEpoch};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use chain::RewardTree;
use custody::Bucket;
use http::header;
use parking_lot::Mutex;

use super::problem::Problem;
use super::routes::Desk;
use super::trees::EpochTree;
use crate::Id;
use crate::error::MasterError;
use crate::outbox::{Drawer, Published, published_key, records_key};
use crate::shared::Shared;

/// The epochs whose shares are kept.
pub(super) async fn epochs(State(desk): State<Desk>) -> Result<Json<RewardEpochs>, Problem> {
    take(&desk.shared.ledger_proofs, &desk.shared)?;
    let epochs = off_thread(opened(&desk.shared)?, |drawer| {
        let keys = drawer.keys()?;
        Ok(keys.iter().filter_map(|key| key.strip_prefix("rewards-")?.parse().ok()).collect())
    });
    Ok(Json(RewardEpochs { epochs: epochs.await? }))
}

/// All shares of an epoch, as `k3s-daas rewards --shares` reads them: who distrusts a single proof builds the tree.
pub(super) async fn shares(State(desk): State<Desk>, Path(epoch): Path<String>) -> Result<Response, Problem> {
    let number = number(&epoch)?;
    let json = read(&desk.shared, move |drawer| drawer.get(&published_key(number))).await?;
    let json = json.ok_or(Problem::NotKept("no epoch of this number was posted by this master"))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// What one stake claims its share of an epoch with.
pub(super) async fn claim(
    State(desk): State<Desk>,
    Path((epoch, stake)): Path<(String, String)>,
) -> Result<Json<RewardProof>, Problem> {
    let number = number(&epoch)?;
    let stake: Id = stake.parse().map_err(|_| bad("the stake is not 0x and 64 hexadecimal digits"))?;
    take(&desk.shared.ledger_proofs, &desk.shared)?;
    let tree = match desk.shared.trees.get(number) {
        Some(tree) => Some(tree),
        None => load(&desk.shared, number).await?,
    };
    let no_share = Problem::NotKept("this stake has no share in an epoch of this number");
    let proof = tree.and_then(|tree| prove(&tree, number, crate::facts::address(stake)));
    let mut proof = proof.ok_or(no_share)?;
    proof.shard.opened = desk.shared.opened_shard(&proof.epoch, &proof.shard.root);
    Ok(Json(proof))
}

/// Makes the tree of an epoch of the shares that are kept.
async fn load(shared: &Arc<Shared>, number: u64) -> Result<Option<Arc<EpochTree>>, Problem> {
    let _making = shared.trees.making.lock().await;
    if let Some(tree) = shared.trees.get(number) {
        return Ok(Some(tree));
    }
    let cluster = shared.facts.cluster;
    let tree = read(shared, move |drawer| {
        let Some(json) = drawer.get(&published_key(number))? else { return Ok(None) };
        let published: Published =
            serde_json::from_slice(&json).map_err(|error| MasterError::Ended(error.to_string()))?;
        let tree = RewardTree::new(cluster, published.number, published.shares)?;
        Ok(Some(Arc::new(EpochTree { epoch: published.epoch, tree })))
    });
    let tree = tree.await?;
    if let Some(tree) = &tree {
        shared.trees.keep(number, tree.clone());
    }
    Ok(tree)
}

/// The records that evidence on chain names by their SHA-256.
pub(super) async fn evidence(
    State(desk): State<Desk>,
    Path(digest): Path<String>,
) -> Result<Response, Problem> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(&digest, &mut bytes).map_err(|_| bad("the digest is not 64 hexadecimal digits"))?;
    let json = read(&desk.shared, move |drawer| drawer.get(&records_key(&Id(bytes)))).await?;
    let json = json.ok_or(Problem::NotKept("there are no records with this SHA-256"))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

fn prove(kept: &EpochTree, number: u64, stake: chain::Address) -> Option<RewardProof> {
    let tree = &kept.tree;
    let all = |hashes: &[Vec<u8>]| hashes.iter().map(hex::encode).collect();
    let (place, claim) = tree.claim(stake)?;
    let shard = tree.shard(place)?;
    Some(RewardProof {
        number,
        epoch: kept.epoch.to_string(),
        stake: claim.share.stake.to_string(),
        owner: claim.share.owner.to_string(),
        weight: claim.share.weight,
        index: claim.index,
        proof: all(&claim.proof),
        shard: ShardOfEpoch {
            index: shard.index,
            weight: shard.weight,
            root: hex::encode(&shard.root),
            proof: all(&shard.proof),
            opened: None,
        },
    })
}

fn number(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| bad("the epoch is not a number"))
}

fn bad(problem: &str) -> Problem {
    Problem::BadQuery { problem: problem.to_owned() }
}

/// What is kept; before it is opened nobody can say what is not.
fn opened(shared: &Shared) -> Result<Drawer, Problem> {
    shared.ledger.get().cloned().ok_or(Problem::Starting)
}

fn take(bucket: &Mutex<Bucket>, shared: &Shared) -> Result<(), Problem> {
    if bucket.lock().take(shared.now_ms()) { Ok(()) } else { Err(Problem::TooMany) }
}

/// Reads on a thread of its own, only so often.
async fn read<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Drawer) -> Result<T, MasterError> + Send + 'static,
) -> Result<T, Problem> {
    take(&shared.ledger_reads, shared)?;
    off_thread(opened(shared)?, work).await
}

async fn off_thread<T: Send + 'static>(
    drawer: Drawer,
    work: impl FnOnce(&Drawer) -> Result<T, MasterError> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(move || work(&drawer)).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            tracing::error!("cannot read what was said on chain: {error}");
            Err(Problem::Internal("what was kept cannot be read"))
        }
        Err(_) => Err(Problem::Internal("what was kept cannot be read")),
    }
}
