use std::process::Stdio;

use tokio::process::Command;

use crate::commands::Context;
use crate::failure::{Context as _, Failure, Result};
use crate::settings::beside;

/// Runs kubectl as the administrator of this state directory, through the exec credential: what `up` sees is
/// what its user will see.
pub(crate) async fn kubectl(context: &Context, args: &[&str], input: &str) -> Result<String> {
    use tokio::io::AsyncWriteExt;
    let mut command = Command::new(beside("kubernetes"));
    command
        .arg("kubectl")
        .arg("--kubeconfig")
        .arg(context.state.path("kubeconfig"))
        .args(["--request-timeout", "10s"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().context("starting kubectl")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await.context("writing to kubectl")?;
    }
    let output = child.wait_with_output().await.context("running kubectl")?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Failure::failed(String::from_utf8_lossy(&output.stderr).trim()))
}
