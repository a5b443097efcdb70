use chain::{Cluster, Config, Migrating, Tier, TierTerms};
use serde_json::json;

use super::act::act;
use super::stake::time;
use super::{Context, OPERATOR, now_ms};
use crate::cli::{Cluster as Args, ClusterCommand as Command, ClusterConfig, Tx};
use crate::failure::{Failure, Result};
use crate::input::{id, read_json};
use crate::output::{print, say, table};
use crate::session::Session;

const HOUR_MS: u64 = 3_600_000;

/// `k3s-daas cluster …`
pub(crate) async fn run(context: &Context, args: Args) -> Result<()> {
    let session = Session::open(context).await?;
    let cluster = session.on_chain().await?;
    let calls = &session.calls;
    let (draft, doing) = match &args.what {
        Command::Show => return show(context, &session, &cluster).await,
        Command::Migrate { object } => {
            return migrate(context, &session, &args.tx, &cluster, object.as_deref()).await;
        }
        Command::Create { name, allow_simulated } => {
            (calls.create_cluster(name, *allow_simulated), "making the cluster")
        }
        Command::Config(wanted) => {
            let config = changed(&cluster.config, wanted)?;
            (calls.set_config(cluster.id, session.admin()?, &config), "changing the configuration")
        }
        Command::Place { statement } => {
            let stated: chain::EnclaveStatement<chain::Place> = read_json(statement)?;
            let signature: &[u8; 64] =
                stated.signature.as_slice().try_into().map_err(|_| {
                    Failure::usage(format!("{}: a signature has 64 bytes", statement.display()))
                })?;
            let draft = calls.set_place(
                cluster.registry,
                stated.enclave,
                &stated.statement,
                stated.timestamp_ms,
                signature,
            );
            (draft, "saying where the cluster is")
        }
        Command::Anchor { statement } => {
            let stated = read_json(statement)?;
            (calls.record(cluster.anchor, cluster.registry, &stated), "anchoring")
        }
        Command::DeclareUnanchored { statement } => {
            let stated = read_json(statement)?;
            (calls.declare_unanchored(cluster.anchor, cluster.registry, &stated), "declaring it unanchored")
        }
        Command::Pause { hours } => {
            let until = session.now_ms().await?.saturating_add(hours.saturating_mul(HOUR_MS));
            (calls.pause(cluster.id, session.admin()?, until), "pausing")
        }
        Command::Unpause => (calls.unpause(cluster.id, session.admin()?), "ending the pause"),
    };
    act(context, &session, &args.tx, OPERATOR, &draft, doing).await.map(|_| ())
}

/// The present configuration with what was named changed.
fn changed(present: &Config, wanted: &ClusterConfig) -> Result<Config> {
    let hours = |value: Option<u64>| value.map(|hours| hours.saturating_mul(HOUR_MS));
    let tier = |tier: Tier, minimum: Option<u64>, lock: Option<u64>| -> Result<TierTerms> {
        let terms =
            present.terms(tier).ok_or_else(|| Failure::failed(format!("the cluster has no tier {tier}")))?;
        Ok(TierTerms {
            minimum: minimum.unwrap_or(terms.minimum),
            lock_ms: hours(lock).unwrap_or(terms.lock_ms),
        })
    };
    Ok(Config {
        tiers: vec![
            tier(Tier::Node, wanted.node_minimum, wanted.node_lock_hours)?,
            tier(Tier::User, wanted.user_minimum, wanted.user_lock_hours)?,
            tier(Tier::Admin, wanted.admin_minimum, wanted.admin_lock_hours)?,
        ],
        unbonding_ms: hours(wanted.unbonding_hours).unwrap_or(present.unbonding_ms),
        token_lifetime_ms: hours(wanted.token_hours).unwrap_or(present.token_lifetime_ms),
    })
}

/// Migrates one object, or the governance and everything that is known and older.
async fn migrate(
    context: &Context,
    session: &Session,
    tx: &Tx,
    cluster: &Cluster,
    object: Option<&str>,
) -> Result<()> {
    let governance = cluster.governance;
    if let Some(object) = object {
        let draft = if object == "governance" {
            session.calls.migrate_governance(session.admin()?)
        } else {
            session.calls.migrate(migrating(object)?, governance)
        };
        return act(context, session, tx, OPERATOR, &draft, "migrating").await.map(|_| ());
    }
    let draft = session.calls.migrate_governance(session.admin()?);
    act(context, session, tx, OPERATOR, &draft, "migrating the governance").await?;
    for object in everything(session, cluster).await? {
        let draft = session.calls.migrate(object, governance);
        // One object that fails, e.g. as somebody else migrated it meanwhile, does not keep the others back.
        if let Err(failure) = act(context, session, tx, OPERATOR, &draft, "migrating").await {
            say(format_args!("{object:?}: {failure}"));
        }
    }
    Ok(())
}

async fn everything(session: &Session, cluster: &Cluster) -> Result<Vec<Migrating>> {
    let known = session.read().await?;
    let mut objects = vec![
        Migrating::Cluster(cluster.id),
        Migrating::Names(cluster.names),
        Migrating::Registry(cluster.registry),
        Migrating::Anchor(cluster.anchor),
        Migrating::Pool(cluster.pool),
        Migrating::Insurance(cluster.insurance),
    ];
    objects.extend(known.enclaves.keys().map(|id| Migrating::Enclave(*id)));
    objects.extend(known.stakes.keys().map(|id| Migrating::Stake(*id)));
    objects.extend(known.tokens.keys().map(|id| Migrating::Token(*id)));
    objects.extend(known.grants.keys().map(|id| Migrating::Grant(*id)));
    objects.extend(known.money.epochs.keys().map(|id| Migrating::Epoch(*id)));
    objects.extend(known.money.shards.keys().map(|id| Migrating::Shard(*id)));
    objects.extend(known.money.escrows.keys().map(|id| Migrating::Escrow(*id)));
    objects.extend(known.money.cases.keys().map(|id| Migrating::Case(*id)));
    Ok(objects)
}

fn migrating(text: &str) -> Result<Migrating> {
    let (kind, object) = text.split_once(':').unwrap_or((text, ""));
    let make = match kind {
        "cluster" => Migrating::Cluster,
        "names" => Migrating::Names,
        "grant" => Migrating::Grant,
        "registry" => Migrating::Registry,
        "enclave" => Migrating::Enclave,
        "anchor" => Migrating::Anchor,
        "pool" => Migrating::Pool,
        "epoch" => Migrating::Epoch,
        "shard" => Migrating::Shard,
        "insurance" => Migrating::Insurance,
        "escrow" => Migrating::Escrow,
        "stake" => Migrating::Stake,
        "token" => Migrating::Token,
        "case" => Migrating::Case,
        _ => {
            return Err(Failure::usage(format!(
                "{text:?} is no object: write it as KIND:0xID, KIND one of cluster, names, grant, registry, enclave, \
                 anchor, pool, epoch, shard, insurance, escrow, stake, token, case; or `governance`"
            )));
        }
    };
    Ok(make(id(object)?))
}

async fn show(context: &Context, session: &Session, cluster: &Cluster) -> Result<()> {
    let known = session.read().await?;
    let anchor = &known.money.anchor;
    let data = json!({ "package": session.calls.package(), "cluster": cluster, "anchor": anchor,
        "stakes": known.stakes.len(), "tokens": known.tokens.len() });
    print(context.global.output, &data, |_| {
        let tiers: Vec<_> = Tier::ALL
            .into_iter()
            .filter_map(|tier| {
                let terms = cluster.config.terms(tier)?;
                let of = known.stakes.values().filter(|stake| stake.tier == tier);
                let (count, mist) = of
                    .fold((0u64, 0u64), |(count, sum), stake| (count + 1, sum.saturating_add(stake.amount)));
                let lock = format!("{} h", terms.lock_ms / HOUR_MS);
                let minimum = terms.minimum.to_string();
                Some(vec![tier.as_str().to_owned(), minimum, lock, count.to_string(), mist.to_string()])
            })
            .collect();
        let or = |text: &str| if text.is_empty() { "not set".to_owned() } else { text.to_owned() };
        let mut facts = vec![
            vec!["name".to_owned(), cluster.name.clone()],
            vec!["package".to_owned(), session.calls.package().to_string()],
            vec!["cluster".to_owned(), cluster.id.to_string()],
            vec!["gateway".to_owned(), or(&cluster.gateway)],
            vec!["apiserver".to_owned(), or(&cluster.apiserver)],
            vec!["CA".to_owned(), or(&hex::encode(&cluster.ca_hash))],
            vec!["unbonding".to_owned(), format!("{} h", cluster.config.unbonding_ms / HOUR_MS)],
            vec!["token lifetime".to_owned(), format!("{} h", cluster.config.token_lifetime_ms / HOUR_MS)],
        ];
        if cluster.paused_until_ms > now_ms() {
            facts.push(vec!["paused until".to_owned(), time(cluster.paused_until_ms)]);
        }
        if let Some(anchor) = anchor {
            facts.push(vec!["anchored revision".to_owned(), anchor.revision.to_string()]);
        }
        format!(
            "{}\n{}",
            table(&["TIER", "MINIMUM", "LOCK", "STAKES", "MIST"], &tiers),
            table(&["FACT", "VALUE"], &facts)
        )
    })
}
