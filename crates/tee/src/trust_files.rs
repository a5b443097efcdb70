use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    Anchors, Collateral, MAX_COLLATERAL_BYTES, Material, Policy, TeeError, is_self_signed, read_material,
};

/// Files that say what somebody else has to prove, and with what that is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrustFiles {
    /// A policy in TOML. Code that it lists narrows what the chain allows; without a list the chain decides alone.
    pub policy: Option<PathBuf>,
    /// Collateral of the platforms' makers, as `k3s-daas attest collateral --export` writes it.
    pub collateral: Option<PathBuf>,
    /// Certificates, revocation lists and public keys, PEM, DER or JWK. Keys and self-signed certificates are trusted because they
    /// stand here.
    pub certificates: Vec<PathBuf>,
}

/// What [`TrustFiles`] say.
#[derive(Clone, Debug, Default)]
pub struct Trusted {
    /// The policy, where a file has one.
    pub policy: Option<Policy>,
    /// Whom to trust to vouch for platforms: their makers, and who stands in the files.
    pub anchors: Anchors,
    /// What is known of platforms besides their evidence.
    pub collateral: Collateral,
}

impl TrustFiles {
    /// Reads all of them.
    ///
    /// # Errors
    ///
    /// [`TeeError::TrustFile`]: which file cannot be used, and why.
    pub fn read(&self) -> Result<Trusted, TeeError> {
        let mut trusted = Trusted::default();
        if let Some(path) = &self.policy {
            let policy = read(path, |bytes| Policy::from_toml(&String::from_utf8_lossy(bytes)))?;
            trusted.policy = Some(policy);
        }
        if let Some(path) = &self.collateral {
            trusted.collateral = read(path, Collateral::from_json)?;
        }
        for path in &self.certificates {
            for item in read(path, read_material)? {
                match item {
                    Material::Certificate(der) if is_self_signed(&der) => trusted.anchors.roots.push(der),
                    Material::Certificate(der) => trusted.collateral.certificates.push(der),
                    Material::Crl(der) => trusted.collateral.crls.push(der),
                    Material::Key(key) => trusted.anchors.keys.push(key),
                }
            }
        }
        Ok(trusted)
    }
}

/// A whole file of at most [`MAX_COLLATERAL_BYTES`], made into something.
fn read<T>(path: &Path, make: impl FnOnce(&[u8]) -> Result<T, TeeError>) -> Result<T, TeeError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| wrong(path, error.to_string()))?;
    let limit = MAX_COLLATERAL_BYTES as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| wrong(path, error.to_string()))?;
    if bytes.len() > MAX_COLLATERAL_BYTES {
        return Err(wrong(path, format!("more than {MAX_COLLATERAL_BYTES} bytes")));
    }
    make(&bytes).map_err(|error| wrong(path, error.to_string()))
}

fn wrong(path: &Path, problem: String) -> TeeError {
    TeeError::TrustFile { path: path.to_owned(), problem }
}
