use std::path::Path;
use std::time::Duration;

use custody::{Asking, Givers, OnChain};
use serde_json::json;
use tee::ClusterSecret;
use tee::custody::Member;

use super::{Context, service};
use crate::cli::{Committee, CommitteeCommand, Seal};
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::input::{id, read};
use crate::output::{print, say};
use crate::session::Session;
use crate::tokens::bytes32;

/// `k3s-daas committee …`
pub(crate) async fn run(context: &Context, args: Committee) -> Result<()> {
    match args.what {
        CommitteeCommand::Deal { holders, threshold } => deal(context, &holders, threshold).await,
        CommitteeCommand::Seal { servers, threshold, tx } => {
            super::seal::seal(context, &servers, threshold, &tx).await
        }
        CommitteeCommand::Recover {
            holders,
            master,
            enclave,
            seal,
            master_ca,
            timeout,
            package,
            cluster,
        } => {
            let chain = service::on_chain(context, package.as_deref(), cluster.as_deref()).await?;
            let enclave = enclave.as_deref().map(id).transpose()?;
            let from = match (master, enclave, master_ca) {
                (Some(url), Some(enclave), Some(ca)) => From::Master { url, enclave, ca: read(&ca)? },
                _ => From::Others { holders, seal, enclave },
            };
            recover(context, &chain, from, Duration::from_secs(timeout)).await
        }
    }
}

/// Who shall give the secret.
enum From {
    Others { holders: Vec<String>, seal: Seal, enclave: Option<chain::Address> },
    Master { url: String, enclave: chain::Address, ca: Vec<u8> },
}

async fn deal(context: &Context, holders: &[String], threshold: u8) -> Result<()> {
    let members = holders.iter().map(|text| member(text)).collect::<Result<Vec<_>>>()?;
    let session = Session::open(context).await?;
    let config = crate::parts::master(context, &session.deployment)?;
    let cluster = session.cluster.into_inner();
    let dealt = tokio::task::spawn_blocking(move || master::deal(&config, cluster, threshold, members));
    let dealing = dealt.await.context("dealing")?.context("dealing the cluster's secret")?;
    let path = context.state.path("committee.cbor");
    tee::write_durably(&path, &dealing.encode()).context(format_args!("writing {}", path.display()))?;
    let mut taken = 0;
    for holder in dealing.holders() {
        match custody::send_dealing(&holder.member.url, &dealing).await {
            Ok(()) => {
                taken += 1;
                say(format_args!("√ {} holds its share", holder.member.name));
            }
            Err(error) => say(format_args!("× {}: {error}", holder.member.name)),
        }
    }
    let answer = json!({ "threshold": threshold, "holders": dealing.holders().len(), "hold": taken });
    print(context.global.output, &answer, |_| {
        format!("any {threshold} of {taken} can bring the cluster back")
    })?;
    if taken == dealing.holders().len() {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "{taken} of {} hold their share; `committee deal` again once the others answer, everybody gets a new share then",
        dealing.holders().len()
    )))
}

pub(super) fn member(text: &str) -> Result<Member> {
    let wrong = || Failure::usage(format!("--holder {text:?}: write it as NAME=KEY@URL"));
    let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
    let (key, url) = rest.split_once('@').ok_or_else(wrong)?;
    let key = bytes32(key, "holder's key").map_err(Failure::usage)?;
    Ok(Member { name: name.to_owned(), url: url.to_owned(), key: key.into() })
}

async fn recover(context: &Context, chain: &OnChain, from: From, limit: Duration) -> Result<()> {
    let deployment = Deployment::find(&context.state)?.unwrap_or_default();
    let config = crate::parts::master(context, &deployment)?;
    let opening = config.clone();
    let opened = tokio::task::spawn_blocking(move || master::Newcomer::open(&opening));
    let newcomer = opened.await.context("opening the enclave")?.context("opening the enclave")?;
    if !newcomer.keeps() {
        return Err(Failure::failed(format!(
            "{} keeps no key from one start to the next, so there is nowhere to recover the secret to: name the holders in \
             [master.tee.release], and the master asks them at each start",
            newcomer.platform.kind()
        )));
    }
    let mut asking = Asking {
        platform: newcomer.platform.clone(),
        cluster: chain.cluster(),
        enclave_key: newcomer.key.public_key(),
        enclave: None,
        clock: service::clock(),
    };
    let secret = match from {
        From::Others { holders, seal, enclave } => {
            let key_servers = super::seal::key_servers(&seal, &newcomer)?;
            let enclave =
                super::seal::registration(enclave, key_servers.is_some(), &config, &newcomer, chain).await;
            let trust = tee::Trusted::default();
            let givers = Givers { masters: Vec::new(), holders, key_servers, limit, trust };
            by_givers(&asking, chain, &newcomer, &givers, enclave).await?
        }
        From::Master { url, enclave, ca } => {
            asking.enclave = Some(enclave);
            let ca = reqwest::Certificate::from_pem(&ca).context("reading the cluster's CA")?;
            let http = reqwest::Client::builder().tls_certs_only([ca]).timeout(limit).build();
            let http = http.context("preparing to ask the master")?;
            asking.master(&http, &url, None).await.context("asking the master")?
        }
    };
    newcomer.adopt(&secret).context("keeping the cluster's secret")?;
    let commitment = hex::encode(secret.commitment());
    print(context.global.output, &json!({ "recovered": true, "commitment": commitment }), |_| {
        format!("this machine's enclave has the cluster's secret ({commitment})")
    })
}

/// The secret from whoever of `givers` gives it. One that does not open what this machine has is another's.
pub(super) async fn by_givers(
    asking: &Asking,
    chain: &OnChain,
    newcomer: &master::Newcomer,
    givers: &Givers,
    enclave: Result<chain::Address, String>,
) -> Result<ClusterSecret> {
    let fits = |secret: &ClusterSecret| {
        newcomer.fits(secret).unwrap_or_else(|error| {
            say(format_args!("‼ {error}"));
            false
        })
    };
    asking.anybody(givers, chain, enclave, fits).await.context("asking for the secret")
}

/// `k3s-daas attest hand-over`: lets the next build open this machine's state.
pub(crate) async fn hand_over(context: &Context, args: crate::cli::HandOver) -> Result<()> {
    let session = Session::open(context).await?;
    let config = crate::parts::master(context, &session.deployment)?;
    let kubernetes = args.kubernetes.unwrap_or_else(|| config.kubernetes_binary.clone());
    let files: [(&str, &Path); 2] = [("code", &args.to), ("kubernetes", &kubernetes)];
    let next = tee::measure_files(&files).context("measuring the next build")?;
    let (kind, measured) = master::measurement_of(&config, &next).context("foretelling its measurement")?;
    let values: serde_json::Map<_, _> =
        measured.iter().map(|(name, value)| (name.clone(), hex::encode(value).into())).collect();
    let answer = json!({ "platform": kind.as_str(), "measurements": values, "handedOver": !args.dry_run });
    if !args.dry_run {
        let registry = session.read().await?.registry;
        let measurement = chain::Measurement::new(kind.as_str(), &measured);
        let now_ms = session.now_ms().await?;
        if !registry.is_some_and(|registry| registry.allows(&measurement, now_ms)) {
            return Err(Failure::refused(
                "the registry on chain does not allow the next build: `--dry-run` prints its measurement, `k3s-daas \
                 enclave allow` allows it",
            ));
        }
        let handed = tokio::task::spawn_blocking(move || master::hand_over(&config, &next));
        handed.await.context("handing over")?.context("handing the key over")?;
    }
    print(context.global.output, &answer, |answer| {
        let lines = answer["measurements"].as_object().into_iter().flatten();
        let lines: Vec<String> =
            lines.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
        lines.join("\n")
    })
}
