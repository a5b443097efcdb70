use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::Context;
use crate::cli::{Output, Up};
use crate::failure::{Context as _, Failure, Result};
use crate::output::{Step, paint, print, say};
use crate::session::Session;
use crate::settings::beside;
use crate::state_dir::write_file;
use crate::up::kubectl::kubectl;
use crate::up::parts::{Parts, log_file};
use crate::up::record::{Phase, Process, Record};
use crate::up::{demo, on_chain};

const DEVNET_LIMIT: Duration = Duration::from_secs(30);
/// Looks only, most times: registrations last 29 days, and tokens as long as the cluster says.
const RENEW_EVERY: Duration = Duration::from_secs(3600);
const DEMO_LIMIT: Duration = Duration::from_secs(60);
/// A log file larger than this is set aside at the next start, bytes.
const LOG_LIMIT: u64 = 64 << 20;

/// `k3s-daas up`
pub(crate) async fn run(context: &Context, args: Up) -> Result<()> {
    if let Some(running) = Record::running(&context.state)? {
        return Err(Failure::usage(format!(
            "it runs already (process {}): `k3s-daas status` shows it, `k3s-daas down` stops it",
            running.pid
        )));
    }
    context.state.dir("run")?;
    if args.detach {
        return detach(context, &args).await;
    }
    let args = with_or_without_worker(args);
    super::check::before_up(context, !args.no_worker).await?;
    set_log_aside(context)?;
    say(format_args!("logs of everything that runs: {}", log_file(context).display()));

    let mut parts = Parts::default();
    let outcome = tokio::select! {
        outcome = bring_up(context, &args, &mut parts) => outcome,
        () = super::asked_to_stop() => Err(Failure::failed("interrupted")),
    };
    let stopped = match outcome {
        Ok(()) => tokio::select! {
            stopped = watch(context, &parts) => stopped,
            never = renewals(context) => match never {},
        },
        Err(failure) => Err(failure),
    };
    say(format_args!("{} stopping", paint("36", "·")));
    parts.stop().await;
    Record::remove(&context.state);
    super::down::clean(context).await?;
    stopped
}

fn with_or_without_worker(mut args: Up) -> Up {
    if !args.no_worker && !rustix::process::geteuid().is_root() {
        say(
            "not root: the control plane runs alone; a worker would need root, cgroups and containerd (`k3s-daas check`)",
        );
        args.no_worker = true;
    }
    args
}

async fn bring_up(context: &Context, args: &Up, parts: &mut Parts) -> Result<()> {
    save(context, parts, Phase::Starting)?;
    let url = chain(context, parts).await?;
    let session = on_chain::prepare(context, &url).await?;
    on_chain::administrator(context, &session).await?;
    master(context, args, parts).await?;
    let session = Session::open(context).await?;
    let mut words = Vec::new();
    if !args.no_worker {
        worker(context, args, parts, &session).await?;
        if !args.no_demo {
            let step = Step::start("the pod");
            let answer = demo::run(context, &args.node_name, DEMO_LIMIT).await?;
            step.done(format_args!("answers {answer:?}"));
        }
        words.push(format!("  {} kubectl get nodes,pods", shown(&beside("kubernetes"))));
    }
    save(context, parts, Phase::Ready)?;
    say("\nEverything runs. Next:");
    say(format_args!("  export KUBECONFIG={}", context.state.path("kubeconfig").display()));
    for line in words {
        say(line);
    }
    let own = own_command(context);
    say(format_args!(
        "  {own} status\n  {own} wallet new alice    # a user of the cluster: see README, \"Use it\""
    ));
    say(format_args!("Ctrl-C or `{own} down` stops everything; `up` again goes on where it stopped."));
    Ok(())
}

/// This program as it was called, with the state directory if that is not the default.
fn own_command(context: &Context) -> String {
    let own = shown(&beside("k3s-daas"));
    match &context.global.state_dir {
        Some(dir) => format!("{own} --state-dir {}", dir.display()),
        None => own,
    }
}

/// A path as short as it can be typed here.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}

async fn chain(context: &Context, parts: &mut Parts) -> Result<String> {
    if let Some(url) = context.settings.remote_chain() {
        return Ok(url);
    }
    let url = context.settings.devnet_url();
    let step = Step::start("the development chain");
    super::devnet::framework(None)?;
    let dir = context.state.dir("devnet")?;
    parts.start(context, "devnet", &["--data-dir", &dir.to_string_lossy()])?;
    save(context, parts, Phase::Starting)?;
    let started = Instant::now();
    loop {
        match crate::session::connect(&url).await {
            Ok(client) => {
                let id = client.chain_id().await.context("asking the chain who it is")?;
                step.done(format_args!("{id} at {url} (not a validator)"));
                return Ok(url);
            }
            Err(failure) if started.elapsed() > DEVNET_LIMIT => {
                return Err(not_ready(context, "the chain", &failure));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn master(context: &Context, args: &Up, parts: &mut Parts) -> Result<()> {
    let step = Step::start("the master");
    let flags = args.control_plane.passed_on();
    parts.start(context, "master", &flags.iter().map(String::as_str).collect::<Vec<_>>())?;
    save(context, parts, Phase::Starting)?;
    let limit = Duration::from_secs(90);
    let started = Instant::now();
    loop {
        let last = match place(context).await {
            Ok(()) => break,
            Err(failure) => failure,
        };
        if started.elapsed() > limit {
            return Err(not_ready(context, "the master", &last));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    step.done("gateway and kube-apiserver serve, and the chain says where");
    Ok(())
}

/// Writes the administrator's kubeconfig once the master has said on chain where it is and lets the
/// administrator in.
async fn place(context: &Context) -> Result<()> {
    let session = Session::open(context).await?;
    let known = session.read().await?;
    let cluster = known.cluster.ok_or_else(|| Failure::not_ready("the cluster is not on chain yet"))?;
    let mut deployment = session.deployment;
    let here = deployment.ca_hash.as_deref() == Some(hex::encode(&cluster.ca_hash).as_str());
    if cluster.gateway.is_empty() || !here {
        return Err(Failure::not_ready("the master has not said on chain where it is"));
    }
    if deployment.gateway.as_ref() != Some(&cluster.gateway)
        || deployment.apiserver.as_ref() != Some(&cluster.apiserver)
    {
        deployment.gateway = Some(cluster.gateway);
        deployment.apiserver = Some(cluster.apiserver);
        deployment.save(&context.state)?;
    }
    let kubeconfig = super::kubeconfig::render(context, super::ADMIN).await?;
    let path = context.state.path("kubeconfig");
    write_file(&path, kubeconfig.as_bytes()).context(format_args!("writing {}", path.display()))?;
    kubectl(context, &["get", "namespace", "default", "-o", "name"], "").await?;
    Ok(())
}

async fn worker(context: &Context, args: &Up, parts: &mut Parts, session: &Session) -> Result<()> {
    let token = on_chain::worker(context, session, &args.node_name).await?;
    let step = Step::start("the node");
    parts.start(context, "worker", &["--token", &token.name])?;
    save(context, parts, Phase::Starting)?;
    let ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
    let limit = Duration::from_secs(args.timeout);
    let started = Instant::now();
    loop {
        let last = match kubectl(context, &["get", "node", &args.node_name, "-o", ready], "").await {
            Ok(status) if status == "True" => break,
            Ok(status) => Failure::failed(format!("its Ready condition is {status:?}")),
            Err(failure) => failure,
        };
        if started.elapsed() > limit {
            return Err(not_ready(context, "the node", &last));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    step.done(format_args!("{} is Ready", args.node_name));
    Ok(())
}

/// Renews what lasts for a time on chain: the enclave's registration and the administrator's token.
async fn renewals(context: &Context) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        if let Err(failure) = on_chain::renew(context).await {
            say(format_args!("cannot renew on chain what lasts for a time, trying again: {failure}"));
        }
    }
}

/// Until somebody asks it to stop; meanwhile the record says how the parts are.
async fn watch(context: &Context, parts: &Parts) -> Result<()> {
    let stop = super::asked_to_stop();
    tokio::pin!(stop);
    let mut last = Vec::new();
    loop {
        let now = parts.processes();
        if now != last {
            save(context, parts, Phase::Ready)?;
            last = now;
        }
        tokio::select! {
            () = &mut stop => return Ok(()),
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }
}

fn save(context: &Context, parts: &Parts, phase: Phase) -> Result<()> {
    let mut record = Record { phase, processes: parts.processes(), ..Record::own() };
    let own = Process {
        name: "up".to_owned(),
        pid: u32::try_from(record.pid).ok(),
        state: "Running".to_owned(),
        restarts: 0,
        last_exit: None,
    };
    record.processes.insert(0, own);
    record.save(&context.state)
}

fn not_ready(context: &Context, what: &str, last: &Failure) -> Failure {
    Failure::not_ready(format!(
        "{what} is not ready: {last}; the log says more: {}",
        log_file(context).display()
    ))
}

fn set_log_aside(context: &Context) -> Result<()> {
    let path = log_file(context);
    if std::fs::metadata(&path).is_ok_and(|meta| meta.len() > LOG_LIMIT) {
        std::fs::rename(&path, path.with_extension("log.1")).context("setting the log aside")?;
    }
    Ok(())
}

/// Runs `up` in the background, shows what it says, and returns when it is ready.
async fn detach(context: &Context, args: &Up) -> Result<()> {
    let path = log_file(context);
    set_log_aside(context)?;
    let log = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    let log = log.context(format_args!("opening {}", path.display()))?;
    let mut reader = BufReader::new(std::fs::File::open(&path).context("reading the log")?);
    reader.seek(SeekFrom::End(0)).context("reading the log")?;
    let own = std::env::current_exe().context("finding this binary")?;
    let mut command = Command::new(own);
    // The same command line without --detach, in a session of its own.
    command.args(std::env::args_os().skip(1).filter(|arg| arg != "--detach"));
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("opening the log")?)
        .stderr(log)
        .process_group(0);
    let mut child = command.spawn().context("starting in the background")?;
    let limit = Duration::from_secs(args.timeout.saturating_mul(2).saturating_add(120));
    let started = Instant::now();
    loop {
        let ended = child.try_wait().context("waiting for the background")?;
        show(&mut reader)?;
        if let Some(status) = ended {
            let code = status.code().unwrap_or(1);
            return Err(Failure::of_code(
                code,
                format!("it ended while starting ({status}); see {}", path.display()),
            ));
        }
        if let Some(record) = Record::running(&context.state)?
            && record.phase == Phase::Ready
        {
            show(&mut reader)?;
            let answer = json!({ "pid": record.pid, "stateDir": context.state.root(), "log": path });
            return match context.global.output {
                Output::Json => print(Output::Json, &answer, |_| String::new()),
                Output::Text => Ok(()),
            };
        }
        if started.elapsed() > limit {
            return Err(Failure::not_ready(format!(
                "not ready after {} s; see {}",
                limit.as_secs(),
                path.display()
            )));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Copies what `up` itself says; what the parts log stays in the file.
fn show(reader: &mut BufReader<std::fs::File>) -> Result<()> {
    let mut line = String::new();
    while reader.read_line(&mut line).context("reading the log")? > 0 {
        let talk = ["·", "√", "error:", "  ", "Everything runs", "Ctrl-C", "not root", "×", "‼"];
        if talk.iter().any(|start| line.starts_with(start)) {
            say(line.trim_end());
        }
        line.clear();
    }
    Ok(())
}
