use serde_json::json;

use super::act::act;
use super::stake::time;
use super::{Context, STAKER};
use crate::cli::{Escrow, EscrowCommand as Command};
use crate::failure::Result;
use crate::input::id;
use crate::output::{print, table};
use crate::session::Session;

const STATUS: [&str; 3] = ["active", "grace", "suspended"];

/// `k3s-daas escrow …`
pub(crate) async fn run(context: &Context, args: Escrow) -> Result<()> {
    let session = Session::open(context).await?;
    let calls = &session.calls;
    let cluster = session.on_chain().await?;
    let governance = cluster.governance;
    let (draft, doing) = match &args.what {
        Command::List => return list(context, &session).await,
        Command::Open { units, amount } => {
            (calls.open_escrow(cluster.id, governance, *units, *amount), "opening the escrow")
        }
        Command::TopUp { escrow, amount } => {
            (calls.top_up_escrow(id(escrow)?, governance, *amount), "adding to the escrow")
        }
        Command::Settle { escrow } => (calls.settle(id(escrow)?, governance), "paying for the use so far"),
        Command::Withdraw { escrow, amount } => {
            (calls.withdraw_escrow(id(escrow)?, governance, *amount), "taking money out of the escrow")
        }
        Command::Resize { escrow, units } => {
            (calls.resize(id(escrow)?, governance, *units), "changing the units")
        }
        Command::Reprice { escrow } => (calls.reprice(id(escrow)?, governance), "changing the price"),
        Command::Collect { escrow } => (calls.collect(id(escrow)?, cluster.pool), "collecting what was used"),
        Command::Close { escrow } => {
            (calls.close_escrow(id(escrow)?, cluster.pool, governance), "ending the escrow")
        }
    };
    act(context, &session, &args.tx, STAKER, &draft, doing).await.map(|_| ())
}

async fn list(context: &Context, session: &Session) -> Result<()> {
    let known = session.read().await?;
    let escrows: Vec<_> = known.money.escrows.values().collect();
    print(context.global.output, &json!(escrows), |_| {
        let rows: Vec<_> = escrows
            .iter()
            .map(|escrow| {
                let rate = escrow.units.saturating_mul(escrow.price).max(1);
                let paid_until =
                    escrow.settled_ms.saturating_add((escrow.balance / rate).saturating_mul(1000));
                let owner = session.wallets.name_of(&escrow.owner).map(str::to_owned);
                vec![
                    owner.unwrap_or_else(|| escrow.owner.to_string()),
                    STATUS.get(usize::from(escrow.status)).copied().unwrap_or("?").to_owned(),
                    escrow.units.to_string(),
                    escrow.price.to_string(),
                    escrow.balance.to_string(),
                    time(paid_until),
                    escrow.id.to_string(),
                ]
            })
            .collect();
        table(&["OWNER", "STATUS", "UNITS", "PRICE", "MIST", "LASTS UNTIL", "ID"], &rows)
    })
}
