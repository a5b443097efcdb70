//! The two images that every node has: what holds a pod's namespaces, and a small one for demonstrations and
//! tests. Both are the machine's static busybox in a file system of its own; no registry is asked.

use std::io::Write;
use std::path::Path;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::config::NodeConfig;
use super::error::{NodeError, io};
use super::runtime::ctr;

/// Holds a pod's namespaces.
pub const PAUSE_IMAGE: &str = "docker.io/k3s-daas/pause:1";
/// busybox, for demonstrations and tests; `k3s-daas/busybox:1` in a pod.
pub const BUSYBOX_IMAGE: &str = "docker.io/k3s-daas/busybox:1";

const BUSYBOX: [&str; 2] = ["/bin/busybox", "/usr/bin/busybox"];
/// Names under which it can be called in the image.
const APPLETS: [&str; 25] = [
    "sh", "cat", "cp", "date", "df", "echo", "env", "false", "grep", "head", "hostname", "httpd", "id", "ls",
    "mkdir", "mv", "nc", "nslookup", "ps", "rm", "sleep", "tail", "tar", "true", "wget",
];
/// The longest sleep that every busybox takes, seconds.
const LONG: &str = "2147483647";

/// Gives containerd both images, unless it has them.
pub(crate) async fn import(config: &NodeConfig) -> Result<(), NodeError> {
    let have = ctr(config, &["images", "list", "-q"]).await?;
    if [PAUSE_IMAGE, BUSYBOX_IMAGE].iter().all(|image| have.lines().any(|line| line == *image)) {
        return Ok(());
    }
    let path = config.state_dir.join("images.tar");
    let archive = archive()?;
    tokio::fs::write(&path, archive).await.map_err(io(&path))?;
    let imported = ctr(config, &["images", "import", &path.to_string_lossy()]).await;
    tokio::fs::remove_file(&path).await.map_err(io(&path))?;
    imported.map(|_| ())
}

/// A docker archive (`docker save`'s form) with both images, which share one layer.
fn archive() -> Result<Vec<u8>, NodeError> {
    let busybox = BUSYBOX
        .iter()
        .find_map(|path| std::fs::read(path).ok())
        .ok_or(NodeError::Missing { name: "busybox", package: "busybox-static" })?;
    let layer = layer(&busybox).map_err(io("layer.tar"))?;
    let diff_id = format!("sha256:{}", hex::encode(Sha256::digest(&layer)));
    let image = |command: &[&str]| {
        json!({
            "architecture": architecture(),
            "os": "linux",
            "config": { "Cmd": command, "Env": ["PATH=/bin"], "WorkingDir": "/" },
            "rootfs": { "type": "layers", "diff_ids": [diff_id] },
            "history": [{ "created_by": "k3s-daas" }],
        })
        .to_string()
    };
    let manifest = json!([
        { "Config": "pause.json", "RepoTags": [PAUSE_IMAGE], "Layers": ["layer.tar"] },
        { "Config": "busybox.json", "RepoTags": [BUSYBOX_IMAGE], "Layers": ["layer.tar"] },
    ]);
    let pack = || -> std::io::Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        add(&mut archive, "layer.tar", 0o644, &layer)?;
        add(&mut archive, "pause.json", 0o644, image(&["/bin/busybox", "sleep", LONG]).as_bytes())?;
        add(&mut archive, "busybox.json", 0o644, image(&["/bin/busybox", "sh"]).as_bytes())?;
        add(&mut archive, "manifest.json", 0o644, manifest.to_string().as_bytes())?;
        archive.into_inner()
    };
    pack().map_err(io("images.tar"))
}

fn layer(busybox: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (dir, mode) in [("bin/", 0o755), ("etc/", 0o755), ("tmp/", 0o1777)] {
        let mut header = header(mode, 0);
        header.set_entry_type(tar::EntryType::Directory);
        archive.append_data(&mut header, dir, std::io::empty())?;
    }
    add(&mut archive, "bin/busybox", 0o755, busybox)?;
    // Links, not copies: a copy under another name crashes in Debian's build.
    for applet in APPLETS {
        let mut header = header(0o777, 0);
        header.set_entry_type(tar::EntryType::Symlink);
        archive.append_link(&mut header, Path::new("bin").join(applet), "busybox")?;
    }
    add(
        &mut archive,
        "etc/passwd",
        0o644,
        b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    )?;
    archive.into_inner()
}

fn add(archive: &mut tar::Builder<impl Write>, path: &str, mode: u32, content: &[u8]) -> std::io::Result<()> {
    let mut header = header(mode, content.len() as u64);
    archive.append_data(&mut header, path, content)
}

fn header(mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header
}

/// The machine's architecture in the image specification's (Go's) words.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
