use std::io::Read;
use std::path::Path;

use archive::{HistoryDocument, ProofDocument};
use chain::{Address, Anchor, Client, Cluster};
use serde_json::{Value, json};

use super::Context;
use super::anchor::endpoint;
use crate::cli::{Output, Prove, VerifyProof};
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::output::{print, say};

/// No proof is longer, bytes.
const MAX_PROOF_BYTES: u64 = 64 << 20;

/// `k3s-daas prove`: a proof against the anchor on chain.
pub(crate) async fn prove(context: &Context, args: Prove) -> Result<()> {
    let deployment = Deployment::load(&context.state)?;
    let cluster = deployment.cluster.ok_or_else(|| Failure::not_ready("there is no cluster yet"))?;
    let client = client(context, &deployment)?;
    let known = anchor_of(&client, cluster, None).await;
    let (url, files) = endpoint(context, args.store);
    let key = args.key.into_bytes();
    let asked = args.revision.unwrap_or_default();
    let proven = store::prove(&url, files.as_ref(), key.clone().into(), asked).await;
    let (proof, value) = proven.context("asking the store for a proof")?;
    let value = value.filter(|_| args.with_value);
    let mut document = ProofDocument::new(cluster, &key, &proof, value.as_deref());
    match known {
        Ok((anchor, version)) if u64::try_from(proof.revision) == Ok(anchor.revision) => {
            document.anchor_version = Some(version);
            document.verify(&anchor).context("checking the proof against the chain")?;
        }
        Ok((anchor, _)) => say(format_args!(
            "revision {} is not the one that the chain's anchor is at ({}): whoever checks this needs an endpoint that \
             still knows it. `k3s-daas anchor` anchors the state as it is now",
            proof.revision, anchor.revision
        )),
        Err(failure) => say(format_args!("not compared with the chain: {failure}")),
    }
    let answer = serde_json::to_value(&document).context("writing the proof")?;
    print(Output::Json, &answer, |_| String::new())
}

/// `k3s-daas verify-proof`: needs the chain and nothing else of the cluster.
pub(crate) async fn verify(context: &Context, args: VerifyProof) -> Result<()> {
    let bytes = read(&args.file)?;
    let client = client(context, &Deployment::find(&context.state)?.unwrap_or_default())?;
    if HistoryDocument::is_named_in(&bytes) {
        let document = HistoryDocument::parse(&bytes).context("reading the history");
        let document = document.map_err(Failure::refused)?;
        must_be_about(document.cluster, args.cluster)?;
        let shown = super::history::verify(&client, &document).await?;
        return print(context.global.output, &shown, history_summary);
    }
    let document = ProofDocument::parse(&bytes).context("reading the proof");
    let document = document.map_err(Failure::refused)?;
    must_be_about(document.cluster, args.cluster)?;
    let (now, _) = anchor_of(&client, document.cluster, None).await.context("reading the anchor")?;
    let against = match document.anchor_version {
        Some(version) if u64::try_from(document.revision) != Ok(now.revision) => {
            let then = anchor_of(&client, document.cluster, Some(version)).await;
            then.context("reading the older anchor that the proof is about")?.0
        }
        _ => now,
    };
    let shown = match document.verify(&against) {
        Ok(shown) => shown,
        Err(error) => {
            let refused = json!({ "accepted": false, "reason": error.to_string() });
            print(context.global.output, &refused, |_| "refused".to_owned())?;
            return Err(Failure::refused(error));
        }
    };
    let answer = json!({
        "accepted": true,
        "cluster": document.cluster,
        "enclave": against.enclave,
        "revision": document.revision,
        "anchoredMs": shown.anchored_ms,
        "key": String::from_utf8_lossy(&shown.key),
        "exists": shown.leaf.is_some(),
        "createRevision": shown.leaf.map(|leaf| leaf.create_revision),
        "modRevision": shown.leaf.map(|leaf| leaf.mod_revision),
        "version": shown.leaf.map(|leaf| leaf.version),
        "valueSha256": shown.leaf.map(|leaf| hex::encode(leaf.value)),
        "valueBytes": shown.value.as_ref().map(Vec::len),
    });
    print(context.global.output, &answer, summary)
}

fn must_be_about(cluster: Address, expected: Option<Address>) -> Result<()> {
    match expected {
        Some(expected) if expected != cluster => {
            Err(Failure::refused(format!("the proof is about cluster {cluster} and not about {expected}")))
        }
        _ => Ok(()),
    }
}

fn history_summary(answer: &Value) -> String {
    let proven = answer["proven"].as_array().map_or(&[][..], Vec::as_slice);
    let line = |version: &Value| {
        format!(
            "revision {} ({}) was the latest in the state that was anchored at revision {}\n",
            version["revision"],
            version["kind"].as_str().unwrap_or_default(),
            version["anchoredRevision"]
        )
    };
    let mut text: String = proven.iter().map(line).collect();
    let without = answer["unproven"].as_array().map_or(0, Vec::len);
    text.push_str(&format!("{without} versions have no proof: believe who gave you the file, or do not"));
    text
}

fn summary(answer: &Value) -> String {
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    let what = if answer["exists"] == true {
        format!(
            "existed, changed last at revision {}, SHA-256 of its value {}",
            answer["modRevision"],
            text("valueSha256")
        )
    } else {
        "did not exist".to_owned()
    };
    format!(
        "{} {what}\nin the state of cluster {} at revision {}, as enclave {} anchored it",
        text("key"),
        text("cluster"),
        answer["revision"],
        text("enclave")
    )
}

/// The cluster's anchor as it is now, or as it was at a version; with its version.
pub(super) async fn anchor_of(
    client: &Client,
    cluster: Address,
    version: Option<u64>,
) -> Result<(Anchor, u64), chain::Error> {
    let package = client.package_of(cluster).await?;
    let face: Cluster = client.read(package, cluster).await?;
    match version {
        Some(version) => Ok((client.read_at(package, face.anchor, version).await?, version)),
        None => client.read_with_version(package, face.anchor).await,
    }
}

pub(super) fn client(context: &Context, deployment: &Deployment) -> Result<Client> {
    Client::new(&context.settings.chain_url(deployment)).context("using the chain's URL")
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |error: std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().take(MAX_PROOF_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MAX_PROOF_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    Ok(bytes)
}
