use std::collections::BTreeMap;

use chain::sui::TypeTag;
use chain::{Address, Client};
use serde::Deserialize;
use tee::custody::CustodyError;
use tee::custody::seal::{KeyServer, ServerKey};

use super::wire::{Service, from_base64};
use crate::error::Error;
use crate::http_client::{client, join};
use crate::seal::asking::{SDK_TYPE, SDK_VERSION, send};

/// The only type of key that servers have.
const BONEH_FRANKLIN: u8 = 0;
const MAX_NAME: usize = 64;
const MAX_URL: usize = 512;
const MAX_ANSWER_BYTES: usize = 4096;

/// Why an object on chain is no key server that can be asked.
#[derive(Debug, thiserror::Error)]
#[error("key server {object}: {why}")]
pub struct KeyServerError {
    /// The object.
    pub object: Address,
    /// What is wrong and what to do.
    pub why: String,
}

/// Seal's `key_server::KeyServer`.
#[derive(Deserialize)]
struct Head {
    _id: Address,
    first_version: u64,
    last_version: u64,
}

/// Its dynamic field of version 1.
#[derive(Deserialize)]
struct First {
    name: String,
    url: String,
    key_type: u8,
    pk: Vec<u8>,
}

/// And of version 2.
#[derive(Deserialize)]
struct Second {
    name: String,
    key_type: u8,
    pk: Vec<u8>,
    server: Kind,
}

#[derive(Deserialize)]
enum Kind {
    Independent { url: String },
    Committee { _version: u32, _threshold: u16, _partial: Vec<Partial> },
}

#[derive(Deserialize)]
struct Partial {
    _name: String,
    _url: String,
    _pk: Vec<u8>,
    _party: u16,
}

/// The key servers of these objects of Seal on chain, in their order. A URL in `urls` is used in place of the one on chain; a server in committee
/// mode has none there, but an aggregator that somebody runs.
///
/// # Errors
/// [`Error::KeyServer`], and the chain's.
pub async fn read_key_servers(
    client: &Client,
    objects: &[Address],
    urls: &BTreeMap<Address, String>,
) -> Result<Vec<KeyServer>, Error> {
    let mut servers = Vec::with_capacity(objects.len());
    for object in objects {
        servers.push(read_key_server(client, *object, urls.get(object)).await?);
    }
    Ok(servers)
}

async fn read_key_server(client: &Client, object: Address, url: Option<&String>) -> Result<KeyServer, Error> {
    let wrong = |why: &str| Error::from(KeyServerError { object, why: why.to_owned() });
    let content = content(client, object).await?;
    let head: Head =
        bcs::from_bytes(&content).map_err(|_| wrong("the object is none of Seal's key servers"))?;
    let version =
        [2, 1].into_iter().find(|version| (head.first_version..=head.last_version).contains(version));
    let version: u64 =
        version.ok_or_else(|| wrong("has neither version 1 nor 2, which this program reads"))?;
    let field = object.derive_dynamic_child_id(&TypeTag::U64, &version.to_le_bytes());
    let content = self::content(client, field).await?;
    // A field is its id, its name and its value.
    let value = content.get(40..).ok_or_else(|| wrong("its description is malformed"))?;
    let Described { name, url: own, key } = describe(version, value).map_err(|why| wrong(&why))?;
    let url = url.cloned().or(own);
    let url = url.ok_or_else(|| wrong("is a committee: give the URL of an aggregator, as ID=URL"))?;
    if url.len() > MAX_URL || !(url.starts_with("https://") || url.starts_with("http://")) {
        return Err(wrong("has no URL that is http:// or https://"));
    }
    let name: String = name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    let name = if name.is_empty() { object.to_string() } else { name };
    Ok(KeyServer { object: object.into_inner(), name, url, key })
}

struct Described {
    name: String,
    /// None of a committee.
    url: Option<String>,
    key: ServerKey,
}

fn describe(version: u64, value: &[u8]) -> Result<Described, String> {
    let malformed = |_| "its description is malformed".to_owned();
    let (name, url, key_type, pk) = if version == 1 {
        let First { name, url, key_type, pk } = bcs::from_bytes(value).map_err(malformed)?;
        (name, Some(url), key_type, pk)
    } else {
        let Second { name, key_type, pk, server } = bcs::from_bytes(value).map_err(malformed)?;
        let url = match server {
            Kind::Independent { url } => Some(url),
            Kind::Committee { .. } => None,
        };
        (name, url, key_type, pk)
    };
    if key_type != BONEH_FRANKLIN {
        return Err("has a key of another type than Boneh-Franklin's over BLS12-381".to_owned());
    }
    let key = ServerKey::from_bytes(&pk).map_err(|error| error.to_string())?;
    Ok(Described { name, url, key })
}

async fn content(client: &Client, id: Address) -> Result<Vec<u8>, chain::Error> {
    let object = client.object(id).await?;
    Ok(object.as_struct().map(|data| data.contents().to_vec()).unwrap_or_default())
}

/// Has the server show that it has the secret half of its public key (`GET /v1/service`): otherwise what is encrypted to it is lost.
///
/// # Errors
/// That it cannot be asked, or does not show it.
pub async fn check_possession(server: &KeyServer) -> Result<(), Error> {
    let id = Address::new(server.object);
    let url = join(&server.url, &format!("/v1/service?service_id={id}"));
    let request = client()?.get(url).header(SDK_TYPE.0, SDK_TYPE.1).header(SDK_VERSION.0, SDK_VERSION.1);
    let bytes = send(&server.url, request, MAX_ANSWER_BYTES).await?;
    let nonsense = |what: &str| Error::Nonsense { url: server.url.clone(), what: what.to_owned() };
    let service: Service =
        serde_json::from_slice(&bytes).map_err(|_| nonsense("something else than its service"))?;
    let proof = from_base64(&service.pop).ok_or_else(|| nonsense("a proof that is not base64"))?;
    if service.service_id.parse() != Ok(id) {
        return Err(nonsense("another service than the one on chain"));
    }
    if server.key.is_possessed(&server.object, &proof) {
        Ok(())
    } else {
        Err(CustodyError::Committee(format!("{} does not have the key that the chain says", server.name))
            .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By Seal's SDK: `oracle.mjs` beside it.
    const SERVERS: &str = include_str!("../../../tee/tests/seal/servers.txt");

    #[test]
    fn every_kind_of_key_server_is_read_and_nothing_else() {
        let mut urls = Vec::new();
        for line in SERVERS.lines() {
            let (kind, bytes) = line.split_once(' ').unwrap();
            let (version, value) = (if kind == "one" { 1 } else { 2 }, hex::decode(bytes).unwrap());
            let described = describe(version, &value).unwrap();
            assert_eq!(described.name, "server");
            urls.push(described.url);
            // Cut off anywhere, or of another version, it is nothing; nor with something after it.
            for end in 0..value.len() {
                assert!(describe(version, &value[..end]).is_err(), "{kind}, {end} bytes");
            }
            assert!(describe(3 - version, &value).is_err());
            assert!(describe(version, &[&value[..], &[0]].concat()).is_err());
        }
        let url = || Some("https://server.example".to_owned());
        assert_eq!(urls, [url(), url(), None]);
    }
}
