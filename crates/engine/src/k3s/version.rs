use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::error::K3sError;

/// How long `k3s --version` may take: it may unpack itself first.
const LIMIT: Duration = Duration::from_secs(60);

/// The version that `binary` says it is, as `v1.36.1+k3s1`. What it unpacks for that goes to `data_dir`.
///
/// # Errors
/// [`K3sError::NoVersion`].
pub async fn version(binary: &Path, data_dir: &Path) -> Result<String, K3sError> {
    let failed = |reason: String| K3sError::NoVersion { binary: binary.to_owned(), reason };
    let run = Command::new(binary)
        .arg("--version")
        .env_clear()
        .env("K3S_DATA_DIR", data_dir)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output =
        timeout(LIMIT, run).await.map_err(|_| failed(format!("no answer in {} s", LIMIT.as_secs())))?;
    let output = output.map_err(|error| failed(error.to_string()))?;
    parse(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| failed(format!("it ended with {} and printed no version", output.status)))
}

/// Of `k3s version v1.36.1+k3s1 (0123abcd)`, and what follows.
fn parse(text: &str) -> Option<String> {
    let mut words = text.lines().next()?.split_whitespace();
    let version = (words.next()? == "k3s" && words.next()? == "version").then(|| words.next())??;
    let sane = version.len() <= 64
        && version.starts_with('v')
        && version.bytes().all(|byte| byte.is_ascii_graphic());
    sane.then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_it() {
        let text = "k3s version v1.36.1+k3s1 (4c9b2bc8)\ngo version go1.26.2\n";
        assert_eq!(parse(text).unwrap(), "v1.36.1+k3s1");
        for other in
            ["", "k3s", "k3s version", "kubectl version v1", "k3s version 1.36", "k3s version v1\u{7}"]
        {
            assert_eq!(parse(other), None, "{other:?}");
        }
    }

    #[tokio::test]
    async fn a_program_that_is_something_else_is_named() {
        let error = version(Path::new("/bin/true"), Path::new("/tmp")).await.unwrap_err();
        assert!(error.to_string().starts_with("/bin/true --version does not answer"), "{error}");
        assert!(version(Path::new("/no/such"), Path::new("/tmp")).await.is_err());
    }
}
