use chain::{Case, Court};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::act::act;
use super::stake::time;
use super::{Context, OPERATOR, STAKER};
use crate::cli::{Slash, SlashCommand as Command};
use crate::failure::{Context as _, Result};
use crate::input::{id, read, read_json};
use crate::output::{print, table};
use crate::session::Session;

const REASONS: [&str; 4] = ["downtime", "attestation", "contradiction", "tampering"];

/// `k3s-daas slash …`
pub(crate) async fn run(context: &Context, args: Slash) -> Result<()> {
    let session = Session::open(context).await?;
    let calls = &session.calls;
    let cluster = session.on_chain().await?;
    let court = Court { cluster: cluster.id, governance: cluster.governance, registry: cluster.registry };
    let (wallet, draft, doing) = match &args.what {
        Command::List => return list(context, &session).await,
        Command::Propose { evidence } => {
            (OPERATOR, calls.propose_penalty(court, &read_json(evidence)?), "proposing the penalty")
        }
        Command::Contradiction { stake, public_key, first, second } => {
            let stake = super::stake::stake_id(context, stake)?;
            let key = crate::tokens::bytes32(public_key, "public key")?;
            let (first, second) = (read_json(first)?, read_json(second)?);
            let draft = calls.propose_contradiction(court, stake, &key, &first, &second);
            (OPERATOR, draft, "proposing the penalty")
        }
        Command::Contest { case, statement } => {
            let digest = Sha256::digest(read(statement)?).into();
            (STAKER, calls.contest(id(case)?, &digest), "contesting the penalty")
        }
        Command::Execute { case } => {
            let case = open_case(&session, case).await?;
            let draft = calls.execute_penalty(case.id, case.stake, cluster.id, cluster.insurance);
            (STAKER, draft, "executing the penalty")
        }
        Command::Dismiss { case } => {
            let case = open_case(&session, case).await?;
            (OPERATOR, calls.dismiss(case.id, case.stake, session.admin()?), "dismissing the penalty")
        }
        Command::Lapse { case } => {
            let case = open_case(&session, case).await?;
            (STAKER, calls.lapse(case.id, case.stake), "freeing the stake")
        }
    };
    act(context, &session, &args.tx, wallet, &draft, doing).await.map(|_| ())
}

async fn open_case(session: &Session, case: &str) -> Result<Case> {
    let id = id(case)?;
    session.client.read(session.calls.package(), id).await.context(format_args!("reading the penalty {id}"))
}

async fn list(context: &Context, session: &Session) -> Result<()> {
    let known = session.read().await?;
    let cases: Vec<_> = known.money.cases.values().collect();
    print(context.global.output, &json!(cases), |_| {
        let rows: Vec<_> = cases
            .iter()
            .map(|case| {
                vec![
                    REASONS.get(usize::from(case.reason)).copied().unwrap_or("?").to_owned(),
                    case.amount.to_string(),
                    if case.contested { "yes" } else { "no" }.to_owned(),
                    time(case.executes_ms),
                    time(case.lapses_ms),
                    case.stake.to_string(),
                    case.id.to_string(),
                ]
            })
            .collect();
        table(&["REASON", "MIST", "CONTESTED", "EXECUTED FROM", "LAPSES", "STAKE", "ID"], &rows)
    })
}
