//! RA-TLS: evidence bound to the key of a TLS connection, in the certificate.
//!
//! The evidence's report data is a digest over the certificate's public key and the time at which it was made, so
//! whoever finishes a handshake with that key *is* the code that the evidence speaks of: relayed evidence, evidence
//! for another key and old evidence do not fit. The certificate may be signed by anybody; programs that know nothing of
//! attestation see an ordinary certificate.
//!
//! The extension is id-pe-cmw (1.3.6.1.5.5.7.1.35, draft-ietf-rats-msg-wrap): a conceptual message wrapper in its CBOR
//! form, `[media type, evidence]`, as [`crate::Evidence`] encodes it.

mod certificate;
mod error;
mod verifier;

pub use certificate::{
    Attested, CERTIFICATE_LEAD_SECONDS, CMW_OID, attested_extension, certificate_evidence, issue_attested,
};
pub use error::RaTlsError;
pub use verifier::{AttestedPeer, Clock};
