use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::StoreError;
use crate::listen::TlsFiles;

/// How often files are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

/// Accepts TLS with client certificates, and takes renewed files into use for new connections.
pub(super) struct Acceptor {
    files: TlsFiles,
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    stamp: Stamp,
    looked: Instant,
}

/// When the three files were last written.
type Stamp = [Option<SystemTime>; 3];

impl Acceptor {
    pub(super) fn new(files: TlsFiles) -> Result<Self, StoreError> {
        let stamp = stamp(&files);
        let acceptor = load(&files)?;
        Ok(Self { files, current: Mutex::new(Current { acceptor, stamp, looked: Instant::now() }) })
    }

    /// The acceptor for a connection that comes now.
    pub(super) fn current(&self) -> TlsAcceptor {
        let mut current = self.current.lock();
        if current.looked.elapsed() >= LOOK {
            current.looked = Instant::now();
            let stamp = stamp(&self.files);
            if stamp != current.stamp {
                match load(&self.files) {
                    Ok(acceptor) => {
                        current.acceptor = acceptor;
                        current.stamp = stamp;
                        tracing::info!(cert = %self.files.cert.display(), "renewed certificate in use");
                    }
                    // Half-written, perhaps: keep what works and look again.
                    Err(error) => tracing::warn!(%error, "keeping the certificate in use"),
                }
            }
        }
        current.acceptor.clone()
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    [&files.cert, &files.key, &files.client_ca]
        .map(|path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok())
}

fn load(files: &TlsFiles) -> Result<TlsAcceptor, StoreError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.client_ca)? {
        roots.add(certificate).map_err(refused(&files.client_ca))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(refused(&files.client_ca))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(refused(&files.key))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(refused(&files.cert))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&files.cert)?, key)
        .map_err(refused(&files.cert))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(refused(path))?;
    if certificates.is_empty() {
        return Err(refused(path)("no certificate in it"));
    }
    Ok(certificates)
}

fn refused<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> StoreError {
    move |error| StoreError::Tls { path: path.to_owned(), what: error.to_string() }
}
