use chain::{Address, Event};
use serde_json::json;

use super::act::rehearse;
use super::{Context, OPERATOR};
use crate::cli::{Grant, GrantAdd};
use crate::failure::{Failure, Result};
use crate::output::{print, table};
use crate::session::Session;

/// `k3s-daas grant add|revoke|list`
pub(crate) async fn run(context: &Context, command: Grant) -> Result<()> {
    let session = Session::open(context).await?;
    match command {
        Grant::Add(args) => add(context, &session, &args).await,
        Grant::Revoke { grant, dry_run } => revoke(context, &session, &grant, dry_run).await,
        Grant::List => list(context, &session).await,
    }
}

async fn add(context: &Context, session: &Session, args: &GrantAdd) -> Result<()> {
    let grantee = session.wallets.address(&args.grantee)?;
    let namespace = args.namespace.as_deref().unwrap_or_default();
    let draft = session.calls.grant(session.cluster, session.admin()?, grantee, namespace, &args.role);
    if args.dry_run {
        return rehearse(context, session, OPERATOR, &draft, "granting").await;
    }
    let receipt = session.execute(session.wallets.get(OPERATOR)?, &draft, "granting").await?;
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

async fn revoke(context: &Context, session: &Session, grant: &str, dry_run: bool) -> Result<()> {
    let id: Address = grant
        .parse()
        .map_err(|_| Failure::usage(format!("{grant:?} is no object id: see `k3s-daas grant list`")))?;
    let draft = session.calls.revoke_grant(session.admin()?, id);
    if dry_run {
        return rehearse(context, session, OPERATOR, &draft, "revoking the grant").await;
    }
    let receipt = session.execute(session.wallets.get(OPERATOR)?, &draft, "revoking the grant").await?;
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
