use chain::{Address, Draft, Event, Parties, Receipt};
use serde_json::json;

use super::act::act;
use super::{Context, OPERATOR};
use crate::cli::{Grant, GrantAdd, GrantCommand, Tx};
use crate::failure::{Failure, Result};
use crate::output::{print, table};
use crate::session::Session;

/// `k3s-daas grant add|revoke|list`
pub(crate) async fn run(context: &Context, args: Grant) -> Result<()> {
    let session = Session::open(context).await?;
    match args.what {
        GrantCommand::Add(wanted) => add(context, &session, &args.tx, &wanted).await,
        GrantCommand::Revoke { grant } => revoke(context, &session, &args.tx, &grant).await,
        GrantCommand::List => list(context, &session).await,
    }
}

/// Nothing, after a dry run.
async fn execute(
    context: &Context,
    session: &Session,
    tx: &Tx,
    draft: &Draft,
    doing: &str,
) -> Result<Option<Receipt>> {
    if tx.dry_run {
        return act(context, session, tx, OPERATOR, draft, doing).await;
    }
    let sender = session.wallets.signer(tx.wallet.as_deref().unwrap_or(OPERATOR))?;
    let sponsor = tx.sponsor.as_deref().map(|name| session.wallets.signer(name)).transpose()?;
    let parties = Parties { sender: sender.as_ref(), sponsor: sponsor.as_deref() };
    session.execute(parties, draft, doing).await.map(Some)
}

async fn add(context: &Context, session: &Session, tx: &Tx, args: &GrantAdd) -> Result<()> {
    let grantee = session.wallets.address(&args.grantee)?;
    let namespace = args.namespace.as_deref().unwrap_or_default();
    let draft = session.calls.grant(session.cluster, session.admin()?, grantee, namespace, &args.role);
    let Some(receipt) = execute(context, session, tx, &draft, "granting").await? else { return Ok(()) };
    let grant = receipt.events_of(session.calls.package()).into_iter().find_map(|event| match event {
        Event::Granted(granted) => Some(granted.grant),
        _ => None,
    });
    let grant = grant.ok_or_else(|| Failure::failed("the chain granted and did not say so"))?;
    let answer = json!({
        "grantId": grant, "grantee": grantee, "namespace": namespace, "role": args.role,
        "checkpoint": receipt.checkpoint, "digest": receipt.digest.to_string(),
    });
    print(context.global.output, &answer, |_| grant.to_string())
}

async fn revoke(context: &Context, session: &Session, tx: &Tx, grant: &str) -> Result<()> {
    let id: Address = grant
        .parse()
        .map_err(|_| Failure::usage(format!("{grant:?} is no object id: see `k3s-daas grant list`")))?;
    let draft = session.calls.revoke_grant(session.admin()?, id);
    let Some(receipt) = execute(context, session, tx, &draft, "revoking the grant").await? else {
        return Ok(());
    };
    let answer =
        json!({ "grantId": id, "checkpoint": receipt.checkpoint, "digest": receipt.digest.to_string() });
    print(context.global.output, &answer, |_| id.to_string())
}

async fn list(context: &Context, session: &Session) -> Result<()> {
    let known = session.read().await?;
    let rows: Vec<Vec<String>> = known
        .grants
        .values()
        .map(|grant| {
            let who = session.wallets.name_of(&grant.grantee).map(str::to_owned);
            let place = if grant.namespace.is_empty() { "(cluster)" } else { &grant.namespace };
            vec![
                who.unwrap_or_else(|| grant.grantee.to_string()),
                place.to_owned(),
                grant.role.clone(),
                grant.id.to_string(),
            ]
        })
        .collect();
    let data: Vec<_> = known
        .grants
        .values()
        .map(|grant| {
            json!({ "grantId": grant.id, "grantee": grant.grantee, "namespace": grant.namespace, "role": grant.role })
        })
        .collect();
    print(context.global.output, &data, |_| table(&["GRANTEE", "NAMESPACE", "ROLE", "ID"], &rows))
}
