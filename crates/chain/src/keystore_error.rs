use sui_sdk_types::Address;

/// Why a keystore or a key cannot be used. Never holds any part of a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// The file cannot be read or written.
    #[error("cannot {action} the keystore {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// `read` or `write`.
        action: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// Other users may read the file.
    #[error("the keystore {path} can be read by others (mode {mode:03o}); run `chmod 600 {path}`")]
    Permissions {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not a keystore of the Sui CLI.
    #[error("{path} is not a Sui keystore: {reason}")]
    Format {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Another program wrote the file since it was read.
    #[error("the keystore {0} was changed by another program; read it again and retry")]
    Changed(String),
    /// There is no usable key for the address.
    #[error(
        "the keystore {path} has no key for {address} that can be used here{}",
        if .others.is_empty() { String::new() } else { format!(" (there are other keys: {})", .others.join(", ")) }
    )]
    UnknownAddress {
        /// The address.
        address: Address,
        /// The file.
        path: String,
        /// Schemes of the other entries.
        others: Vec<&'static str>,
    },
    /// A text is not a private key that can be used.
    #[error("not a private key that can be used here: {0}")]
    Secret(String),
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system: {0}")]
    Randomness(String),
}
