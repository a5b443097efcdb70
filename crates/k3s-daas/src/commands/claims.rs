use std::path::Path;

use api::RewardProof;
use chain::{Address, ClaimProof, Epoch, RewardTree, Shard, ShardProof, Share, State};
use serde::Deserialize;

use super::Context;
use super::status::fetch_kept;
use crate::cli::SharesOf;
use crate::failure::{Context as _, Failure, Result};
use crate::input::read_json;
use crate::session::Session;

/// What a stake claims its share of one epoch with.
pub(crate) struct Claiming {
    pub(crate) epoch: Epoch,
    pub(crate) shard: ShardProof,
    pub(crate) claim: ClaimProof,
    /// The shard on chain, once somebody has opened it.
    pub(crate) opened: Option<Shard>,
}

/// All shares of an epoch, as the master publishes them.
#[derive(Deserialize)]
struct Published {
    number: u64,
    shares: Vec<Share>,
}

/// Finds it: from a file of all shares, or by asking the master. What the master says is not believed: the
/// contracts check it against the root that the enclave posted.
pub(crate) async fn find(context: &Context, session: &Session, of: &SharesOf) -> Result<Claiming> {
    let stake = super::stake::stake_id(context, &of.stake)?;
    let known = session.read().await?;
    match &of.shares {
        Some(file) => from_file(session, &known, stake, file),
        None => from_master(context, &known, stake, of.epoch).await,
    }
}

fn from_file(session: &Session, known: &State, stake: Address, file: &Path) -> Result<Claiming> {
    let published: Published = read_json(file)?;
    let tree = RewardTree::new(session.cluster, published.number, published.shares)
        .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    let no_share = || Failure::usage(format!("the stake has no share in {}", file.display()));
    let (place, claim) = tree.claim(stake).ok_or_else(no_share)?;
    let shard = tree.shard(place).ok_or_else(no_share)?;
    let epoch = known.money.epochs.values().find(|epoch| epoch.number == published.number).cloned();
    let epoch = epoch.ok_or_else(|| {
        Failure::not_ready(format!("epoch {} is not posted, or was swept", published.number))
    })?;
    if epoch.root != tree.root() {
        return Err(Failure::refused(format!(
            "{} is not what the enclave posted for epoch {}: get the master's shares again",
            file.display(),
            epoch.number
        )));
    }
    let opened = opened(known, &epoch, &shard);
    Ok(Claiming { epoch, shard, claim, opened })
}

async fn from_master(
    context: &Context,
    known: &State,
    stake: Address,
    number: Option<u64>,
) -> Result<Claiming> {
    let mut epochs: Vec<&Epoch> = known.money.epochs.values().collect();
    epochs.sort_by_key(|epoch| epoch.number);
    epochs.retain(|epoch| number.is_none_or(|number| number == epoch.number));
    for epoch in epochs {
        let path = format!("/api/v1/rewards/{}/{stake}", epoch.number);
        // None: no share in this one, or posted by an earlier master. Anything else may hide a share.
        let asking = format!("asking for the share of epoch {}", epoch.number);
        let Some(answer) = fetch_kept(context, &path).await.map_err(|failure| failure.during(&asking))?
        else {
            continue;
        };
        let proof = serde_json::from_value(answer).context("reading the master's proof")?;
        let (shard, claim) = proofs(&proof)?;
        let opened = opened(known, epoch, &shard);
        let claimed = opened.as_ref().is_some_and(|shard| {
            shard
                .claimed
                .get(usize::from(claim.index / 8))
                .is_some_and(|byte| byte & (1 << (claim.index % 8)) != 0)
        });
        if number.is_some() || !claimed {
            return Ok(Claiming { epoch: epoch.clone(), shard, claim, opened });
        }
    }
    let which = number.map_or("no epoch with a share to claim".to_owned(), |number| {
        format!("no share of this stake in an epoch {number} that this master posted")
    });
    Err(Failure::not_ready(format!("there is {which}: `k3s-daas rewards show` lists the epochs")))
}

fn opened(known: &State, epoch: &Epoch, shard: &ShardProof) -> Option<Shard> {
    known.money.shards.values().find(|known| known.epoch == epoch.id && known.root == shard.root).cloned()
}

fn proofs(proof: &RewardProof) -> Result<(ShardProof, ClaimProof)> {
    let bytes = |text: &String| hex::decode(text).context("reading a hash of the master's proof");
    let all = |hashes: &[String]| hashes.iter().map(bytes).collect::<Result<Vec<_>>>();
    let shard = ShardProof {
        index: proof.shard.index,
        weight: proof.shard.weight,
        root: bytes(&proof.shard.root)?,
        proof: all(&proof.shard.proof)?,
    };
    let address = |text: &str| text.parse::<Address>().context("reading an address of the master's proof");
    let share = Share { stake: address(&proof.stake)?, owner: address(&proof.owner)?, weight: proof.weight };
    Ok((shard, ClaimProof { index: proof.index, share, proof: all(&proof.proof)? }))
}
