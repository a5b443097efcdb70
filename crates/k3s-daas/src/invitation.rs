//! What a machine has to know to belong to a cluster, as one line of text: where the chain and the cluster on it are,
//! and, when it is for one node, that node's token with its holder key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::state_dir::StateDir;
use crate::tokens::{Token, key_file, load_key, save_key};

/// Begins every invitation; the number is that of the form.
const PREFIX: &str = "k3sdaas1.";
/// Longest text that is looked at, bytes.
pub(crate) const MAX_TEXT: usize = 16 * 1024;

/// See the module.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Invitation {
    pub(crate) deployment: Deployment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) holder: Option<Holder>,
}

/// A token with the key that makes it worth something.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Holder {
    pub(crate) token: Token,
    /// Ed25519 seed, hexadecimal.
    key: Zeroizing<String>,
}

impl Invitation {
    /// The cluster of this state directory, and the token of this name if one is given.
    pub(crate) fn of(state: &StateDir, chain_url: String, name: Option<&str>) -> Result<Self> {
        let deployment = Deployment { chain_url, ..Deployment::load(state)? };
        let holder = |name: &str| -> Result<Holder> {
            let token = Token::load(state, name)?;
            if token.token_id.is_none() {
                return Err(Failure::not_ready(format!("{name:?} has no token on chain yet")));
            }
            let seed = Zeroizing::new(load_key(state, name)?.to_bytes());
            Ok(Holder { token, key: hex::encode(*seed).into() })
        };
        Ok(Self { deployment, holder: name.map(holder).transpose()? })
    }

    /// One line.
    pub(crate) fn to_text(&self) -> Result<Zeroizing<String>> {
        let json = Zeroizing::new(serde_json::to_vec(self).context("encoding the invitation")?);
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&*json)).into())
    }

    /// Reads what [`Invitation::to_text`] made.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| {
            Failure::usage(format!(
                "this is no invitation ({what}): make one with `k3s-daas token export` where the token is"
            ))
        };
        let text = text.trim();
        if text.len() > MAX_TEXT {
            return Err(wrong("it is too long"));
        }
        let body = text.strip_prefix(PREFIX).ok_or_else(|| wrong("it does not begin with k3sdaas1."))?;
        let json = Zeroizing::new(URL_SAFE_NO_PAD.decode(body).map_err(|_| wrong("it is not whole"))?);
        // What serde would quote may be the key.
        serde_json::from_slice(&json).map_err(|_| wrong("it is damaged or of another version"))
    }

    /// Writes it into this state directory; what is there already has to be of the same cluster and the same token.
    /// Gives the token's name.
    pub(crate) fn accept(&self, state: &StateDir) -> Result<Option<String>> {
        if self.deployment.cluster.is_none() || self.deployment.package.is_none() {
            return Err(Failure::usage("the invitation names no cluster"));
        }
        if let Some(here) = Deployment::find(state)? {
            if here.cluster != self.deployment.cluster || here.chain_id != self.deployment.chain_id {
                return Err(Failure::usage(format!(
                    "{} belongs to another cluster: give another --state-dir",
                    state.root().display()
                )));
            }
        } else {
            self.deployment.save(state)?;
        }
        let Some(Holder { token, key }) = &self.holder else { return Ok(None) };
        let seed = crate::tokens::bytes32(key, "holder key")
            .map_err(|_| Failure::usage("the invitation's key is damaged"))?;
        let key = ed25519_dalek::SigningKey::from_bytes(&Zeroizing::new(seed));
        let known = Token::find(state, &token.name)?;
        if let Some(known) = &known
            && known.token_id != token.token_id
        {
            return Err(Failure::usage(format!("there is another token {:?} here already", token.name)));
        }
        // A key that was rotated here since is newer than the invitation.
        if known.is_none() || !key_file(state, &token.name).exists() {
            save_key(state, &token.name, &key)?;
            token.save(state)?;
        }
        Ok(Some(token.name.clone()))
    }
}

#[cfg(test)]
mod tests {
    use chain::Address;
    use proptest::prelude::*;

    use super::*;

    fn state(dir: &std::path::Path) -> StateDir {
        StateDir::resolve(Some(dir)).unwrap()
    }

    fn cluster(byte: u8) -> Deployment {
        let id = |byte| Some(Address::new([byte; 32]));
        let chain_id = "c".to_owned();
        Deployment { chain_id, package: id(9), cluster: id(byte), ..Deployment::default() }
    }

    fn token(id: u8) -> Token {
        Token {
            name: "w1".into(),
            wallet: "staker".into(),
            stake_id: None,
            token_id: Some(Address::new([id; 32])),
            seal: Some("33".repeat(32)),
            node_name: Some("w1".into()),
        }
    }

    #[test]
    fn one_line_is_all_that_another_machine_needs() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (here, there) = (state(here.path()), state(there.path()));
        cluster(1).save(&here).unwrap();
        token(5).save(&here).unwrap();
        let key = crate::tokens::load_or_make_key(&here, "w1").unwrap();
        let made = Invitation::of(&here, "http://10.0.0.1:9000".into(), Some("w1")).unwrap();
        let text = made.to_text().unwrap();
        assert!(!text.contains(char::is_whitespace));
        let read = Invitation::parse(&format!("{}\n", *text)).unwrap();
        assert_eq!(read.accept(&there).unwrap().as_deref(), Some("w1"));
        assert_eq!(load_key(&there, "w1").unwrap().to_bytes(), key.to_bytes());
        assert_eq!(Deployment::load(&there).unwrap().chain_url, "http://10.0.0.1:9000");

        // Again, after the key was rotated there: the newer one stays.
        let newer = crate::tokens::new_key();
        save_key(&there, "w1", &newer).unwrap();
        read.accept(&there).unwrap();
        assert_eq!(load_key(&there, "w1").unwrap().to_bytes(), newer.to_bytes());
    }

    #[test]
    fn another_cluster_or_another_token_is_refused() {
        let there = tempfile::tempdir().unwrap();
        let there = state(there.path());
        cluster(2).save(&there).unwrap();
        let invitation = |cluster_id, token_id| Invitation {
            deployment: cluster(cluster_id),
            holder: Some(Holder { token: token(token_id), key: "11".repeat(32).into() }),
        };
        let error = invitation(1, 5).accept(&there).unwrap_err().to_string();
        assert!(error.contains("another cluster"), "{error}");
        invitation(2, 5).accept(&there).unwrap();
        let error = invitation(2, 6).accept(&there).unwrap_err().to_string();
        assert!(error.contains("another token"), "{error}");
    }

    #[test]
    fn what_is_no_invitation_is_said_so_without_its_content() {
        let secret = "5e".repeat(32);
        let json = format!("{{\"deployment\":{{}},\"holder\":{{\"key\":{secret:?}}}}}");
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json));
        for bad in ["", "K10abc::seal:x", "k3sdaas1.%%", text.as_str(), &"k".repeat(MAX_TEXT + 1)] {
            let error = Invitation::parse(bad).err().unwrap().to_string();
            assert!(error.contains("token export") && !error.contains(&secret), "{error}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "k3sdaas1[.][A-Za-z0-9_-]{0,60}", any in ".{0,60}") {
            let _ = Invitation::parse(&text);
            let _ = Invitation::parse(&any);
        }
    }
}
