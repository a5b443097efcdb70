//! Recorded evidence of real hardware, out of registry packages: see `fixtures/Cargo.toml` for each one's licence.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A file of one of the packages that `fixtures/Cargo.toml` names.
pub(crate) fn read(package: &str, path: &str) -> Vec<u8> {
    let file = package_dir(package).join(path);
    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn package_dir(package: &str) -> PathBuf {
    static METADATA: OnceLock<serde_json::Value> = OnceLock::new();
    let metadata = METADATA.get_or_init(|| {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../tee/fixtures/Cargo.toml");
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--locked", "--format-version", "1", "--manifest-path"])
            .arg(manifest)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    });
    let found =
        metadata["packages"].as_array().unwrap().iter().find(|found| found["name"] == package).unwrap();
    Path::new(found["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}
