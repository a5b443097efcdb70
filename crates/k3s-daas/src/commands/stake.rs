use chain::{Address, Event, Parties, Tier};
use serde_json::json;

use super::Context;
use super::act::act;
use super::drain;
use crate::cli;
use crate::failure::{Failure, Result};
use crate::output::{Step, print, say, table};
use crate::session::Session;
use crate::tokens::{Token, load_or_make_key};

/// What is wanted of a stake and its token.
pub(crate) struct Wish {
    pub(crate) name: String,
    pub(crate) wallet: String,
    /// Who pays for gas, when that is somebody else.
    pub(crate) sponsor: Option<String>,
    pub(crate) tier: Tier,
    pub(crate) amount: Option<u64>,
    pub(crate) node_name: Option<String>,
}

/// `k3s-daas stake`
pub(crate) async fn stake(context: &Context, args: cli::Stake) -> Result<()> {
    let tier = match (args.what, args.tier) {
        (Some(cli::StakeCommand::List), _) => return list(context).await,
        (Some(cli::StakeCommand::TopUp { tx, stake, amount }), _) => {
            return top_up(context, &tx, &stake, amount).await;
        }
        (Some(cli::StakeCommand::Maintenance { tx, stake, minutes, hours }), _) => {
            return maintenance(context, &tx, &stake, minutes, hours).await;
        }
        (None, Some(cli::Tier::Node)) => Tier::Node,
        (None, Some(cli::Tier::User)) => Tier::User,
        (None, Some(cli::Tier::Admin)) => Tier::Admin,
        (None, None) => return Err(Failure::usage("say what the stake is for with --tier")),
    };
    if (tier == Tier::Node) != args.node_name.is_some() {
        return Err(Failure::usage("--node-name NAME goes with --tier node, and only with it"));
    }
    let name = args.name.or_else(|| args.node_name.clone()).unwrap_or_else(|| args.wallet.clone());
    if let Some(token) = Token::find(&context.state, &name)?
        && token.token_id.is_some()
    {
        return Err(Failure::usage(format!(
            "there is a token {name:?} here already; choose another with --name, or see `k3s-daas token list`"
        )));
    }
    let session = Session::open(context).await?;
    if args.dry_run {
        let amount = match args.amount {
            Some(amount) => amount,
            None => minimum(&session, tier).await?,
        };
        let tx = cli::Tx { wallet: Some(args.wallet), sponsor: args.sponsor, dry_run: true };
        let draft = session.calls.stake(session.cluster, tier, amount);
        return act(context, &session, &tx, "", &draft, "staking").await.map(|_| ());
    }
    let wish = Wish {
        name,
        wallet: args.wallet,
        sponsor: args.sponsor,
        tier,
        amount: args.amount,
        node_name: args.node_name,
    };
    let token = ensure(context, &session, &wish).await?;
    print(context.global.output, &token, |token| {
        format!("{} {}", token.name, token.stake_id.map(|id| id.to_string()).unwrap_or_default())
    })?;
    say(match &token.node_name {
        Some(_) => format!(
            "next: k3s-daas worker --token {0} here, or k3s-daas token export {0} for another machine",
            token.name
        ),
        None => format!("next: k3s-daas kubeconfig --token {} > {}.kubeconfig", token.name, token.name),
    });
    Ok(())
}

/// The stake and token that are wished for; those that are there are not bought again, also after a crash
/// at any point.
pub(crate) async fn ensure(context: &Context, session: &Session, wish: &Wish) -> Result<Token> {
    let state = &context.state;
    let sender = session.wallets.signer(&wish.wallet)?;
    let sponsor = wish.sponsor.as_deref().map(|name| session.wallets.signer(name)).transpose()?;
    let parties = Parties { sender: sender.as_ref(), sponsor: sponsor.as_deref() };
    let mut token = match Token::find(state, &wish.name)? {
        Some(token) => token,
        None => Token {
            name: wish.name.clone(),
            wallet: wish.wallet.clone(),
            stake_id: None,
            token_id: None,
            seal: None,
            node_name: wish.node_name.clone(),
        },
    };
    let stake = match token.stake_id {
        Some(stake) => stake,
        None => {
            let step = Step::start(format!("staking as {} ({})", wish.name, wish.tier.as_str()));
            let amount = match wish.amount {
                Some(amount) => amount,
                None => minimum(session, wish.tier).await?,
            };
            let pending = format!("stake-{}", wish.name);
            let draft = session.calls.stake(session.cluster, wish.tier, amount);
            let receipt = session.execute_once(parties, &draft, &pending, "staking").await?;
            let stake = receipt
                .events_of(session.calls.package())
                .into_iter()
                .find_map(|event| match event {
                    Event::Staked(staked) => Some(staked.stake),
                    _ => None,
                })
                .ok_or_else(|| {
                    Failure::failed("the chain staked and did not say so: look at the transaction")
                })?;
            token.stake_id = Some(stake);
            token.save(state)?;
            session.forget(&pending)?;
            step.done(format_args!("{amount} MIST locked in {stake}"));
            stake
        }
    };
    if token.token_id.is_none() {
        issue(context, session, parties, &mut token, stake).await?;
    }
    Ok(token)
}

async fn minimum(session: &Session, tier: Tier) -> Result<u64> {
    let state = session.read().await?;
    let terms = state.cluster.as_ref().and_then(|cluster| cluster.config.terms(tier));
    terms.map(|terms| terms.minimum).ok_or_else(|| Failure::failed("the cluster has no terms for this tier"))
}

/// Issues the first token of a stake, or finds the one that an interrupted run issued.
async fn issue(
    context: &Context,
    session: &Session,
    parties: Parties<'_>,
    token: &mut Token,
    stake: Address,
) -> Result<()> {
    let step = Step::start(format!("issuing the seal token {}", token.name));
    let key = load_or_make_key(&context.state, &token.name)?;
    let public_key = key.verifying_key().to_bytes();
    let known = session.read().await?;
    if let Some(found) = known.tokens.values().find(|found| found.stake == stake) {
        if found.public_key != public_key {
            return Err(Failure::failed(format!(
                "stake {stake} has token {} under a key that is not here: `k3s-daas token revoke` and issue it anew",
                found.id
            )));
        }
        remember(token, found.id, &found.seal);
    } else {
        let node_name = token.node_name.clone().unwrap_or_default();
        let draft =
            session.calls.issue_token(stake, session.cluster, session.names()?, &public_key, &node_name);
        let receipt = session.execute(parties, &draft, "issuing the seal token").await?;
        let issued = receipt.events_of(session.calls.package()).into_iter().find_map(|event| match event {
            Event::TokenIssued(issued) => Some(issued),
            _ => None,
        });
        let issued = issued.ok_or_else(|| Failure::failed("the chain issued a token and did not say so"))?;
        remember(token, issued.token, &issued.seal);
    }
    token.save(&context.state)?;
    step.done(token.token_id.map(|id| id.to_string()).unwrap_or_default());
    Ok(())
}

pub(crate) fn remember(token: &mut Token, id: Address, seal: &[u8]) {
    token.token_id = Some(id);
    token.seal = Some(hex::encode(seal));
}

/// `k3s-daas unstake`
pub(crate) async fn unstake(context: &Context, args: cli::Unstake) -> Result<()> {
    let session = Session::open(context).await?;
    let (stake, wallet) = find(context, &args.stake.stake, &args.tx)?;
    if args.drain {
        let token = Token::all(&context.state)?.into_iter().find(|token| token.stake_id == Some(stake));
        let token = token.ok_or_else(|| {
            Failure::usage(
                "--drain asks the master with the node's token, and it is not in this state directory",
            )
        })?;
        drain::before_leaving(context, &session, &args.tx, &token, args.drain_timeout).await?;
    }
    let draft = session.calls.request_unstake(stake, session.cluster);
    let receipt = act(context, &session, &args.tx, &wallet, &draft, "asking the stake back").await?;
    let events = receipt.iter().flat_map(|receipt| receipt.events_of(session.calls.package()));
    for event in events {
        if let Event::UnstakeRequested(asked) = event {
            say(format_args!(
                "its token is worth nothing from now on; the money can be taken from {}",
                time(asked.locked_until_ms)
            ));
        }
    }
    Ok(())
}

/// `k3s-daas withdraw`
pub(crate) async fn withdraw(context: &Context, args: cli::Withdraw) -> Result<()> {
    let session = Session::open(context).await?;
    let (stake, wallet) = find(context, &args.stake.stake, &args.tx)?;
    let draft = session.calls.withdraw(stake, session.names()?);
    act(context, &session, &args.tx, &wallet, &draft, "withdrawing").await.map(|_| ())
}

/// `k3s-daas stake list`
async fn list(context: &Context) -> Result<()> {
    let session = Session::open(context).await?;
    let known = session.read().await?;
    let stakes: Vec<_> = known.stakes.values().collect();
    print(context.global.output, &json!(stakes), |_| {
        let rows: Vec<_> = stakes
            .iter()
            .map(|stake| {
                let owner = session.wallets.name_of(&stake.owner).map(str::to_owned);
                let standing = match stake.unbonding_ms {
                    Some(_) => format!("unbonding until {}", time(stake.locked_until_ms)),
                    None if stake.penalties.cases > 0 => "penalty pending".to_owned(),
                    None if !known.covers_tier(&stake.id) => "too small".to_owned(),
                    None => "live".to_owned(),
                };
                vec![
                    owner.unwrap_or_else(|| stake.owner.to_string()),
                    stake.tier.as_str().to_owned(),
                    stake.amount.to_string(),
                    standing,
                    stake.node_name.clone().unwrap_or_default(),
                    stake.id.to_string(),
                ]
            })
            .collect();
        table(&["OWNER", "TIER", "MIST", "STANDING", "NODE", "ID"], &rows)
    })
}

async fn top_up(context: &Context, tx: &cli::Tx, stake: &str, amount: u64) -> Result<()> {
    let session = Session::open(context).await?;
    let (stake, wallet) = find(context, stake, tx)?;
    let draft = session.calls.top_up(stake, amount);
    act(context, &session, tx, &wallet, &draft, "adding to the stake").await.map(|_| ())
}

async fn maintenance(context: &Context, tx: &cli::Tx, stake: &str, minutes: u64, hours: u64) -> Result<()> {
    if hours == 0 || hours > 24 {
        return Err(Failure::usage("--for: maintenance lasts between 1 and 24 hours"));
    }
    let session = Session::open(context).await?;
    let (stake, wallet) = find(context, stake, tx)?;
    let from_ms = session.now_ms().await?.saturating_add(minutes.max(1).saturating_mul(60_000));
    let to_ms = from_ms.saturating_add(hours.saturating_mul(3_600_000));
    let draft = session.calls.announce_maintenance(stake, from_ms, to_ms);
    if act(context, &session, tx, &wallet, &draft, "announcing maintenance").await?.is_some() {
        say(format_args!(
            "the node is drained before {} and expected back at {}",
            time(from_ms),
            time(to_ms)
        ));
    }
    Ok(())
}

/// A stake by the name of its token here, or by its id.
pub(crate) fn stake_id(context: &Context, text: &str) -> Result<Address> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let token = Token::load(&context.state, text)?;
    token.stake_id.ok_or_else(|| Failure::usage(format!("{text:?} has no stake")))
}

/// The stake, and the name of the wallet that owns it.
fn find(context: &Context, text: &str, tx: &cli::Tx) -> Result<(Address, String)> {
    let id = stake_id(context, text)?;
    let known = Token::all(&context.state)?.into_iter().find(|token| token.stake_id == Some(id));
    let wallet = tx.wallet.clone().or(known.map(|token| token.wallet));
    let wallet = wallet.ok_or_else(|| Failure::usage("say which wallet owns this stake with --wallet"))?;
    Ok((id, wallet))
}

/// Milliseconds since the Unix epoch for people.
pub(crate) fn time(ms: u64) -> String {
    super::credential::rfc3339(ms / 1000).unwrap_or_else(|_| format!("{ms} ms"))
}
