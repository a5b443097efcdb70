//! What people hand over: object ids and files.

use std::path::Path;

use chain::Address;
use serde::de::DeserializeOwned;

use crate::failure::{Context as _, Failure, Result};

/// Largest file that is read whole, bytes: the shares of an epoch with 65,536 stakes have 15 MB.
const MAX_FILE: u64 = 32 * 1024 * 1024;

/// An object id.
pub(crate) fn id(text: &str) -> Result<Address> {
    text.parse().map_err(|_| Failure::usage(format!("{text:?} is no object id: give it as 0x…")))
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let doing = format!("reading {}", path.display());
    let size = std::fs::metadata(path).context(&doing)?.len();
    if size > MAX_FILE {
        return Err(Failure::usage(format!("{doing}: it is larger than {MAX_FILE} bytes")));
    }
    std::fs::read(path).context(doing)
}

/// A value from a JSON file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_slice(&read(path)?)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// A value from a TOML file.
pub(crate) fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = String::from_utf8(read(path)?)
        .map_err(|_| Failure::usage(format!("{} is no text", path.display())))?;
    toml::from_str(&text).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}
