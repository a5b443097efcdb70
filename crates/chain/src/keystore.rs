use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sui_sdk_types::Address;
use zeroize::Zeroizing;

use crate::{Keypair, KeystoreError, Signer, WalletKey};

/// A keystore holds at most this many bytes; the Sui CLI's own are a few hundred.
const MAX_BYTES: u64 = 1 << 20;

/// A file of key pairs in the Sui CLI's format: a JSON array of base64(flag ‖ 32-byte secret).
///
/// Keys of ed25519, secp256k1 and secp256r1 can be used; entries of other schemes are kept in the file as
/// they are and named by [`Keystore::unsupported`]. The file is written atomically with mode 0600.
pub struct Keystore {
    path: PathBuf,
    entries: Vec<Entry>,
    /// The bytes on disk that `entries` came from; a change by another program is never overwritten.
    loaded: Zeroizing<Vec<u8>>,
}

enum Entry {
    Usable(Keypair),
    /// secp256k1 or secp256r1: signs transactions only.
    Wallet(WalletKey),
    Other {
        scheme: &'static str,
        text: Zeroizing<String>,
    },
}

impl Keystore {
    /// Reads an existing keystore.
    ///
    /// # Errors
    /// When the file is missing, readable by others, too large or not a keystore.
    pub fn load(path: impl Into<PathBuf>) -> Result<Keystore, KeystoreError> {
        let path = path.into();
        let loaded = read(&path)?;
        let entries = parse(&path, &loaded)?;
        Ok(Keystore { path, entries, loaded })
    }

    /// Reads a keystore, or starts an empty one when there is no file yet. Nothing is written before
    /// the first key.
    ///
    /// # Errors
    /// As [`Keystore::load`], except for a missing file.
    pub fn open(path: impl Into<PathBuf>) -> Result<Keystore, KeystoreError> {
        let path = path.into();
        match Keystore::load(&path) {
            Err(KeystoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(Keystore { path, entries: Vec::new(), loaded: Zeroizing::default() })
            }
            other => other,
        }
    }

    /// Where the keystore is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ed25519 key pairs, in file order.
    pub fn keys(&self) -> impl Iterator<Item = &Keypair> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Usable(pair) => Some(pair),
            Entry::Wallet(_) | Entry::Other { .. } => None,
        })
    }

    /// The addresses of all keys that can sign transactions, in file order.
    pub fn addresses(&self) -> Vec<Address> {
        self.entries.iter().filter_map(Entry::signer).map(Signer::address).collect()
    }

    /// Whatever signs transactions for an address, of any scheme.
    ///
    /// # Errors
    /// [`KeystoreError::UnknownAddress`].
    pub fn signer(&self, address: &Address) -> Result<&dyn Signer, KeystoreError> {
        self.entries
            .iter()
            .filter_map(Entry::signer)
            .find(|signer| signer.address() == *address)
            .ok_or_else(|| self.unknown(address))
    }

    /// The key of an address, of any scheme, for use beyond this keystore.
    ///
    /// # Errors
    /// [`KeystoreError::UnknownAddress`].
    pub fn wallet_key(&self, address: &Address) -> Result<WalletKey, KeystoreError> {
        self.entries
            .iter()
            .find_map(|entry| match entry {
                Entry::Usable(pair) if pair.address() == *address => {
                    Some(WalletKey::from_entry(&pair.to_entry()))
                }
                Entry::Wallet(key) if key.address() == *address => Some(Ok(key.clone())),
                _ => None,
            })
            .unwrap_or_else(|| Err(self.unknown(address)))
    }

    /// The ed25519 key pair of an address.
    ///
    /// # Errors
    /// [`KeystoreError::UnknownAddress`], naming the schemes that were skipped.
    pub fn key(&self, address: &Address) -> Result<&Keypair, KeystoreError> {
        self.keys().find(|pair| pair.address() == *address).ok_or_else(|| self.unknown(address))
    }

    fn unknown(&self, address: &Address) -> KeystoreError {
        let mut others = self.unsupported();
        others.extend(self.entries.iter().filter_map(|entry| match entry {
            Entry::Wallet(key) => Some(key.scheme()),
            _ => None,
        }));
        KeystoreError::UnknownAddress { address: *address, path: self.path.display().to_string(), others }
    }

    /// Schemes of the entries that cannot be used, in file order.
    pub fn unsupported(&self) -> Vec<&'static str> {
        self.entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Other { scheme, .. } => Some(*scheme),
                Entry::Usable(_) | Entry::Wallet(_) => None,
            })
            .collect()
    }

    /// Makes a new key pair, writes it and gives its address.
    ///
    /// # Errors
    /// As [`Keystore::insert`].
    pub fn generate(&mut self) -> Result<Address, KeystoreError> {
        self.insert(Keypair::generate()?)
    }

    /// Reads a `suiprivkey1…` string, writes it and gives its address.
    ///
    /// # Errors
    /// As [`Keystore::insert`] and [`Keypair::from_bech32`].
    pub fn import(&mut self, bech32: &str) -> Result<Address, KeystoreError> {
        self.insert(Keypair::from_bech32(bech32)?)
    }

    /// Adds a key pair and writes the file. A key that is there already is not added again.
    ///
    /// # Errors
    /// When the file cannot be written or was changed by another program since it was read.
    pub fn insert(&mut self, pair: Keypair) -> Result<Address, KeystoreError> {
        let address = pair.address();
        if self.key(&address).is_ok() {
            return Ok(address);
        }
        self.entries.push(Entry::Usable(pair));
        if let Err(error) = self.save() {
            self.entries.pop();
            return Err(error);
        }
        Ok(address)
    }

    fn save(&mut self) -> Result<(), KeystoreError> {
        let on_disk = match read(&self.path) {
            Ok(bytes) => bytes,
            Err(KeystoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Zeroizing::default()
            }
            Err(error) => return Err(error),
        };
        if *on_disk != *self.loaded {
            return Err(KeystoreError::Changed(self.path.display().to_string()));
        }
        let texts: Vec<Zeroizing<String>> = self
            .entries
            .iter()
            .map(|entry| match entry {
                Entry::Usable(pair) => pair.to_entry(),
                Entry::Wallet(key) => key.to_entry(),
                Entry::Other { text, .. } => text.clone(),
            })
            .collect();
        let view: Vec<&str> = texts.iter().map(|text| text.as_str()).collect();
        let bytes = Zeroizing::new(
            serde_json::to_vec_pretty(&view).map_err(|error| io_error(&self.path, "write", error.into()))?,
        );
        write_atomically(&self.path, &bytes).map_err(|error| io_error(&self.path, "write", error))?;
        self.loaded = bytes;
        Ok(())
    }
}

impl Entry {
    fn signer(&self) -> Option<&dyn Signer> {
        match self {
            Entry::Usable(pair) => Some(pair),
            Entry::Wallet(key) => Some(key),
            Entry::Other { .. } => None,
        }
    }

    fn of(key: WalletKey) -> Result<Entry, KeystoreError> {
        match key.scheme() {
            "ed25519" => key.to_keypair().map(Entry::Usable),
            _ => Ok(Entry::Wallet(key)),
        }
    }
}

impl std::fmt::Debug for Keystore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keystore")
            .field("path", &self.path)
            .field("keys", &self.entries.len())
            .finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    let file = File::open(path).map_err(|error| io_error(path, "read", error))?;
    let metadata = file.metadata().map_err(|error| io_error(path, "read", error))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeystoreError::Permissions { path: path.display().to_string(), mode });
    }
    if metadata.len() > MAX_BYTES {
        return Err(KeystoreError::Format {
            path: path.display().to_string(),
            reason: format!("it is larger than {MAX_BYTES} bytes"),
        });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(metadata.len() as usize));
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(|error| io_error(path, "read", error))?;
    Ok(bytes)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Entry>, KeystoreError> {
    let format = |reason: String| KeystoreError::Format { path: path.display().to_string(), reason };
    // serde_json's own message could quote a secret, so only the position is passed on.
    let texts: Vec<Zeroizing<String>> = serde_json::from_slice::<Vec<String>>(bytes)
        .map_err(|e| {
            format(format!("line {} column {} is not part of a JSON array of strings", e.line(), e.column()))
        })?
        .into_iter()
        .map(Zeroizing::new)
        .collect();
    texts
        .into_iter()
        .enumerate()
        .map(|(index, text)| parse_entry(text).map_err(|e| format(format!("entry {index} {e}"))))
        .collect()
}

fn parse_entry(text: Zeroizing<String>) -> Result<Entry, &'static str> {
    if text.starts_with("suiprivkey") {
        return WalletKey::from_bech32(&text)
            .and_then(Entry::of)
            .map_err(|_| "is not a valid suiprivkey of ed25519, secp256k1 or secp256r1");
    }
    let payload = Zeroizing::new(STANDARD.decode(text.as_bytes()).map_err(|_| "is not base64")?);
    let Some((flag, secret)) = payload.split_first() else {
        return Err("is empty");
    };
    let scheme = match flag {
        0 => {
            let secret = Zeroizing::new(
                <[u8; 32]>::try_from(secret).map_err(|_| "is not 32 bytes of ed25519 secret")?,
            );
            return Ok(Entry::Usable(Keypair::from_secret(&secret)));
        }
        1 | 2 => {
            return WalletKey::from_entry(&text)
                .map(Entry::Wallet)
                .map_err(|_| "is not a secret of secp256k1 or secp256r1");
        }
        3 => "multisig",
        4 => "bls12381",
        _ => return Err("has an unknown signature scheme"),
    };
    Ok(Entry::Other { scheme, text })
}

fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(directory)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let result = (|| {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(directory)?.sync_all()
    })();
    if result.is_err() {
        // Best effort: the error that is reported is the first one.
        let _ = fs::remove_file(&temporary);
    }
    result
}

fn io_error(path: &Path, action: &'static str, source: io::Error) -> KeystoreError {
    KeystoreError::Io { path: path.display().to_string(), action, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sui.keystore");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn generated_keys_are_read_back_and_the_file_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/sui.keystore");
        let mut store = Keystore::open(&path).unwrap();
        let one = store.generate().unwrap();
        let two = store.generate().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = Keystore::load(&path).unwrap();
        assert_eq!(again.keys().map(Keypair::address).collect::<Vec<_>>(), [one, two]);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn other_schemes_are_named_and_kept() {
        let bls = STANDARD.encode([&[4u8][..], &[9; 32]].concat());
        let k1 = STANDARD.encode([&[1u8][..], &[9; 32]].concat());
        let ours = STANDARD.encode([&[0u8][..], &[5; 32]].concat());
        let (_dir, path) = file(&format!("[\n  \"{bls}\",\n  \"{k1}\",\n  \"{ours}\"\n]"), 0o600);
        let mut store = Keystore::load(&path).unwrap();
        assert_eq!(store.unsupported(), ["bls12381"]);
        let secp = WalletKey::from_entry(&k1).unwrap().address();
        assert_eq!(store.signer(&secp).unwrap().address(), secp);
        assert!(store.key(&secp).unwrap_err().to_string().contains("secp256k1"));
        assert_eq!(store.keys().next().unwrap().address(), Keypair::from_secret(&[5; 32]).address());
        store.generate().unwrap();
        let texts: Vec<String> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(texts[..3], [bls, k1, ours]);
        let missing = Keypair::from_secret(&[6; 32]).address();
        assert!(store.key(&missing).unwrap_err().to_string().contains("secp256k1"));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let (_dir, path) = file("[]", 0o644);
        let error = Keystore::load(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_change_by_another_program_is_not_overwritten() {
        let (_dir, path) = file("[]", 0o600);
        let mut ours = Keystore::load(&path).unwrap();
        let theirs = Keystore::load(&path).unwrap().generate().unwrap();
        assert!(matches!(ours.generate(), Err(KeystoreError::Changed(_))));
        assert_eq!(ours.keys().count(), 0);
        assert_eq!(Keystore::load(&path).unwrap().keys().next().unwrap().address(), theirs);
    }

    #[test]
    fn bad_files_are_refused_without_quoting_them() {
        let secret = STANDARD.encode([&[0u8][..], &[5; 31]].concat());
        for text in
            ["", "{}", "[1]", "[\"!\"]", "[\"\"]", &format!("[\"{secret}\"]"), &format!("[\"{secret}\" x]")]
        {
            let (_dir, path) = file(text, 0o600);
            let error = Keystore::load(&path).unwrap_err();
            assert!(matches!(error, KeystoreError::Format { .. }), "{text}: {error}");
            assert!(!error.to_string().contains(&secret), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_file_is_read_or_refused(bytes: Vec<u8>, entries: Vec<Vec<u8>>) {
            let path = Path::new("x");
            let _ = parse(path, &bytes);
            let texts: Vec<String> = entries.iter().map(|entry| STANDARD.encode(entry)).collect();
            let usable = entries.iter().all(|entry| match entry.first() {
                Some(0) => entry.len() == 33,
                Some(1 | 2) => entry.len() == 33 && entry[1..].iter().any(|byte| *byte != 0) && entry[1] != 0xff,
                Some(3..=4) => true,
                _ => false,
            });
            proptest::prop_assert_eq!(parse(path, &serde_json::to_vec(&texts).unwrap()).is_ok(), usable);
        }
    }
}
