use chain::{Address, Cluster, Event};
use serde_json::json;

use super::act::act;
use super::claims::{self, Claiming};
use super::stake::time;
use super::{Context, OPERATOR, STAKER};
use crate::cli::{Rewards, RewardsCommand as Command, Tx};
use crate::failure::{Failure, Result};
use crate::input::{id, read_json};
use crate::output::{print, table};
use crate::session::Session;

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
            let found = claims::find(context, &session, of).await?;
            (STAKER, calls.open_shard(found.epoch.id, &found.shard), "opening the shard")
        }
        Command::Claim(of) => {
            let found = claims::find(context, &session, of).await?;
            let shard = match (&found.opened, args.tx.dry_run) {
                (Some(shard), _) => shard.id,
                (None, true) => {
                    let draft = calls.open_shard(found.epoch.id, &found.shard);
                    return act(context, &session, &args.tx, STAKER, &draft, "opening the shard")
                        .await
                        .map(|_| ());
                }
                (None, false) => open(context, &session, &args.tx, &found).await?,
            };
            (STAKER, calls.claim(shard, &found.claim), "claiming")
        }
        Command::SweepShard { shard } => (STAKER, calls.sweep_shard(id(shard)?, pool), "sweeping the shard"),
        Command::SweepEpoch { epoch } => (STAKER, calls.sweep_epoch(id(epoch)?, pool), "sweeping the epoch"),
    };
    act(context, &session, &args.tx, wallet, &draft, doing).await.map(|_| ())
}

/// Opens the shard, as nobody did before; gives it.
async fn open(context: &Context, session: &Session, tx: &Tx, found: &Claiming) -> Result<Address> {
    let draft = session.calls.open_shard(found.epoch.id, &found.shard);
    let receipt = act(context, session, tx, STAKER, &draft, "opening the shard").await?;
    let events = receipt.map(|receipt| receipt.events_of(session.calls.package())).unwrap_or_default();
    let opened = events.into_iter().find_map(|event| match event {
        Event::ShardOpened(opened) => Some(opened.shard),
        _ => None,
    });
    opened.ok_or_else(|| Failure::failed("the chain did not say which shard was opened"))
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
