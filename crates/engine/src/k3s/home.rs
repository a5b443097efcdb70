use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statfs, statvfs};

use super::error::K3sError;
use crate::pki::{Authority, ClusterPki, Profile};

/// File systems without a disk, by the numbers of statfs(2): tmpfs and ramfs.
const IN_MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58f6];
/// Where such a file system usually is; /run often forbids to execute what is in it, and K3s unpacks programs.
const USUAL: [&str; 2] = ["/dev/shm", "/run"];
/// The certificates between K3s and the store are made anew at each start.
const LIFETIME_SECONDS: u64 = 365 * 24 * 3600;

/// The directory of `k3s server`, in memory and on no disk: K3s wants the keys of the CAs as files ("custom CA certificates" in
/// docs.k3s.io/cli/certificate), and unpacks its programs there. Made anew at each start; what K3s has to keep is in the datastore.
#[derive(Clone, Debug)]
pub struct K3sHome {
    dir: PathBuf,
}

/// Files by which store and K3s know each other, and nobody else: their CA is made for one start, and signs nothing more.
#[derive(Clone, Debug)]
pub struct StoreTls {
    /// The store's certificate, for 127.0.0.1.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Who signed both sides.
    pub ca: PathBuf,
}

impl K3sHome {
    /// An empty one, called `name`, in `memory`, or else in the first usual directory that is in memory.
    ///
    /// # Errors
    /// [`K3sError::NotInMemory`] and [`K3sError::Swap`]; [`K3sError::Io`].
    pub fn create(memory: Option<&Path>, name: &str) -> Result<Self, K3sError> {
        let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
        // The first line is a heading.
        if swaps.lines().count() > 1 {
            return Err(K3sError::Swap);
        }
        let memory = match memory {
            Some(path) => path,
            None => USUAL
                .map(Path::new)
                .into_iter()
                .find(|path| usable(path).is_ok())
                .unwrap_or(Path::new(USUAL[0])),
        };
        usable(memory).map_err(|reason| K3sError::NotInMemory { path: memory.to_owned(), reason })?;
        let home = Self { dir: memory.join(name) };
        home.remove()?;
        make(&home.dir)?;
        for part in ["ours", "server", "server/tls"] {
            make(&home.dir.join(part))?;
        }
        Ok(home)
    }

    /// Where K3s has its state: its `--data-dir`.
    pub fn data_dir(&self) -> &Path {
        &self.dir
    }

    /// Makes what the store listens with, and what K3s shows it.
    ///
    /// # Errors
    /// When the system gives no random bytes, or a file cannot be written.
    pub fn store_tls(&self, now_ms: u64) -> Result<StoreTls, K3sError> {
        let ca = Authority::generate("k3s-daas-store-ca", now_ms)?;
        let addresses = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
        let server =
            ca.issue(&Profile::server("k3s-daas-store", &[], &addresses, LIFETIME_SECONDS), now_ms)?;
        let client = ca.issue(&Profile::client("k3s-server", &[], LIFETIME_SECONDS), now_ms)?;
        self.write(STORE_CERT, &client.certificate)?;
        self.write(STORE_KEY, &client.key)?;
        Ok(StoreTls {
            cert: self.write("store-server.crt", &server.certificate)?,
            key: self.write("store-server.key", &server.key)?,
            ca: self.write(STORE_CA, ca.pem())?,
        })
    }

    /// Puts the cluster's keys where K3s looks for them before it would make its own.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn take_keys(&self, pki: &ClusterPki) -> Result<(), K3sError> {
        for (name, authority) in pki.authorities() {
            self.put(&format!("server/tls/{name}.crt"), authority.pem())?;
            self.put(&format!("server/tls/{name}.key"), authority.key())?;
        }
        self.put("server/tls/service.key", pki.service_account_key())?;
        Ok(())
    }

    /// Writes a file of ours; gives its path.
    pub(crate) fn write(&self, name: &str, content: &str) -> Result<PathBuf, K3sError> {
        self.put(&format!("ours/{name}"), content)
    }

    /// The path of a file of ours.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join("ours").join(name)
    }

    /// Takes it back, keys and all.
    ///
    /// # Errors
    /// [`K3sError::Io`].
    pub fn remove(&self) -> Result<(), K3sError> {
        match fs::remove_dir_all(&self.dir) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                Err(K3sError::Io { action: "remove", path: self.dir.clone(), source })
            }
            _ => Ok(()),
        }
    }

    fn put(&self, name: &str, content: &str) -> Result<PathBuf, K3sError> {
        let path = self.dir.join(name);
        let written = fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(content.as_bytes()));
        written.map_err(|source| K3sError::Io { action: "write", path: path.clone(), source })?;
        Ok(path)
    }
}

/// What K3s shows the store.
pub(crate) const STORE_CERT: &str = "store-client.crt";
/// The key of that.
pub(crate) const STORE_KEY: &str = "store-client.key";
/// Who signed the store's certificate.
pub(crate) const STORE_CA: &str = "store-ca.crt";

fn usable(dir: &Path) -> Result<(), &'static str> {
    let kind = statfs(dir).map_err(|_| "it is not there")?.f_type;
    // A magic number of 32 bits, in a field whose size and sign differ between machines.
    if !IN_MEMORY.contains(&(kind as u32)) {
        return Err("it is on a disk");
    }
    let flags = statvfs(dir).map_err(|_| "it cannot be asked about")?.f_flag;
    if flags.contains(StatVfsMountFlags::NOEXEC) {
        return Err("nothing in it can be executed (noexec)");
    }
    Ok(())
}

/// Makes a directory that only this user can enter, and that was not there: in a directory that all can write to, somebody else's would be a trap.
fn make(path: &Path) -> Result<(), K3sError> {
    fs::DirBuilder::new().mode(0o700).create(path).map_err(|source| K3sError::Io {
        action: "make",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    #[test]
    fn keys_are_in_memory_for_their_owner_alone_and_go_with_it() {
        let memory = tempfile::tempdir_in("/dev/shm").unwrap();
        fs::create_dir(memory.path().join("home")).unwrap();
        fs::write(memory.path().join("home/old"), "of a run that was killed").unwrap();
        let home = K3sHome::create(Some(memory.path()), "home").unwrap();
        assert!(!home.dir.join("old").exists());
        let pki = ClusterPki::generate(NOW).unwrap();
        home.take_keys(&pki).unwrap();
        let tls = home.store_tls(NOW).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for name in ["server-ca", "client-ca", "request-header-ca"] {
            assert_eq!(mode(&home.dir.join(format!("server/tls/{name}.key"))), 0o600);
        }
        let server_ca = fs::read_to_string(home.dir.join("server/tls/server-ca.crt")).unwrap();
        assert_eq!(server_ca, pki.ca_pem(), "the cluster's CA, whose hash is on chain");
        assert_eq!((mode(&home.dir), mode(&tls.key)), (0o700, 0o600));
        // The kubelets' CA stays where it is: K3s is to sign no kubelet.
        let kubelets = fs::read_dir(home.dir.join("server/tls")).unwrap();
        assert_eq!(kubelets.count(), 7);
        home.remove().unwrap();
        assert!(!home.dir.exists());
        home.remove().unwrap();
    }

    #[test]
    fn a_disk_is_refused() {
        let disk = tempfile::tempdir_in("/var/tmp").unwrap();
        let error = K3sHome::create(Some(disk.path()), "home").unwrap_err();
        assert!(error.to_string().contains("it is on a disk"), "{error}");
        assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0, "nothing was written");
        assert!(K3sHome::create(Some(Path::new("/no/such")), "home").is_err());
    }
}
