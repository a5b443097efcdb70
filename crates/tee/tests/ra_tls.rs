//! Attested TLS between two ends in memory, and what a man in the middle can bring.

#![allow(clippy::unwrap_used, reason = "a handshake's set-up that fails is a failed test")]

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use tee::{
    Anchors, Attested, AttestedPeer, Collateral, Platform, PlatformKind, Policy, RaTlsError,
    SimulatedPlatform, TcbBounds, attested_extension, issue_attested, measure_bytes,
};

const NOW: u64 = 1_800_000_000_000;
const HOUR: u64 = 3_600_000;

fn platform(code: &[u8]) -> (tempfile::TempDir, SimulatedPlatform) {
    let dir = tempfile::tempdir().unwrap();
    let platform = SimulatedPlatform::open(dir.path(), &measure_bytes(code)).unwrap();
    (dir, platform)
}

fn names() -> Vec<String> {
    vec!["localhost".to_owned()]
}

fn peer_at(allowed: &SimulatedPlatform, now_ms: u64) -> AttestedPeer {
    let policy = Policy {
        allowed: vec![(PlatformKind::Simulated, allowed.measurement())],
        allow_simulated: true,
        ..Policy::default()
    };
    AttestedPeer::new(policy, Anchors::default(), Collateral::default(), Arc::new(move || now_ms))
}

fn client(verifier: AttestedPeer, own: Option<Attested>) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    match own {
        Some(own) => builder.with_client_auth_cert(vec![own.certificate], own.key).unwrap(),
        None => builder.with_no_client_auth(),
    }
}

fn server(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

/// Runs the handshake and carries a few bytes; the first error of either end.
fn meet(client: ClientConfig, server: ServerConfig) -> Result<(), rustls::Error> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    client.writer().write_all(b"hello").unwrap();
    for _ in 0..20 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut rest = &wire[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut rest = &wire[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
    }
    let mut said = [0; 5];
    server.reader().read_exact(&mut said).unwrap();
    assert_eq!(&said, b"hello");
    Ok(())
}

/// What a client that trusts `allowed` says to this certificate and key.
fn refusal(
    allowed: &SimulatedPlatform,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> String {
    meet(client(peer_at(allowed, NOW), None), server(chain, key)).unwrap_err().to_string()
}

#[test]
fn attested_ends_meet() {
    let (_dir, master) = platform(b"master");
    let attested = issue_attested(&master, &names(), NOW, HOUR).unwrap();
    let proven = peer_at(&master, NOW + 60_000).claims(&attested.certificate).unwrap();
    assert!(proven.simulated);
    assert_eq!(proven.measurements, master.measurement());
    meet(client(peer_at(&master, NOW), None), server(vec![attested.certificate], attested.key)).unwrap();
}

#[test]
fn both_ends_prove_themselves_to_each_other_and_a_stranger_is_refused() {
    let ((_a, master), (_b, other)) = (platform(b"master"), platform(b"other"));
    let mutual = |own: Option<Attested>| {
        let attested = issue_attested(&master, &names(), NOW, HOUR).unwrap();
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(Arc::new(peer_at(&master, NOW)))
            .with_single_cert(vec![attested.certificate], attested.key)
            .unwrap();
        meet(client(peer_at(&master, NOW), own), server)
    };
    mutual(Some(issue_attested(&master, &names(), NOW, HOUR).unwrap())).unwrap();
    let refused = mutual(Some(issue_attested(&other, &names(), NOW, HOUR).unwrap())).unwrap_err();
    assert!(refused.to_string().contains("code"), "{refused}");
    mutual(None).unwrap_err();
}

#[test]
fn a_valid_certificate_without_evidence_is_refused() {
    let (_dir, master) = platform(b"master");
    let (authority, authority_key) = authority();
    let key = rcgen::KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::from_params(&authority, &authority_key);
    let leaf = rcgen::CertificateParams::new(names()).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let refused = refusal(&master, vec![leaf.der().clone()], key);
    assert!(refused.contains("carries no attestation evidence"), "{refused}");
}

#[test]
fn old_evidence_is_refused() {
    let (_dir, master) = platform(b"master");
    let old = issue_attested(&master, &names(), NOW - 2 * HOUR, 24 * HOUR).unwrap();
    let refused = refusal(&master, vec![old.certificate], old.key);
    assert!(refused.contains("older than the policy allows"), "{refused}");
    let expired = issue_attested(&master, &names(), NOW - 120_000, 60_000).unwrap();
    let refused = refusal(&master, vec![expired.certificate], expired.key);
    assert!(refused.contains("has expired"), "{refused}");
    let early = issue_attested(&master, &names(), NOW + HOUR, HOUR).unwrap();
    let refused = refusal(&master, vec![early.certificate], early.key);
    assert!(refused.contains("made in the future"), "{refused}");
}

#[test]
fn evidence_for_another_key_is_refused_even_under_a_trusted_authority() {
    let (_dir, master) = platform(b"master");
    let theirs = rcgen::KeyPair::generate().unwrap();
    let spki = rcgen::PublicKeyData::subject_public_key_info(&theirs);
    // The man in the middle has an authority that everybody trusts, and copies the master's evidence.
    let mine = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(names()).unwrap();
    let from = NOW / 1_000 - tee::CERTIFICATE_LEAD_SECONDS;
    params.not_before = time::OffsetDateTime::from_unix_timestamp(from as i64).unwrap();
    params.custom_extensions = vec![attested_extension(&master, &spki, NOW).unwrap()];
    let (authority, authority_key) = authority();
    let issuer = rcgen::Issuer::from_params(&authority, &authority_key);
    let leaf = params.signed_by(&mine, &issuer).unwrap();
    let key: PrivateKeyDer<'static> = PrivatePkcs8KeyDer::from(mine.serialize_der()).into();
    let refused = refusal(&master, vec![leaf.der().clone()], key);
    assert!(refused.contains("was made for another key"), "{refused}");
}

#[test]
fn a_copied_certificate_without_its_key_finishes_no_handshake() {
    let (_dir, master) = platform(b"master");
    let copied = issue_attested(&master, &names(), NOW, HOUR).unwrap();
    let stolen_by = rcgen::KeyPair::generate().unwrap();
    let key: PrivateKeyDer<'static> = PrivatePkcs8KeyDer::from(stolen_by.serialize_der()).into();
    let signer = ring::sign::any_supported_type(&key).unwrap();
    let resolver = rustls::sign::SingleCertAndKey::from(rustls::sign::CertifiedKey::new(
        vec![copied.certificate],
        signer,
    ));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    let refused = meet(client(peer_at(&master, NOW), None), config).unwrap_err().to_string();
    assert!(refused.contains("BadSignature"), "{refused}");
}

#[test]
fn an_authority_can_be_demanded_besides() {
    let (_dir, master) = platform(b"master");
    let attested = issue_attested(&master, &names(), NOW, HOUR).unwrap();
    let (authority, authority_key) = authority();
    let mut roots = RootCertStore::empty();
    roots.add(authority.self_signed(&authority_key).unwrap().der().clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let ordinary = rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .unwrap();
    let both = peer_at(&master, NOW).and(ordinary);
    meet(client(both, None), server(vec![attested.certificate], attested.key)).unwrap_err();
}

/// A TPM whose evidence is as large as its log.
struct Verbose(std::collections::BTreeMap<String, Vec<u8>>);

impl Platform for Verbose {
    fn kind(&self) -> PlatformKind {
        PlatformKind::Tpm
    }

    fn measurement(&self) -> tee::Measurements {
        tee::Measurements::new()
    }

    fn attest(&self, _: &[u8; 64], _: u64) -> Result<tee::Evidence, tee::TeeError> {
        Ok(tee::Evidence::new(PlatformKind::Tpm, self.0.clone()))
    }

    fn sealing_key(&self, _: tee::KeyPolicy) -> Result<tee::SealingKey, tee::TeeError> {
        Err(tee::TeeError::NoLocalSealing { kind: PlatformKind::Tpm })
    }
}

#[test]
fn evidence_fits_a_handshake_or_is_not_put_into_a_certificate() {
    let part = |name: &str, bytes: usize| (name.to_owned(), vec![1; bytes]);
    let carried = |parts: Vec<(String, Vec<u8>)>| {
        let issued = issue_attested(&Verbose(parts.into_iter().collect()), &names(), NOW, HOUR)?;
        tee::certificate_evidence(&issued.certificate)
    };
    let whole = carried(vec![part("quote", 100), part("eventlog", 40 << 10)]).unwrap();
    assert!(whole.part("eventlog").is_some());
    let cut = carried(vec![part("quote", 100), part("eventlog", 60 << 10)]).unwrap();
    assert!(cut.part("eventlog").is_none() && cut.part("quote").is_some());
    let refused = carried(vec![part("quote", 60 << 10)]).unwrap_err().to_string();
    assert!(refused.contains("a certificate carries at most 49152"), "{refused}");
}

#[test]
fn the_chain_says_how_old_evidence_without_a_time_of_its_own_may_be() {
    let quote = [("quote".to_owned(), vec![1; 100])].into();
    let issued = issue_attested(&Verbose(quote), &names(), NOW, HOUR).unwrap();
    let too_old = |limit_s: u64, age_s: u64| {
        let bounds = TcbBounds {
            minimum: [].into(),
            statuses: [].into(),
            advisories: None,
            max_age_ms: limit_s * 1_000,
        };
        let policy = Policy { any_code: true, ..Policy::default() }.bounded([(PlatformKind::Tpm, bounds)]);
        let now = NOW + age_s * 1_000;
        let peer =
            AttestedPeer::new(policy, Anchors::default(), Collateral::default(), Arc::new(move || now));
        // It is no quote, and refused as such when its age is not what is wrong.
        let refused = peer.claims(&issued.certificate).unwrap_err().to_string();
        refused.contains("older than the policy allows")
    };
    assert!(too_old(60, 61) && !too_old(60, 59), "less than a policy's own limit");
    assert!(too_old(600, 601) && !too_old(600, 599), "more, where nobody wrote a policy");
}

#[test]
fn damage_anywhere_in_the_certificate_is_refused_or_breaks_the_handshake() {
    let (_dir, master) = platform(b"master");
    let attested = issue_attested(&master, &names(), NOW, HOUR).unwrap();
    let peer = peer_at(&master, NOW);
    let whole = attested.certificate.to_vec();
    let mut unseen = 0;
    for at in (0..whole.len()).step_by(3) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        match peer.claims(&CertificateDer::from(damaged)) {
            Err(RaTlsError::Issue(_) | RaTlsError::Attest(_)) => panic!("nothing was issued"),
            Err(_) => {}
            // Outside of key, time and evidence: names, serial number, the signature of nobody in particular.
            Ok(_) => unseen += 1,
        }
    }
    assert!(unseen * 3 < whole.len() / 2, "{unseen} of {} damages unseen", whole.len() / 3);
}

fn authority() -> (rcgen::CertificateParams, rcgen::KeyPair) {
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    (params, rcgen::KeyPair::generate().unwrap())
}
