use chain::{Address, Draft, Economics, Event, Upgrader};
use serde_json::json;

use super::act::act;
use super::stake::time;
use super::{Context, OPERATOR, STAKER};
use crate::cli::{CapCommand, EconomicsCommand, Govern, GovernCommand, InsuranceCommand, Tx, UpgradeCommand};
use crate::failure::{Context as _, Failure, Result};
use crate::input::{id, read_toml};
use crate::output::{print, table};
use crate::session::Session;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;

/// `k3s-daas govern …`
pub(crate) async fn run(context: &Context, args: Govern) -> Result<()> {
    let mut session = Session::open(context).await?;
    match args.what {
        GovernCommand::Show => show(context, &session).await,
        GovernCommand::Cap(what) => cap(context, &mut session, &args.tx, what).await,
        GovernCommand::Economics(what) => economics(context, &session, &args.tx, what).await,
        GovernCommand::Insurance(what) => insurance(context, &session, &args.tx, what).await,
        GovernCommand::Upgrade(what) => upgrade(context, &mut session, &args.tx, what).await,
        GovernCommand::RevokeToken { token } => {
            let token = match crate::tokens::Token::find(&context.state, &token)? {
                Some(known) => {
                    known.token_id.ok_or_else(|| Failure::usage(format!("{token:?} has no token")))?
                }
                None => id(&token)?,
            };
            let draft = session.calls.revoke_token_by_governance(token, session.admin()?);
            act(context, &session, &args.tx, OPERATOR, &draft, "ending the token").await.map(|_| ())
        }
    }
}

async fn cap(context: &Context, session: &mut Session, tx: &Tx, what: CapCommand) -> Result<()> {
    let calls = session.calls;
    let (draft, doing): (Draft, &str) = match &what {
        CapCommand::Issue { recipient, days } => {
            let until = session.now_ms().await?.saturating_add(days.saturating_mul(DAY_MS));
            let recipient = session.wallets.address(recipient)?;
            (calls.issue_cap(session.admin()?, recipient, until), "issuing the capability")
        }
        CapCommand::Revoke { cap } => {
            (calls.revoke_cap(session.admin()?, id(cap)?), "revoking the capability")
        }
        CapCommand::Offer { recipient } => {
            let recipient = session.wallets.address(recipient)?;
            (calls.offer_cap(session.admin()?, recipient), "offering the capability")
        }
        CapCommand::WithdrawOffer => (calls.withdraw_offer(session.admin()?), "withdrawing the offer"),
        CapCommand::Accept { cap } => {
            let governance = session.on_chain().await?.governance;
            (calls.accept_cap(governance, id(cap)?), "accepting the capability")
        }
    };
    let receipt = act(context, session, tx, OPERATOR, &draft, doing).await?;
    // Who accepts a capability acts by it from now on.
    if let (CapCommand::Accept { .. }, Some(receipt)) = (&what, receipt) {
        for event in receipt.events_of(calls.package()) {
            if let Event::CapIssued(issued) = event {
                session.deployment.cap = Some(issued.cap);
                session.deployment.save(&context.state)?;
            }
        }
    }
    Ok(())
}

async fn economics(context: &Context, session: &Session, tx: &Tx, what: EconomicsCommand) -> Result<()> {
    let (draft, doing) = match what {
        EconomicsCommand::Show => {
            let economics = in_force(session).await?;
            return print(context.global.output, &economics, |economics| {
                toml::to_string(economics).unwrap_or_default()
            });
        }
        EconomicsCommand::Propose { file } => {
            let wanted = changed(&in_force(session).await?, &read_toml(&file)?)?;
            (session.calls.propose_economics(session.admin()?, &wanted), "proposing economics")
        }
        EconomicsCommand::Cancel => {
            (session.calls.cancel_economics(session.admin()?), "withdrawing the proposal")
        }
        EconomicsCommand::Apply => {
            (session.calls.apply_economics(session.admin()?), "putting the proposal in force")
        }
    };
    act(context, session, tx, OPERATOR, &draft, doing).await.map(|_| ())
}

async fn in_force(session: &Session) -> Result<Economics> {
    let known = session.read().await?;
    known.money.economics.ok_or_else(|| Failure::failed("the chain has no economics of this cluster"))
}

/// The present values with those of the file laid over them. A key that is none is named.
fn changed(present: &Economics, file: &toml::Table) -> Result<Economics> {
    let mut table = toml::Table::try_from(present).context("reading the present economics")?;
    for (key, value) in file {
        match table.get_mut(key) {
            Some(place) => *place = value.clone(),
            None => {
                let known: Vec<&str> = table.keys().map(String::as_str).collect();
                return Err(Failure::usage(format!("there is no {key:?}: use {}", known.join(", "))));
            }
        }
    }
    table.try_into().map_err(|error| Failure::usage(format!("the proposed economics: {error}")))
}

async fn insurance(context: &Context, session: &Session, tx: &Tx, what: InsuranceCommand) -> Result<()> {
    let pool = session.on_chain().await?.insurance;
    let calls = &session.calls;
    let (wallet, draft, doing) = match what {
        InsuranceCommand::Donate { amount } => {
            (STAKER, calls.donate(pool, amount), "adding to the insurance pool")
        }
        InsuranceCommand::Propose { recipient, amount } => {
            let recipient = session.wallets.address(&recipient)?;
            let draft = calls.propose_payout(pool, session.admin()?, amount, recipient);
            (OPERATOR, draft, "proposing the payout")
        }
        InsuranceCommand::Cancel { number } => {
            (OPERATOR, calls.cancel_payout(pool, session.admin()?, number), "withdrawing the payout")
        }
        InsuranceCommand::Pay { number } => (OPERATOR, calls.pay(pool, session.admin()?, number), "paying"),
    };
    act(context, session, tx, wallet, &draft, doing).await.map(|_| ())
}

async fn upgrade(context: &Context, session: &mut Session, tx: &Tx, what: UpgradeCommand) -> Result<()> {
    let calls = session.calls;
    let contracts = chain::package::bundled();
    let (draft, doing) = match &what {
        UpgradeCommand::Show => {
            let upgrader = upgrader(session).await?;
            return print(context.global.output, &upgrader, |upgrader| {
                let waiting = upgrader.pending.as_ref().map_or_else(
                    || "no upgrade is announced".to_owned(),
                    |pending| format!("{} from {}", hex::encode(&pending.digest), time(pending.ripe_ms)),
                );
                format!(
                    "owner {}, timelock {} h, package {}\n{waiting}",
                    upgrader.owner,
                    upgrader.delay_ms / HOUR_MS,
                    upgrader.cap.package
                )
            });
        }
        UpgradeCommand::Guard { hours } => {
            let owner = session.wallets.signer(tx.wallet.as_deref().unwrap_or(OPERATOR))?.address();
            let cap = upgrade_cap(session, owner).await?;
            (calls.guard(cap, hours.saturating_mul(HOUR_MS)), "putting upgrades behind a timelock")
        }
        UpgradeCommand::Propose => {
            let draft = calls.propose_upgrade(upgrader_id(session)?, 0, &contracts.digest());
            (draft, "announcing the upgrade")
        }
        UpgradeCommand::Cancel => (calls.cancel_upgrade(upgrader_id(session)?), "withdrawing the upgrade"),
        UpgradeCommand::Apply => {
            let upgrader = upgrader(session).await?;
            (calls.upgrade(upgrader.id, upgrader.cap.package, &contracts), "upgrading the contracts")
        }
        UpgradeCommand::Offer { recipient } => {
            let recipient = session.wallets.address(recipient)?;
            (calls.offer_upgrader(upgrader_id(session)?, recipient), "offering the right to upgrade")
        }
        UpgradeCommand::Accept => {
            (calls.accept_upgrader(upgrader_id(session)?), "accepting the right to upgrade")
        }
        UpgradeCommand::Migrate => (calls.migrate_upgrader(upgrader_id(session)?), "migrating the upgrader"),
    };
    let receipt = act(context, session, tx, OPERATOR, &draft, doing).await?;
    for event in receipt.iter().flat_map(|receipt| receipt.events_of(calls.package())) {
        if let Event::UpgraderCreated(created) = event {
            session.deployment.upgrader = Some(created.upgrader);
            session.deployment.save(&context.state)?;
        }
    }
    Ok(())
}

fn upgrader_id(session: &Session) -> Result<Address> {
    session.deployment.upgrader.ok_or_else(|| {
        Failure::not_ready("upgrades are not behind a timelock yet: `k3s-daas govern upgrade guard`")
    })
}

async fn upgrader(session: &Session) -> Result<Upgrader> {
    let id = upgrader_id(session)?;
    session.client.read(session.calls.package(), id).await.context("reading the upgrader")
}

/// The right to upgrade our package, as the wallet holds it.
async fn upgrade_cap(session: &Session, owner: Address) -> Result<Address> {
    let name =
        |text| chain::sui::Identifier::new(text).map_err(|error| Failure::failed(format!("{text}: {error}")));
    let type_ = chain::sui::StructTag::new(Address::TWO, name("package")?, name("UpgradeCap")?, vec![]);
    let ids = session.client.owned(owner, &type_).await.context("looking for the right to upgrade")?;
    for (id, object) in session.client.objects(&ids).await.context("looking for the right to upgrade")? {
        // Its fields are id, package, version and policy.
        let package = object.as_struct().and_then(|cap| cap.contents().get(32..64));
        if package == Some(session.calls.package().inner().as_slice()) {
            return Ok(id);
        }
    }
    Err(Failure::refused(format!("{owner} does not hold the right to upgrade {}", session.calls.package())))
}

async fn show(context: &Context, session: &Session) -> Result<()> {
    let known = session.read().await?;
    let money = &known.money;
    let data = json!({
        "caps": known.caps.values().map(|(cap, holder)| json!({ "id": cap.id, "holder": holder,
            "expiresMs": cap.expires_ms, "offeredTo": money.offers.get(&cap.id) })).collect::<Vec<_>>(),
        "economics": money.economics, "pending": money.pending, "insurance": money.insurance,
    });
    print(context.global.output, &data, |_| {
        let who = |address: &Address| {
            session.wallets.name_of(address).map_or_else(|| address.to_string(), str::to_owned)
        };
        let caps: Vec<_> = known
            .caps
            .values()
            .map(|(cap, holder)| {
                let until =
                    if cap.expires_ms == u64::MAX { "never".to_owned() } else { time(cap.expires_ms) };
                let offered = money.offers.get(&cap.id).map(who).unwrap_or_default();
                vec![who(holder), until, offered, cap.id.to_string()]
            })
            .collect();
        let payouts: Vec<_> = money
            .insurance
            .iter()
            .flat_map(|insurance| &insurance.payouts)
            .map(|payout| {
                let (number, amount) = (payout.number.to_string(), payout.amount.to_string());
                vec![number, amount, who(&payout.recipient), time(payout.ripe_ms)]
            })
            .collect();
        let pending = money.pending.as_ref().map_or_else(
            || "no economics are proposed".to_owned(),
            |pending| format!("economics are proposed, to be applied from {}", time(pending.ripe_ms)),
        );
        format!(
            "{}\n{pending}\ninsurance: {} MIST\n{}",
            table(&["CAPABILITY OF", "ENDS", "OFFERED TO", "ID"], &caps),
            money.insurance.as_ref().map_or(0, |insurance| insurance.balance),
            table(&["PAYOUT", "MIST", "TO", "FROM"], &payouts)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_changes_what_it_names_and_nothing_else() {
        let present: Economics = toml::from_str(
            "penalty_bps = [1, 2, 3, 4]\ncap_bps = 5\ncap_period_ms = 6\ncontest_ms = 7\nextension_ms = 8\n\
             execute_ms = 9\nevidence_age_ms = 10\nreporter_bps = 11\nuptime_bps = 12\nepoch_ms = 13\n\
             payout_bps = 14\nclaim_ms = 15\nprice = 16\ngrace_ms = 17\ntimelock_ms = 18",
        )
        .unwrap();
        let wanted = changed(&present, &"price = 2\npenalty_bps = [4, 3, 2, 1]".parse().unwrap()).unwrap();
        assert_eq!(wanted, Economics { price: 2, penalty_bps: vec![4, 3, 2, 1], ..present.clone() });
        let error = changed(&present, &"prize = 2".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("prize") && error.contains("timelock_ms"), "{error}");
        assert!(changed(&present, &"price = \"much\"".parse().unwrap()).is_err());
    }
}
