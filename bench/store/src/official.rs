//! etcd's own load tool.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::server::Server;
use crate::settings::Settings;

/// What the tool says about one load. Times in milliseconds.
#[derive(Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) per_second: f64,
    pub(crate) average: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Runs `benchmark ARGUMENTS` against the server. One summary for each that it prints.
pub(crate) async fn run(
    settings: &Settings,
    server: &Server,
    arguments: &[&str],
) -> anyhow::Result<Vec<Summary>> {
    let mut command = tokio::process::Command::new(settings.peers.join("benchmark"));
    command.arg("--endpoints").arg(server.address.to_string()).arg("--precise").args(arguments);
    // Its progress bar goes to stderr and costs CPU when somebody reads it.
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(240), command.output())
        .await
        .with_context(|| format!("benchmark {arguments:?} does not end"))?
        .context("running benchmark")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "benchmark {arguments:?} ended with {}: {text}", output.status);
    summaries(&text).with_context(|| format!("benchmark {arguments:?} against {}", server.kind.name()))
}

fn summaries(text: &str) -> anyhow::Result<Vec<Summary>> {
    if let Some((_, errors)) = text.split_once("Error distribution:") {
        bail!("calls failed: {}", errors.trim());
    }
    let found: Vec<Summary> =
        text.split("Summary:").skip(1).map(summary).collect::<Option<_>>().context("not its usual output")?;
    ensure!(!found.is_empty(), "it printed no summary: {text}");
    Ok(found)
}

fn summary(text: &str) -> Option<Summary> {
    let number = |label: &str| -> Option<f64> {
        let rest = text.split_once(label)?.1.trim_start();
        rest.split(char::is_whitespace).next()?.trim_end_matches('.').parse().ok()
    };
    Some(Summary {
        per_second: number("Requests/sec:")?,
        average: number("Average:")? * 1e3,
        p50: number("\n  50% in ")? * 1e3,
        p99: number("\n  99% in ")? * 1e3,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\nSummary:\n  Total:\t2.4 secs.\n  Slowest:\t0.04 secs.\n  Fastest:\t0.0001 secs.\n  \
        Average:\t0.002 secs.\n  Stddev:\t0.001 secs.\n  Requests/sec:\t1644.25\n\nResponse time histogram:\n  \
        0.0001 [1]\t|\n\nLatency distribution:\n  10% in 0.001 secs.\n  50% in 0.0015 secs.\n  99% in 0.0105 secs.\n  \
        99.9% in 0.02 secs.\n";

    #[test]
    fn reads_the_tools_summary() {
        let expected = Summary { per_second: 1644.25, average: 2.0, p50: 1.5, p99: 10.5 };
        assert_eq!(summaries(OUTPUT).unwrap(), [expected]);
        assert_eq!(summaries(&OUTPUT.repeat(2)).unwrap().len(), 2);
    }

    #[test]
    fn failed_calls_are_no_result() {
        let failed = format!("{OUTPUT}\nError distribution:\n  [3]\tetcdserver: request timed out\n");
        assert!(summaries(&failed).unwrap_err().to_string().contains("request timed out"));
        assert!(summaries("panic").is_err());
    }
}
