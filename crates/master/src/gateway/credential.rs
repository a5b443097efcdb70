use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use seal_token::{Malformed, Proof};

use super::problem::Problem;
use crate::membership::Refusal;

/// The proof of `Authorization: Basic <any user>:<proof>` or `Bearer <proof>`; `None` without the header.
pub(super) fn proof(headers: &HeaderMap) -> Result<Option<Proof>, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let parsed = value.to_str().ok().filter(|_| values.next().is_none()).and_then(|value| {
        let (scheme, credential) = value.split_once(' ')?;
        let credential = credential.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(credential.parse());
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(credential).ok()?).ok()?;
        let (_, password) = decoded.split_once(':')?;
        Some(password.parse())
    });
    match parsed {
        Some(Ok(proof)) => Ok(Some(proof)),
        Some(Err(refusal)) => Err(Problem::Refused { refusal: Refusal::Proof(refusal), token: None }),
        None => {
            let refusal = Refusal::Proof(Malformed::Encoding.into());
            Err(Problem::Refused { refusal, token: None })
        }
    }
}

/// As [`proof`], but there has to be one.
pub(super) fn require_proof(headers: &HeaderMap) -> Result<Proof, Problem> {
    proof(headers)?.ok_or(Problem::Refused { refusal: Refusal::MissingCredential, token: None })
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use seal_token::Claims;

    use super::*;

    fn minted() -> Proof {
        let claims = Claims {
            version: seal_token::VERSION,
            token_id: [1; 32],
            seal: [2; 32],
            audience: [3; 32],
            not_before_ms: 1,
            not_after_ms: 2,
            nonce: [4; 16],
        };
        Proof::mint(&SigningKey::from_bytes(&[7; 32]), claims)
    }

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn basic_and_bearer_carry_the_same_proof() {
        let expected = minted();
        let basic = |user: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{expected}")));
        for value in
            [format!("Bearer {expected}"), format!("bearer {expected}"), basic("seal"), basic("node")]
        {
            assert_eq!(proof(&headers(&value)).unwrap().unwrap(), expected);
        }
        assert_eq!(proof(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn anything_else_is_malformed_and_not_quoted() {
        let secret = "c2VjcmV0";
        for value in
            ["Bearer", "Digest x=1", "Basic !!!", &format!("Basic {secret}"), &format!("Bearer {secret}")]
        {
            let problem = proof(&headers(value)).unwrap_err();
            assert_eq!(problem.reason(), "malformed", "{value}");
            assert!(!format!("{problem} {problem:?}").contains(secret));
        }
        let mut twice = headers(&format!("Bearer {}", minted()));
        twice.append(header::AUTHORIZATION, "Bearer x".parse().unwrap());
        assert_eq!(proof(&twice).unwrap_err().reason(), "malformed");
    }
}
