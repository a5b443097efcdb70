use std::time::{Duration, Instant};

use engine::check::{Finding, Verdict, disk, file, port, worker};

use super::Context;
use crate::deployment::Deployment;
use crate::failure::{Failure, Result};
use crate::output::{paint, print, say};
use crate::settings::beside;
use crate::up::record::Record;

const PORTS_LIMIT: Duration = Duration::from_secs(3);

/// `k3s-daas check`
pub(crate) async fn run(context: &Context) -> Result<()> {
    let mut groups = vec![
        ("machine", worker(context.state.root(), backend(context)?)),
        ("built", built()),
        ("keys", vec![crate::harden::check()]),
    ];
    if Record::running(&context.state)?.is_none() {
        groups.push(("ports", ports(context)?));
    }
    let bad =
        groups.iter().flat_map(|(_, group)| group).filter(|finding| finding.verdict == Verdict::Bad).count();
    let data: serde_json::Map<_, _> =
        groups.iter().map(|(name, group)| ((*name).to_owned(), serde_json::json!(group))).collect();
    print(context.global.output, &data, |_| {
        groups.iter().map(|(name, group)| format!("{name}\n{}\n", render(group))).collect()
    })?;
    match bad {
        0 => Ok(()),
        1 => Err(Failure::failed("one check failed; its remedy stands beside it")),
        many => Err(Failure::failed(format!("{many} checks failed; their remedies stand beside them"))),
    }
}

/// What has to be right before `up` starts anything; says all that is not.
pub(crate) async fn before_up(context: &Context, with_worker: bool) -> Result<()> {
    let mut findings = built();
    let started = Instant::now();
    loop {
        let ports = ports(context)?;
        // Processes of a run that was killed just now may still be giving their ports back.
        if started.elapsed() > PORTS_LIMIT || ports.iter().all(|port| port.verdict == Verdict::Good) {
            findings.extend(ports);
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if with_worker {
        findings.extend(worker(context.state.root(), backend(context)?));
    } else {
        findings.push(disk(context.state.root()));
    }
    findings.retain(|finding| finding.verdict == Verdict::Bad);
    if findings.is_empty() {
        return Ok(());
    }
    say(render(&findings).trim_end());
    Err(Failure::failed("this machine is not ready; each line above says what to do"))
}

fn backend(context: &Context) -> Result<engine::node::FlannelBackend> {
    Ok(crate::parts::network(context)?.flannel_backend)
}

fn built() -> Vec<Finding> {
    vec![file("kubernetes", &beside("kubernetes"), "build it with `make build`")]
}

fn ports(context: &Context) -> Result<Vec<Finding>> {
    let deployment = Deployment::find(&context.state)?.unwrap_or_default();
    let master = crate::parts::master(context, &deployment)?;
    let mut findings = vec![
        port("gateway", master.listen, "stop what listens there, or set [master] listen"),
        port(
            "apiserver",
            master.apiserver_listen,
            "stop what listens there, or set [master] apiserver_listen",
        ),
    ];
    if context.settings.remote_chain().is_none() {
        let listen = context.settings.devnet_listen()?;
        findings.push(port("devnet", listen, "stop what listens there, or set [devnet] listen"));
    }
    if let Ok(node) = crate::parts::node(context) {
        let kubelet = ([0, 0, 0, 0], node.kubelet_port).into();
        findings.push(port("kubelet", kubelet, "stop what listens there, or set [node] kubelet_port"));
    }
    Ok(findings)
}

fn render(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Good => paint("32", "√"),
            Verdict::Warning => paint("33", "‼"),
            Verdict::Bad => paint("31", "×"),
        };
        text.push_str(&format!("{mark} {}: {}\n", finding.name, finding.detail));
        if !finding.remedy.is_empty() {
            text.push_str(&format!("    {}\n", finding.remedy));
        }
    }
    text
}
