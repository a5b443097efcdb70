use chain::Address;
use chain::sui::{Ed25519PublicKey, ProgrammableTransaction};
use ed25519_dalek::{Signer, SigningKey};
use serde::Serialize;
use tee::custody::seal::ReplyKey;
use tee::{EnclaveKey, TeeError};
use time::OffsetDateTime;

use super::wire::{Certificate, FetchKey, base64};

/// How long a session lasts; servers take at most 30.
const MINUTES: u16 = 3;
const MINUTE_MS: u64 = 60_000;
/// A server whose clock is behind by less takes a new session.
const EARLIER_MS: u64 = 30_000;
/// Sui's flag of an ed25519 signature.
const ED25519: u8 = 0;

/// A key that asks key servers in the name of an enclave, for some minutes. Wiped when dropped.
pub(super) struct Session {
    key: SigningKey,
    certificate: Certificate,
}

/// What a request's signature is over, as BCS.
#[derive(Serialize)]
struct Signed {
    ptb: Vec<u8>,
    enc_key: Vec<u8>,
    enc_verification_key: Vec<u8>,
}

impl Session {
    /// A new one, for keys of `package`.
    pub(super) fn open(enclave: &EnclaveKey, package: Address, now_ms: u64) -> Result<Self, TeeError> {
        let key = SigningKey::from_bytes(&tee::fresh_nonce()?);
        let session = base64(&key.verifying_key().to_bytes());
        let creation_time = now_ms.saturating_sub(EARLIER_MS);
        let since = utc(creation_time);
        // Seal's words: servers put them together from the certificate and compare.
        let message = format!(
            "Accessing keys of package {package} for {MINUTES} mins from {since}, session key {session}"
        );
        let (public, signature) = (enclave.public_key(), enclave.sign_personal_message(&message));
        let certificate = Certificate {
            user: Ed25519PublicKey::new(public).derive_address().to_string(),
            session_vk: session,
            creation_time,
            ttl_min: MINUTES,
            signature: base64(&[&[ED25519][..], &signature, &public].concat()),
        };
        Ok(Self { key, certificate })
    }

    /// Whether a request that is made now would come too late.
    pub(super) fn is_over(&self, now_ms: u64) -> bool {
        let end = self.certificate.creation_time.saturating_add(u64::from(MINUTES - 1) * MINUTE_MS);
        now_ms >= end || now_ms < self.certificate.creation_time
    }

    /// Asks for what `program` has approved, encrypted to `reply`.
    pub(super) fn ask(
        &self,
        program: &ProgrammableTransaction,
        reply: &ReplyKey,
    ) -> Result<FetchKey<'_>, chain::Error> {
        let encode = |error: bcs::Error| chain::Error::Build(error.to_string());
        let signed = Signed {
            ptb: bcs::to_bytes(program).map_err(encode)?,
            enc_key: reply.public().to_vec(),
            enc_verification_key: reply.verification().to_vec(),
        };
        let signature = self.key.sign(&bcs::to_bytes(&signed).map_err(encode)?);
        Ok(FetchKey {
            ptb: base64(&signed.ptb),
            enc_key: base64(&signed.enc_key),
            enc_verification_key: base64(&signed.enc_verification_key),
            request_signature: base64(&signature.to_bytes()),
            certificate: &self.certificate,
        })
    }
}

/// `2026-11-23 23:59:59 UTC`.
fn utc(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1000).unwrap_or(0);
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (date, time) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_seals_servers_write_them() {
        // Of their own regression test.
        assert_eq!(utc(1_622_548_800), "1970-01-19 18:42:28 UTC");
        assert_eq!(utc(1_700_000_000_999), "2023-11-14 22:13:20 UTC");
    }

    #[test]
    fn a_session_ends() {
        let key = EnclaveKey::ephemeral().unwrap();
        let session = Session::open(&key, Address::TWO, 1_000_000).unwrap();
        assert!(!session.is_over(1_000_000) && !session.is_over(1_089_999));
        assert!(session.is_over(1_090_000) && session.is_over(900_000));
    }
}
