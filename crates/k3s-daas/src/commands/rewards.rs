use std::path::Path;

use chain::{Address, Cluster, Epoch, RewardTree, Share};
use serde::Deserialize;
use serde_json::json;

use super::act::act;
use super::stake::time;
use super::{Context, OPERATOR, STAKER};
use crate::cli::{Rewards, RewardsCommand as Command, SharesOf};
use crate::failure::{Failure, Result};
use crate::input::{id, read_json};
use crate::output::{print, table};
use crate::session::Session;

/// What the master publishes of an epoch.
#[derive(Deserialize)]
struct Published {
    /// Number of the epoch.
    number: u64,
    shares: Vec<Share>,
}

/// `k3s-daas rewards …`
pub(crate) async fn run(context: &Context, args: Rewards) -> Result<()> {
    let session = Session::open(context).await?;
    let Cluster { pool, governance, registry, .. } = session.on_chain().await?;
    let calls = &session.calls;
    let (wallet, draft, doing) = match &args.what {
        Command::Show => return show(context, &session).await,
        Command::Fund { amount } => (STAKER, calls.fund(pool, *amount), "funding the reward pool"),
        Command::Post { statement } => {
            let stated = read_json(statement)?;
            (OPERATOR, calls.post_epoch(pool, governance, registry, &stated), "posting the epoch")
        }
        Command::Open(of) => {
            let (tree, epoch, place, _) = find(context, &session, of).await?;
            let shard = tree.shard(place).ok_or_else(|| Failure::usage("the shares have no such shard"))?;
            (STAKER, calls.open_shard(epoch.id, &shard), "opening the shard")
        }
        Command::Claim(of) => {
            let (tree, epoch, place, stake) = find(context, &session, of).await?;
            let root = tree.shard(place).map(|shard| shard.root).unwrap_or_default();
            let known = session.read().await?;
            let shard =
                known.money.shards.values().find(|shard| shard.epoch == epoch.id && shard.root == root);
            let shard = shard.ok_or_else(|| {
                Failure::not_ready(format!(
                    "the shard of this stake is not open yet: `k3s-daas rewards open {} --shares {}`",
                    of.stake,
                    of.shares.display()
                ))
            })?;
            let (_, claim) = tree.claim(stake).ok_or_else(|| no_share(&of.shares))?;
            (STAKER, calls.claim(shard.id, &claim), "claiming")
        }
        Command::SweepShard { shard } => (STAKER, calls.sweep_shard(id(shard)?, pool), "sweeping the shard"),
        Command::SweepEpoch { epoch } => (STAKER, calls.sweep_epoch(id(epoch)?, pool), "sweeping the epoch"),
    };
    act(context, &session, &args.tx, wallet, &draft, doing).await.map(|_| ())
}

/// The tree, its epoch on chain, the stake's shard and the stake.
async fn find(
    context: &Context,
    session: &Session,
    of: &SharesOf,
) -> Result<(RewardTree, Epoch, u8, Address)> {
    let published: Published = read_json(&of.shares)?;
    let tree = RewardTree::new(session.cluster, published.number, published.shares)
        .map_err(|error| Failure::usage(format!("{}: {error}", of.shares.display())))?;
    let stake = super::stake::stake_id(context, &of.stake)?;
    let (place, _) = tree.claim(stake).ok_or_else(|| no_share(&of.shares))?;
    let known = session.read().await?;
    let epoch = known.money.epochs.into_values().find(|epoch| epoch.number == published.number);
    let epoch = epoch.ok_or_else(|| {
        Failure::not_ready(format!("epoch {} is not posted, or was swept", published.number))
    })?;
    if epoch.root != tree.root() {
        return Err(Failure::refused(format!(
            "{} is not what the enclave posted for epoch {}: get the master's shares again",
            of.shares.display(),
            epoch.number
        )));
    }
    Ok((tree, epoch, place, stake))
}

fn no_share(file: &Path) -> Failure {
    Failure::usage(format!("the stake has no share in {}", file.display()))
}

async fn show(context: &Context, session: &Session) -> Result<()> {
    let known = session.read().await?;
    let money = &known.money;
    let data = json!({ "pool": money.pool, "epochs": money.epochs.values().collect::<Vec<_>>(),
        "shards": money.shards.values().collect::<Vec<_>>() });
    print(context.global.output, &data, |_| {
        let epochs: Vec<_> = money
            .epochs
            .values()
            .map(|epoch| {
                vec![
                    epoch.number.to_string(),
                    epoch.budget.to_string(),
                    epoch.weight.to_string(),
                    time(epoch.deadline_ms),
                    epoch.id.to_string(),
                ]
            })
            .collect();
        let shards: Vec<_> = money
            .shards
            .values()
            .map(|shard| vec![shard.number.to_string(), shard.balance.to_string(), shard.id.to_string()])
            .collect();
        format!(
            "pool: {} MIST\n\n{}\n{}",
            money.pool.as_ref().map_or(0, |pool| pool.balance),
            table(&["EPOCH", "MIST", "WEIGHT", "CLAIM UNTIL", "ID"], &epochs),
            table(&["SHARD OF", "MIST LEFT", "ID"], &shards)
        )
    })
}
