use std::io::Read;
use std::path::Path;

use chain::{Address, Event, Parties, Receipt};
use serde_json::json;
use zeroize::Zeroizing;

use super::act::act;
use super::{Context, now_ms};
use crate::cli;
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::invitation::{Invitation, MAX_TEXT};
use crate::output::{print, say, table};
use crate::session::Session;
use crate::state_dir::write_file;
use crate::tokens::{Token, new_key, save_key};

/// `k3s-daas token …`
pub(crate) async fn run(context: &Context, command: cli::Token) -> Result<()> {
    match command {
        cli::Token::Mint { name, ttl, k3s } => mint(context, &name, ttl, k3s).await,
        cli::Token::List => list(context).await,
        cli::Token::Export { name, write } => export(context, name.as_deref(), write.as_deref()),
        cli::Token::Import { file } => import(context, &file),
        cli::Token::Renew(args) => change(context, &args, Change::Renew).await,
        cli::Token::Rotate(args) => change(context, &args, Change::Rotate).await,
        cli::Token::Revoke(args) => change(context, &args, Change::Revoke).await,
        cli::Token::Issue(args) => change(context, &args, Change::Issue).await,
    }
}

async fn mint(context: &Context, name: &str, ttl: u64, k3s: bool) -> Result<()> {
    let token = Token::load(&context.state, name)?;
    let audience = Deployment::load(&context.state)?.audience()?;
    let ttl_ms = ttl.checked_mul(1000).ok_or_else(|| Failure::usage("--ttl is too long"))?;
    let proof = token.mint(&context.state, audience, now_ms(), ttl_ms)?;
    let text = if k3s {
        let ca = super::kubeconfig::cluster_ca(context).await?;
        seal_token::K3sToken::seal(super::kubeconfig::pem_hash(&ca), &proof).to_string()
    } else {
        proof.to_string()
    };
    print(context.global.output, &json!({ "token": text }), |_| text.clone())
}

fn export(context: &Context, name: Option<&str>, write: Option<&Path>) -> Result<()> {
    let chain_url = context.settings.chain_url(&Deployment::load(&context.state)?);
    if ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| chain_url.contains(host)) {
        say(format_args!("the chain is {chain_url}, which no other machine reaches: give --chain URL"));
    }
    let text = Invitation::of(&context.state, chain_url, name)?.to_text()?;
    match write {
        None => print(context.global.output, &json!({ "invitation": *text }), |_| text.to_string())?,
        Some(path) => {
            let line = Zeroizing::new(format!("{}\n", *text));
            write_file(path, line.as_bytes()).context(format_args!("writing {}", path.display()))?;
        }
    }
    say(match name {
        Some(_) => {
            "whoever has this line is that node: carry it safely; there: k3s-daas worker --token-file FILE"
        }
        None => "this line is no secret; there: k3s-daas token import FILE, then k3s-daas stake --tier node",
    });
    Ok(())
}

fn import(context: &Context, file: &Path) -> Result<()> {
    let name = take_in(context, file)?;
    print(context.global.output, &json!({ "name": name }), |_| name.clone().unwrap_or_default())?;
    say(match &name {
        Some(name) => format!("next: k3s-daas worker --token {name}"),
        None => "next: k3s-daas wallet new NAME, then k3s-daas stake --tier node --node-name NAME".to_owned(),
    });
    Ok(())
}

/// Takes in the invitation in `file`; the name of its token.
pub(crate) fn take_in(context: &Context, file: &Path) -> Result<Option<String>> {
    let limit = u64::try_from(MAX_TEXT).unwrap_or(u64::MAX) + 2;
    let mut text = Zeroizing::new(String::new());
    let read = if file == Path::new("-") {
        std::io::stdin().take(limit).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(limit).read_to_string(&mut text))
    };
    read.context(format_args!("reading {}", file.display()))?;
    Invitation::parse(&text)?.accept(&context.state)
}

async fn list(context: &Context) -> Result<()> {
    let session = Session::open(context).await?;
    let known = session.read().await?;
    let now = now_ms();
    let mut data = Vec::new();
    let mut rows = Vec::new();
    for token in Token::all(&context.state)? {
        let stake = token.stake_id.and_then(|id| known.stakes.get(&id));
        let on_chain = token.token_id.and_then(|id| known.tokens.get(&id));
        let standing = match (stake, on_chain) {
            (None, _) => "no stake",
            (Some(stake), _) if stake.unbonding_ms.is_some() => "unbonding",
            (Some(_), None) => "not issued",
            (Some(_), Some(token)) if token.revoked => "revoked",
            (Some(_), Some(token)) if token.expires_ms <= now => "expired",
            (Some(stake), Some(_)) if !known.covers_tier(&stake.id) => "stake too small",
            _ => "live",
        };
        let tier = stake.map_or("", |stake| stake.tier.as_str());
        let expires = on_chain.map(|token| super::stake::time(token.expires_ms)).unwrap_or_default();
        rows.push(vec![
            token.name.clone(),
            tier.to_owned(),
            standing.to_owned(),
            stake.map(|stake| stake.amount.to_string()).unwrap_or_default(),
            expires.clone(),
            token.wallet.clone(),
        ]);
        data.push(json!({
            "name": token.name, "tier": tier, "standing": standing, "wallet": token.wallet,
            "mist": stake.map(|stake| stake.amount), "expires": expires,
            "stakeId": token.stake_id, "tokenId": token.token_id, "nodeName": token.node_name,
        }));
    }
    print(context.global.output, &data, |_| {
        table(&["NAME", "TIER", "STANDING", "MIST", "EXPIRES", "WALLET"], &rows)
    })
}

/// Lets a token live on: renews it while it is live, issues it anew when it has expired.
pub(crate) async fn extend(context: &Context, session: &Session, name: &str, live: bool) -> Result<()> {
    let change = if live { Change::Renew } else { Change::Issue };
    apply(context, session, name, change, &cli::Tx::default()).await.map(|_| ())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Renew,
    Rotate,
    Revoke,
    Issue,
}

async fn change(context: &Context, args: &cli::TokenChange, change: Change) -> Result<()> {
    let session = Session::open(context).await?;
    let Some((id, receipt)) = apply(context, &session, &args.name, change, &args.tx).await? else {
        return Ok(());
    };
    let answer = json!({ "tokenId": id.to_string(), "checkpoint": receipt.checkpoint, "digest": receipt.digest.to_string() });
    print(context.global.output, &answer, |_| id.to_string())?;
    say(match change {
        Change::Renew => "renewed",
        Change::Rotate => "the key was replaced, on chain and here",
        Change::Revoke => "revoked: it is refused from this checkpoint on",
        Change::Issue => "issued anew, under a new key",
    });
    Ok(())
}

/// Nothing, after a dry run.
async fn apply(
    context: &Context,
    session: &Session,
    name: &str,
    change: Change,
    tx: &cli::Tx,
) -> Result<Option<(Address, Receipt)>> {
    let mut token = Token::load(&context.state, name)?;
    let sender = session.wallets.signer(tx.wallet.as_deref().unwrap_or(&token.wallet))?;
    let sponsor = tx.sponsor.as_deref().map(|name| session.wallets.signer(name)).transpose()?;
    let parties = Parties { sender: sender.as_ref(), sponsor: sponsor.as_deref() };
    let stake = token.stake_id.ok_or_else(|| Failure::usage(format!("{name:?} has no stake yet")))?;
    let Some(id) = token.token_id else {
        return Err(Failure::usage(format!(
            "{name:?} has no token yet: run the same `k3s-daas stake` again"
        )));
    };
    let path = session.path(id, stake);
    // A new key is durable under another name before the chain knows it.
    let next = format!("{name}-next");
    let new = match change {
        Change::Rotate | Change::Issue => {
            let key = new_key();
            if !tx.dry_run {
                save_key(&context.state, &next, &key)?;
            }
            Some(key)
        }
        Change::Renew | Change::Revoke => None,
    };
    let (draft, doing) = match (change, &new) {
        (Change::Rotate, Some(key)) => {
            let generation = generation(session, id).await? + 1;
            let public_key = key.verifying_key().to_bytes();
            let message =
                chain::possession_message(id, generation, &public_key).context("building the statement")?;
            let signature = ed25519_dalek::Signer::sign(key, &message).to_bytes();
            (session.calls.rotate_key(path, &public_key, &signature), "rotating the key")
        }
        (Change::Issue, Some(key)) => {
            (session.calls.reissue_token(path, &key.verifying_key().to_bytes()), "issuing the token anew")
        }
        (Change::Renew, _) => (session.calls.renew_token(path), "renewing the token"),
        _ => (session.calls.revoke_token(id), "revoking the token"),
    };
    if tx.dry_run {
        act(context, session, tx, &token.wallet, &draft, doing).await?;
        return Ok(None);
    }
    let receipt = session.execute(parties, &draft, doing).await?;
    if new.is_some() {
        for event in receipt.events_of(session.calls.package()) {
            if let Event::TokenIssued(issued) = event {
                super::stake::remember(&mut token, issued.token, &issued.seal);
                token.save(&context.state)?;
            }
        }
        let (from, to) =
            (crate::tokens::key_file(&context.state, &next), crate::tokens::key_file(&context.state, name));
        std::fs::rename(&from, &to).context(format_args!("moving {} to {}", from.display(), to.display()))?;
    }
    Ok(Some((id, receipt)))
}

async fn generation(session: &Session, id: Address) -> Result<u64> {
    let known = session.read().await?;
    let token = known.tokens.get(&id);
    token
        .map(|token| token.generation)
        .ok_or_else(|| Failure::failed(format!("the chain knows no token {id}")))
}
