use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use base64::Engine as _;

use crate::Outcome;
use crate::cluster::Cluster;
use crate::proofs::random;

/// Larger files are images of containers, not ours.
const LARGEST: u64 = 256 * 1024 * 1024;

/// Writes a Secret, a ConfigMap and a CA's private key through the apiserver and looks for their bytes in
/// every file under the state directory, as they are and in base64.
pub(crate) fn nothing_in_clear(cluster: &mut Cluster) -> Outcome {
    let secret = hex::encode(random::<24>());
    let config = hex::encode(random::<24>());
    let ca_key = rcgen::KeyPair::generate().map_err(|error| error.to_string())?;
    let key_pem = ca_key.serialize_pem();
    let literal = |value: &str| format!("--from-literal=value={value}");
    cluster.kubectl("admin", &["create", "secret", "generic", "hidden", &literal(&secret)])?.ok()?;
    cluster.kubectl("admin", &["create", "configmap", "hidden", &literal(&config)])?.ok()?;
    cluster.kubectl("admin", &["create", "secret", "generic", "hidden-ca", &literal(&key_pem)])?.ok()?;
    let base64 = base64::engine::general_purpose::STANDARD;
    let key_der = ca_key.serialize_der();
    let needles: Vec<Vec<u8>> = vec![
        secret.clone().into_bytes(),
        base64.encode(&secret).into_bytes(),
        config.clone().into_bytes(),
        base64.encode(&config).into_bytes(),
        key_pem.lines().nth(1).unwrap_or("no second line").as_bytes().to_vec(),
        key_der[key_der.len() - 40..].to_vec(),
    ];
    // The search can find: a plain file with one of them is seen.
    let bait = cluster.state().join("bait");
    std::fs::write(&bait, format!("x{secret}x")).map_err(|error| error.to_string())?;
    let caught = search(cluster.state(), &needles)?;
    std::fs::remove_file(&bait).map_err(|error| error.to_string())?;
    if caught.found != [bait] {
        return Err(format!("the search itself is wrong: found {:?} for one bait", caught.found));
    }
    if let Some(file) = ca_keys_in_clear(cluster.state())?.first() {
        return Err(format!("{} is a CA's private key", file.display()));
    }
    println!("  {} files searched", caught.files);
    Ok(())
}

struct Search {
    files: usize,
    found: Vec<PathBuf>,
}

fn search(root: &Path, needles: &[Vec<u8>]) -> Result<Search, String> {
    let mut search = Search { files: 0, found: Vec::new() };
    walk(root, |path, bytes| {
        search.files += 1;
        if needles.iter().any(|needle| bytes.windows(needle.len()).any(|window| window == needle)) {
            search.found.push(path.to_owned());
        }
    })?;
    Ok(search)
}

/// PEM private keys that lie beside, or in one file with, a CA certificate's public half.
fn ca_keys_in_clear(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    walk(root, |path, bytes| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.contains("ca") && name.ends_with(".key") && bytes.starts_with(b"-----BEGIN") {
            found.push(path.to_owned());
        }
    })?;
    Ok(found)
}

/// Every regular file below `root` on its own file system, but the kubelet's volumes and the containers'
/// own root file systems.
fn walk(root: &Path, mut visit: impl FnMut(&Path, &[u8])) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    let device = std::fs::metadata(root).map_err(|error| error.to_string())?.dev();
    let mut queue = VecDeque::from([root.to_owned()]);
    while let Some(dir) = queue.pop_front() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            // Files come and go under a running cluster.
            let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
            if meta.is_dir() && meta.dev() == device && !path.ends_with("volumes") {
                queue.push_back(path);
            } else if meta.is_file()
                && meta.len() <= LARGEST
                && let Ok(bytes) = std::fs::read(&path)
            {
                visit(&path, &bytes);
            }
        }
    }
    Ok(())
}
