use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::cli::{ControlPlaneFlags, Global};
use crate::deployment::Deployment;
use crate::failure::{Failure, Result};

/// Largest configuration file, bytes.
const MAX_FILE: u64 = 1024 * 1024;
const PREFIX: &str = "K3S_DAAS_";
/// Variables that are flags, not configuration.
const FLAGS: [&str; 7] = ["STATE_DIR", "CONFIG", "CHAIN", "LOG", "FRAMEWORK", "STATE", "TOKEN_FILE"];
const SECTIONS: [&str; 7] = ["chain", "devnet", "cluster", "master", "worker", "node", "mock_mode"];
const DEVNET: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9000);

/// The configuration: flags before environment before file. Sections: `[chain]`, `[devnet]`, `[cluster]`,
/// `[master]`, `[worker]`, `[node]`.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    table: Table,
    /// `--chain`.
    chain: Option<String>,
}

impl Settings {
    pub(crate) fn load(global: &Global) -> Result<Self> {
        let mut table = match &global.config {
            Some(path) => read(path)?,
            None => Table::new(),
        };
        if let Ok(mock) = std::env::var("MOCK_MODE") {
            table.insert("mock_mode".to_owned(), parse(&mock));
        }
        for (name, value) in std::env::vars() {
            if let Some(name) = name.strip_prefix(PREFIX).filter(|name| !FLAGS.contains(name)) {
                insert(&mut table, name, &value)?;
            }
        }
        if let Some(unknown) = table.keys().find(|key| !SECTIONS.contains(&key.as_str())) {
            return Err(Failure::usage(format!(
                "the configuration has no section {unknown:?}: use {}",
                SECTIONS.join(", ")
            )));
        }
        Ok(Self { table, chain: global.chain.clone() })
    }

    /// The Sui endpoint: flag, configuration, what is deployed here, the embedded chain.
    pub(crate) fn chain_url(&self, deployment: &Deployment) -> String {
        match self.remote_chain() {
            Some(url) => url,
            None if !deployment.chain_url.is_empty() => deployment.chain_url.clone(),
            None => self.devnet_url(),
        }
    }

    /// The Sui endpoint that was asked for, if not the embedded chain.
    pub(crate) fn remote_chain(&self) -> Option<String> {
        let configured = || Some(self.table.get("chain")?.get("url")?.as_str()?.to_owned());
        self.chain.clone().or_else(configured)
    }

    /// Flags of the control plane, in place of what the configuration says.
    pub(crate) fn control_plane(&mut self, flags: &ControlPlaneFlags) -> Result<()> {
        if !flags.disable.is_empty() {
            subtable(&mut self.table, "cluster")?
                .insert("disable".to_owned(), Value::from(flags.disable.clone()));
        }
        if let Some(engine) = flags.engine {
            subtable(&mut self.table, "master")?.insert("engine".to_owned(), engine.as_str().into());
        }
        if let Some(binary) = &flags.k3s_binary {
            let k3s = subtable(subtable(&mut self.table, "master")?, "k3s")?;
            k3s.insert("binary".to_owned(), binary.to_string_lossy().into_owned().into());
        }
        Ok(())
    }

    /// Where the embedded chain listens.
    pub(crate) fn devnet_listen(&self) -> Result<SocketAddr> {
        match self.table.get("devnet").and_then(|devnet| devnet.get("listen")) {
            None => Ok(DEVNET),
            Some(value) => value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
                Failure::usage("[devnet] listen is no address: write it as \"127.0.0.1:9000\"")
            }),
        }
    }

    pub(crate) fn devnet_url(&self) -> String {
        format!("http://{}", self.devnet_listen().unwrap_or(DEVNET))
    }

    /// Whether the simulated TEE may stand in for a real one: not when `mock_mode` is explicitly false.
    pub(crate) fn simulated_tee_allowed(&self) -> bool {
        self.table.get("mock_mode").and_then(Value::as_bool).unwrap_or(true)
    }

    /// Whether `mock_mode` was asked for by name.
    pub(crate) fn mock_mode(&self) -> bool {
        self.table.get("mock_mode").and_then(Value::as_bool).unwrap_or(false)
    }

    /// A section, laid over `base`; `base` fills in what the section does not say.
    pub(crate) fn section<T: DeserializeOwned>(&self, name: &str, base: Table) -> Result<T> {
        let mut merged = base;
        if let Some(Value::Table(given)) = self.table.get(name) {
            merge(&mut merged, given);
        }
        Value::Table(merged).try_into().map_err(|error| Failure::usage(format!("[{name}]: {error}")))
    }
}

fn read(path: &Path) -> Result<Table> {
    let wrong = |what: String| Failure::usage(format!("configuration {}: {what}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if size > MAX_FILE {
        return Err(wrong(format!("is larger than {MAX_FILE} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))
}

/// `SECTION__KEY=value`, the names in any case.
fn insert(table: &mut Table, name: &str, value: &str) -> Result<()> {
    let path: Vec<String> = name.split("__").map(str::to_lowercase).collect();
    let Some((key, parents)) = path.split_last() else { return Ok(()) };
    let mut at = table;
    for parent in parents {
        let next = at.entry(parent.clone()).or_insert_with(|| Value::Table(Table::new()));
        at = next
            .as_table_mut()
            .ok_or_else(|| Failure::usage(format!("{PREFIX}{name}: {parent:?} is a value, not a section")))?;
    }
    at.insert(key.clone(), parse(value));
    Ok(())
}

/// A TOML value, or the text itself.
fn parse(text: &str) -> Value {
    let line = format!("value = {text}");
    let parsed: Option<Table> = line.parse().ok();
    parsed.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(text.to_owned()))
}

fn subtable<'a>(table: &'a mut Table, name: &str) -> Result<&'a mut Table> {
    let section = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
    section.as_table_mut().ok_or_else(|| Failure::usage(format!("[{name}] is no section")))
}

fn merge(base: &mut Table, over: &Table) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => merge(base, over),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The file of this name beside the running binary.
pub(crate) fn beside(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.parent().unwrap_or(Path::new("")).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_reaches_into_sections_and_types_are_kept() {
        let mut table: Table = "[master]\nstore_quota_bytes = 1".parse().unwrap();
        insert(&mut table, "MASTER__STORE_QUOTA_BYTES", "5").unwrap();
        insert(&mut table, "MASTER__LISTEN", "127.0.0.1:1").unwrap();
        assert_eq!(table["master"]["store_quota_bytes"].as_integer(), Some(5));
        assert_eq!(table["master"]["listen"].as_str(), Some("127.0.0.1:1"));
        assert!(insert(&mut table, "MASTER__LISTEN__X", "1").is_err());
    }

    #[test]
    fn a_section_lies_over_its_base_and_unknown_keys_are_named() {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Part {
            one: u32,
            two: u32,
        }
        let settings = |text: &str| Settings { table: text.parse().unwrap(), chain: None };
        let base = || "one = 1\ntwo = 2".parse::<Table>().unwrap();
        let part: Part = settings("[node]\ntwo = 3").section("node", base()).unwrap();
        assert_eq!((part.one, part.two), (1, 3));
        let wrong = settings("[node]\nthree = 3").section::<Part>("node", base()).err().unwrap();
        assert!(wrong.to_string().contains("three"), "{wrong}");
    }
}
