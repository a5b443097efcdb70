//! AWS Nitro enclaves: documents of the Nitro Secure Module, `/dev/nsm`.

use std::collections::BTreeMap;

use aws_nitro_enclaves_nsm_api::api::{ErrorCode, Request, Response};
use aws_nitro_enclaves_nsm_api::driver;
use serde_bytes::ByteBuf;

use crate::verify::claimed_measurements;
use crate::{Evidence, KeyPolicy, Measurements, Platform, PlatformKind, SealingKey, TeeError};

/// The one request that attestation takes.
pub trait Nsm: Send + Sync {
    /// A signed document (COSE_Sign1) over `user_data` (at most 512 bytes) and `public_key` (at most 1024).
    ///
    /// # Errors
    /// What the module said.
    fn document(&self, user_data: &[u8], public_key: Option<&[u8]>) -> Result<Vec<u8>, NsmFailure>;
}

/// Why the module gave no document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NsmFailure {
    /// The device does not open.
    #[error("cannot open /dev/nsm")]
    Open,
    /// The module refused.
    #[error("the module answered {0:?}")]
    Refused(ErrorCode),
    /// The module answered something else.
    #[error("the module did not answer with a document")]
    Unexpected,
}

/// The module of this enclave, opened anew for each request.
#[derive(Clone, Copy, Debug)]
pub struct NsmDevice;

impl Nsm for NsmDevice {
    fn document(&self, user_data: &[u8], public_key: Option<&[u8]>) -> Result<Vec<u8>, NsmFailure> {
        let device = driver::nsm_init();
        if device < 0 {
            return Err(NsmFailure::Open);
        }
        let request = Request::Attestation {
            user_data: Some(ByteBuf::from(user_data)),
            nonce: None,
            public_key: public_key.map(ByteBuf::from),
        };
        let response = driver::nsm_process_request(device, request);
        driver::nsm_exit(device);
        match response {
            Response::Attestation { document } => Ok(document),
            Response::Error(code) => Err(NsmFailure::Refused(code)),
            _ => Err(NsmFailure::Unexpected),
        }
    }
}

/// A Nitro enclave.
pub struct NitroPlatform<N = NsmDevice> {
    module: N,
    measured: Measurements,
}

impl<N: Nsm> NitroPlatform<N> {
    /// Takes a first document to learn what was measured.
    ///
    /// # Errors
    /// [`TeeError::NotAvailable`] when the module gives none.
    pub fn open(module: N) -> Result<Self, TeeError> {
        let mut platform = Self { module, measured: Measurements::new() };
        platform.measured = claimed_measurements(&platform.attest(&[0; 64], 0)?)?;
        Ok(platform)
    }

    /// The document that the contract `enclave::register_nitro` takes: it binds the enclave's ed25519 key to one cluster.
    ///
    /// # Errors
    /// [`TeeError::NotAvailable`] with what the module said.
    pub fn registration(&self, cluster: &[u8; 32], public_key: &[u8; 32]) -> Result<Vec<u8>, TeeError> {
        self.module.document(cluster, Some(public_key)).map_err(|failure| unavailable(&failure))
    }
}

impl<N: Nsm> Platform for NitroPlatform<N> {
    fn kind(&self) -> PlatformKind {
        PlatformKind::Nitro
    }

    fn seals(&self) -> bool {
        false
    }

    fn measurement(&self) -> Measurements {
        self.measured.clone()
    }

    fn attest(&self, report_data: &[u8; 64], _now_ms: u64) -> Result<Evidence, TeeError> {
        let document = self.module.document(report_data, None).map_err(|failure| unavailable(&failure))?;
        Ok(Evidence::new(PlatformKind::Nitro, BTreeMap::from([("document".to_owned(), document)])))
    }

    fn sealing_key(&self, _policy: KeyPolicy) -> Result<SealingKey, TeeError> {
        Err(TeeError::NoLocalSealing { kind: PlatformKind::Nitro })
    }
}

fn unavailable(failure: &NsmFailure) -> TeeError {
    TeeError::NotAvailable {
        kind: PlatformKind::Nitro,
        reason: format!("no attestation document: {failure}"),
    }
}
