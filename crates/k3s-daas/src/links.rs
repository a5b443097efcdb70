use std::path::{Path, PathBuf};

use chain::sui::MultisigMemberPublicKey;
use chain::{Address, ExternalSigner, Keystore, Multisig, Signer, WalletKey};
use serde::{Deserialize, Serialize};

use crate::failure::{Context as _, Failure, Result};

/// A key file holds one line.
const MAX_KEY_FILE: u64 = 4096;

/// Where the key of a wallet is that is not in this state directory's keystore. Nothing in it is secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub(crate) enum Link {
    /// In another keystore of the Sui CLI.
    Keystore {
        /// The file.
        file: PathBuf,
        /// Which of its keys.
        address: Address,
    },
    /// Alone in a file, as `suiprivkey1…`.
    KeyFile {
        /// The file.
        file: PathBuf,
    },
    /// In the file that an environment variable names.
    KeyFileFromEnv {
        /// The variable.
        variable: String,
    },
    /// With a program that signs.
    Signer {
        /// The address that it signs for.
        address: Address,
        /// Program and arguments.
        command: Vec<String>,
    },
    /// With a committee, of which some members are wallets here.
    Multisig {
        /// Every member's public key, base64 of flag ‖ key, and its weight.
        members: Vec<(String, u8)>,
        /// The weight that has to sign.
        threshold: u16,
        /// Wallets here that sign, in their order.
        wallets: Vec<String>,
    },
}

impl Link {
    /// Whatever signs. `wallet` finds the members of a committee.
    pub(crate) fn open(&self, wallet: &dyn Fn(&str) -> Result<Box<dyn Signer>>) -> Result<Box<dyn Signer>> {
        match self {
            Link::Keystore { file, address } => keystore_key(file, address),
            Link::KeyFile { file } => key_file(file),
            Link::KeyFileFromEnv { variable } => {
                let file = std::env::var_os(variable).ok_or_else(|| {
                    Failure::usage(format!("the wallet's key is in the file that {variable} names: set it"))
                })?;
                key_file(Path::new(&file))
            }
            Link::Signer { address, command } => {
                let (program, arguments) =
                    command.split_first().ok_or_else(|| Failure::usage("the wallet's signer is empty"))?;
                Ok(Box::new(ExternalSigner::new(*address, program, arguments.to_vec())))
            }
            Link::Multisig { members, threshold, wallets } => {
                let members = members
                    .iter()
                    .map(|(key, weight)| Ok((public_key(key)?, *weight)))
                    .collect::<Result<_>>()?;
                let signers = wallets.iter().map(|name| wallet(name)).collect::<Result<_>>()?;
                Ok(Box::new(Multisig::new(members, *threshold, signers).context("the wallet's committee")?))
            }
        }
    }
}

fn keystore_key(file: &Path, address: &Address) -> Result<Box<dyn Signer>> {
    let keystore = Keystore::load(file).context("opening the wallet's keystore")?;
    Ok(Box::new(keystore.wallet_key(address).context("opening the wallet's keystore")?))
}

/// Reads a `suiprivkey1…` line, or one entry as the Sui CLI's keystore has it.
fn key_file(path: &Path) -> Result<Box<dyn Signer>> {
    use std::os::unix::fs::PermissionsExt as _;
    let doing = format!("reading the wallet's key file {}", path.display());
    let meta = std::fs::metadata(path).context(&doing)?;
    if meta.len() > MAX_KEY_FILE {
        return Err(Failure::usage(format!("{doing}: it is too large for one key")));
    }
    if meta.permissions().mode() & 0o077 != 0 {
        return Err(Failure::refused(format!("{doing}: others can read it; run `chmod 600`")));
    }
    let text = std::fs::read_to_string(path).context(&doing)?;
    let key = if text.trim().starts_with("suiprivkey") {
        WalletKey::from_bech32(&text)
    } else {
        WalletKey::from_entry(&text)
    };
    Ok(Box::new(key.context(doing)?))
}

/// Reads base64 of flag ‖ key, as `sui keytool list` prints it.
pub(crate) fn public_key(text: &str) -> Result<MultisigMemberPublicKey> {
    use base64::Engine as _;
    let bad = || {
        Failure::usage(format!(
            "{text:?} is no public key of ed25519, secp256k1 or secp256r1: give base64 as `sui keytool list` prints it"
        ))
    };
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).map_err(|_| bad())?;
    let (flag, key) = bytes.split_first().ok_or_else(bad)?;
    match flag {
        0 => chain::sui::Ed25519PublicKey::from_bytes(key)
            .map(MultisigMemberPublicKey::Ed25519)
            .map_err(|_| bad()),
        1 => chain::sui::Secp256k1PublicKey::from_bytes(key)
            .map(MultisigMemberPublicKey::Secp256k1)
            .map_err(|_| bad()),
        2 => chain::sui::Secp256r1PublicKey::from_bytes(key)
            .map(MultisigMemberPublicKey::Secp256r1)
            .map_err(|_| bad()),
        _ => Err(bad()),
    }
}
