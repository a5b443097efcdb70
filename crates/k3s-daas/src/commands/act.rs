use chain::{Address, Draft, DryRun, Event, Parties, Receipt};
use serde_json::{Value, json};

use super::Context;
use crate::cli::Tx;
use crate::failure::Result;
use crate::output::{print, say, table};
use crate::session::{Session, refusal};

/// Executes a transaction and prints what has happened; with `--dry-run` prints what would.
pub(crate) async fn act(
    context: &Context,
    session: &Session,
    tx: &Tx,
    default_wallet: &str,
    draft: &Draft,
    doing: &str,
) -> Result<Option<Receipt>> {
    let sender = session.wallets.signer(tx.wallet.as_deref().unwrap_or(default_wallet))?;
    let sponsor = tx.sponsor.as_deref().map(|name| session.wallets.signer(name)).transpose()?;
    let parties = Parties { sender: sender.as_ref(), sponsor: sponsor.as_deref() };
    if tx.dry_run {
        dry_run(context, session, parties, draft, doing).await?;
        return Ok(None);
    }
    let receipt = session.client.execute(parties, draft).await.map_err(|error| refusal(error, doing))?;
    show(context, session, &receipt)?;
    say(format_args!(
        "{doing}: done in checkpoint {}, gas {} MIST",
        receipt.checkpoint.unwrap_or_default(),
        net_gas(&receipt)
    ));
    Ok(Some(receipt))
}

async fn dry_run(
    context: &Context,
    session: &Session,
    parties: Parties<'_>,
    draft: &Draft,
    doing: &str,
) -> Result<()> {
    let (sender, payer) = (parties.sender.address(), parties.payer().address());
    let dry = session.client.dry_run(sender, payer, draft).await.map_err(|error| refusal(error, doing))?;
    preview(context, session, &dry)?;
    say(format_args!("{doing}: nothing was changed, this was a dry run"));
    Ok(())
}

/// What a transaction would change and cost.
pub(crate) fn preview(context: &Context, session: &Session, dry: &DryRun) -> Result<()> {
    let events = dry.receipt.events_of(session.calls.package());
    let balances: Vec<Value> = dry
        .changes
        .balances
        .iter()
        .map(|change| {
            json!({
                "address": change.address, "wallet": session.wallets.name_of(&change.address),
                "coin": change.coin, "amount": change.amount.to_string(),
            })
        })
        .collect();
    let objects: Vec<Value> = dry
        .changes
        .objects
        .iter()
        .map(|object| json!({ "id": object.id, "type": object.type_, "change": object.kind.as_str() }))
        .collect();
    let data = json!({
        "dryRun": true, "gasMist": net_gas(&dry.receipt), "balances": balances, "objects": objects,
        "events": events.iter().map(event).collect::<Vec<_>>(),
    });
    print(context.global.output, &data, |_| {
        let who = |address: &Address| {
            session.wallets.name_of(address).map_or_else(|| address.to_string(), str::to_owned)
        };
        let balances: Vec<_> = dry
            .changes
            .balances
            .iter()
            .map(|change| vec![who(&change.address), format!("{:+}", change.amount), short(&change.coin)])
            .collect();
        let objects: Vec<_> = dry
            .changes
            .objects
            .iter()
            .map(|object| vec![object.kind.as_str().to_owned(), short(&object.type_), object.id.to_string()])
            .collect();
        format!(
            "{}\n{}\n{}\ngas: {} MIST\n",
            table(&["BALANCE OF", "CHANGE", "COIN"], &balances),
            table(&["OBJECT", "TYPE", "ID"], &objects),
            table(&["EVENT", "DETAILS"], &rows(&events)),
            net_gas(&dry.receipt)
        )
    })
}

fn show(context: &Context, session: &Session, receipt: &Receipt) -> Result<()> {
    let events = receipt.events_of(session.calls.package());
    let data = json!({
        "digest": receipt.digest.to_string(), "checkpoint": receipt.checkpoint,
        "gasMist": net_gas(receipt), "events": events.iter().map(event).collect::<Vec<_>>(),
    });
    print(context.global.output, &data, |_| table(&["EVENT", "DETAILS"], &rows(&events)))
}

fn event(event: &Event) -> Value {
    json!({ "event": event.name(), "data": event.to_json().unwrap_or_default() })
}

/// One row an event; byte strings are hexadecimal.
fn rows(events: &[Event]) -> Vec<Vec<String>> {
    let row = |event: &Event| {
        let details = match event.to_json().unwrap_or_default() {
            Value::Object(fields) => fields
                .iter()
                .filter(|(name, _)| *name != "cluster")
                .map(|(name, value)| field(name, value))
                .collect::<Vec<_>>()
                .join(" "),
            other => brief(&other),
        };
        vec![event.name(), details]
    };
    events.iter().map(row).collect()
}

/// Times are dates, where they are times of the chain and not lengths.
fn field(name: &str, value: &Value) -> String {
    const FIRST: u64 = 1_000_000_000_000;
    match (name.strip_suffix("_ms"), value.as_u64()) {
        (Some(name), Some(u64::MAX)) => format!("{name}=never"),
        (Some(name), Some(ms)) if ms >= FIRST => format!("{name}={}", super::stake::time(ms)),
        _ => format!("{name}={}", brief(value)),
    }
}

fn brief(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let bytes: Option<Vec<u8>> =
                items.iter().map(|item| item.as_u64().and_then(|byte| u8::try_from(byte).ok())).collect();
            match bytes {
                Some(bytes) if bytes.len() > 8 => hex::encode(bytes),
                _ => format!("[{}]", items.iter().map(brief).collect::<Vec<_>>().join(", ")),
            }
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| field(name, value));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}

/// A type without the packages that it and its arguments are in.
fn short(type_: &str) -> String {
    let parts = type_.split_inclusive(['<', '>', ',', ' ']);
    parts
        .map(|part| part.strip_prefix("0x").and_then(|rest| Some(rest.split_once("::")?.1)).unwrap_or(part))
        .collect()
}

/// What is paid for gas after the storage rebate; negative when more comes back than is paid.
pub(crate) fn net_gas(receipt: &Receipt) -> i128 {
    let gas = receipt.gas();
    i128::from(gas.computation_cost) + i128::from(gas.storage_cost) - i128::from(gas.storage_rebate)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_and_times_are_for_people() {
        assert_eq!(short("0x2::coin::Coin<0x2::sui::SUI>"), "coin::Coin<sui::SUI>");
        assert_eq!(short("0x2::dynamic_field::Field<0x7::a::B, bool>"), "dynamic_field::Field<a::B, bool>");
        assert_eq!(
            field("paused_until_ms", &json!(1_795_433_631_690u64)),
            "paused_until=2026-11-23T11:33:51Z"
        );
        assert_eq!(field("expires_ms", &json!(u64::MAX)), "expires=never");
        assert_eq!(field("claim_ms", &json!(86_400_000)), "claim_ms=86400000");
        let nested = json!({ "values": [[1, 2, 3, 4, 5, 6, 7, 8, 9]] });
        assert_eq!(brief(&nested), "{values=[010203040506070809]}");
    }
}
