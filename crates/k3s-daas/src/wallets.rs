use std::collections::BTreeMap;
use std::str::FromStr;

use chain::{Address, Keypair, Keystore, Signer};

use crate::failure::{Context, Failure, Result};
use crate::links::Link;
use crate::state_dir::StateDir;

const NAMES: &str = "wallets/aliases.json";
const LINKS: &str = "wallets/links.json";
/// Committees of committees end here.
const MAX_DEPTH: usize = 4;

/// The wallets of a state directory: a Sui CLI keystore and a name for each of its addresses, and wallets whose
/// keys are elsewhere.
pub(crate) struct Wallets {
    state: StateDir,
    keystore: Keystore,
    names: BTreeMap<String, Address>,
    links: BTreeMap<String, Link>,
}

impl Wallets {
    pub(crate) fn open(state: &StateDir) -> Result<Self> {
        state.dir("wallets")?;
        let keystore = Keystore::open(state.path("wallets/sui.keystore")).context("opening the keystore")?;
        let names = state.read_json(NAMES)?.unwrap_or_default();
        let links = state.read_json(LINKS)?.unwrap_or_default();
        Ok(Self { state: state.clone(), keystore, names, links })
    }

    /// The wallet of this name.
    pub(crate) fn get(&self, name: &str) -> Result<&Keypair> {
        let Some(address) = self.names.get(name) else {
            let known: Vec<&str> = self.names.keys().map(String::as_str).collect();
            return Err(Failure::usage(format!(
                "there is no wallet {name:?} here (known: {}): make one with `k3s-daas wallet new {name}`",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            )));
        };
        self.keystore.key(address).context(format_args!("wallet {name:?}"))
    }

    /// Whatever signs for the wallet of this name, wherever its key is.
    pub(crate) fn signer(&self, name: &str) -> Result<Box<dyn Signer>> {
        self.signer_at(name, 0)
    }

    fn signer_at(&self, name: &str, depth: usize) -> Result<Box<dyn Signer>> {
        if depth > MAX_DEPTH {
            return Err(Failure::usage(format!("the committee of wallet {name:?} never ends")));
        }
        match self.links.get(name) {
            Some(link) => link.open(&|member| self.signer_at(member, depth + 1)),
            None => Ok(Box::new(self.get(name)?.clone())),
        }
    }

    /// Names a wallet whose key is elsewhere. Its key is looked at once, so that what is named also works.
    pub(crate) fn link(&mut self, name: &str, link: Link) -> Result<Address> {
        self.check_new(name)?;
        let address = link.open(&|member| self.signer(member))?.address();
        self.links.insert(name.to_owned(), link);
        self.state.write_json(LINKS, &self.links)?;
        self.names.insert(name.to_owned(), address);
        self.state.write_json(NAMES, &self.names)?;
        Ok(address)
    }

    fn check_new(&self, name: &str) -> Result<()> {
        if !is_name(name) {
            return Err(Failure::usage(format!(
                "{name:?} is no wallet name: use 1 to 63 lower-case letters, digits and `-`"
            )));
        }
        match self.names.get(name) {
            Some(address) => Err(Failure::usage(format!("there is a wallet {name:?} already: {address}"))),
            None => Ok(()),
        }
    }

    /// The wallet of this name, made when there is none.
    pub(crate) fn get_or_new(&mut self, name: &str) -> Result<&Keypair> {
        if !self.names.contains_key(name) {
            self.create(name)?;
        }
        self.get(name)
    }

    pub(crate) fn create(&mut self, name: &str) -> Result<Address> {
        self.check_new(name)?;
        // The key is durable before the name points to it.
        let address = self.keystore.generate().context("writing the keystore")?;
        self.names.insert(name.to_owned(), address);
        self.state.write_json(NAMES, &self.names)?;
        Ok(address)
    }

    /// The address of a wallet name, or the address itself.
    pub(crate) fn address(&self, name_or_address: &str) -> Result<Address> {
        if let Some(address) = self.names.get(name_or_address) {
            return Ok(*address);
        }
        Address::from_str(name_or_address).map_err(|_| {
            Failure::usage(format!("{name_or_address:?} is neither a wallet here nor an address 0x…"))
        })
    }

    /// The name of an address, if it is one of ours.
    pub(crate) fn name_of(&self, address: &Address) -> Option<&str> {
        self.names.iter().find(|(_, known)| *known == address).map(|(name, _)| name.as_str())
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, Address)> {
        self.names.iter().map(|(name, address)| (name.as_str(), *address))
    }
}

/// A DNS label: what a wallet, a token and a file of theirs can all be called.
pub(crate) fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wallets_keep_their_names_and_keys() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::resolve(Some(dir.path())).unwrap();
        let mut wallets = Wallets::open(&state).unwrap();
        let address = wallets.create("alice").unwrap();
        assert!(wallets.create("alice").unwrap_err().to_string().contains("already"));
        assert!(wallets.create("../alice").is_err());

        let again = Wallets::open(&state).unwrap();
        assert_eq!(again.get("alice").unwrap().address(), address);
        assert_eq!(again.name_of(&address), Some("alice"));
        assert_eq!(again.address(&address.to_string()).unwrap(), address);
        let missing = again.get("bob").err().unwrap().to_string();
        assert!(missing.contains("wallet new bob"), "{missing}");
    }
}
