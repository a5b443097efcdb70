use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{Context, Failure, Result};

/// Largest file of ours that is read whole, bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// The one directory that holds everything: chain, wallets, cluster, node.
#[derive(Clone, Debug)]
pub(crate) struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// The given directory, or the default of this user.
    pub(crate) fn resolve(given: Option<&Path>) -> Result<Self> {
        let root = match given {
            Some(path) => std::path::absolute(path).context("resolving --state-dir")?,
            None if rustix::process::geteuid().is_root() => PathBuf::from("/var/lib/k3s-daas"),
            None => match std::env::home_dir() {
                Some(home) => home.join(".local/share/k3s-daas"),
                None => return Err(Failure::usage("there is no home directory: give --state-dir DIR")),
            },
        };
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// Makes a directory below the root, for this user only, and returns its path.
    pub(crate) fn dir(&self, relative: impl AsRef<Path>) -> Result<PathBuf> {
        let path = self.root.join(relative);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .context(format_args!("creating {}", path.display()))?;
        Ok(path)
    }

    /// Reads a JSON file; `None` when there is none.
    pub(crate) fn read_json<T: DeserializeOwned>(&self, relative: impl AsRef<Path>) -> Result<Option<T>> {
        let path = self.root.join(relative);
        match fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::failed(format!("reading {}: {error}", path.display()))),
            Ok(meta) if meta.len() > MAX_FILE => {
                return Err(Failure::failed(format!("{} is too large to be ours", path.display())));
            }
            Ok(_) => {}
        }
        let bytes = fs::read(&path).context(format_args!("reading {}", path.display()))?;
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Failure::failed(format!(
                "{} is damaged ({error}): restore it, or `down --purge` to begin anew",
                path.display()
            ))
        })
    }

    /// Writes a JSON file so that a crash leaves the old or the new one, readable by this user only.
    pub(crate) fn write_json<T: Serialize>(&self, relative: impl AsRef<Path>, value: &T) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(value).context("encoding JSON")?;
        bytes.push(b'\n');
        self.write(relative, &bytes)
    }

    /// Writes a file so that a crash leaves the old or the new one, readable by this user only.
    pub(crate) fn write(&self, relative: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
        let path = self.root.join(relative);
        write_file(&path, bytes).context(format_args!("writing {}", path.display()))
    }
}

/// Replaces `path` durably: temporary file, fsync, rename, fsync of the directory.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let parent = path.parent().ok_or_else(|| std::io::Error::other("the path has no directory"))?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let temporary = parent.join(name);
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    fs::File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn json_round_trips_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::resolve(Some(dir.path())).unwrap();
        assert_eq!(state.read_json::<u32>("a/b.json").unwrap(), None);
        state.write_json("a/b.json", &7).unwrap();
        assert_eq!(state.read_json::<u32>("a/b.json").unwrap(), Some(7));
        let mode = fs::metadata(state.path("a/b.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_an_error_that_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::resolve(Some(dir.path())).unwrap();
        state.write("x.json", b"{").unwrap();
        let failure = state.read_json::<u32>("x.json").unwrap_err();
        assert!(failure.to_string().contains("down --purge"), "{failure}");
    }
}
