//! TrustZone through secure partitions, played by a fake that speaks their protocols.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tee::{KeyPolicy, Platform, PlatformKind, SecureServices, ServicesFailure, TeeError, TrustZonePlatform};
use zeroize::Zeroizing;

use crate::cases::reasons;
use crate::issued::{Signer, arm, case};

const ATTESTATION: &str = "a1baf155-8876-4695-8f7c-54955e8db974";
const STORAGE: &str = "dc1eef48-b17a-4ccf-ac8b-dfcff7711b14";
const WRITE_ONCE: u32 = 1;

type Answer = Result<(i32, Zeroizing<Vec<u8>>), ServicesFailure>;

/// A board: what its partitions keep, and what they are made to answer.
struct Board {
    signer: Signer,
    stored: Mutex<BTreeMap<u64, Vec<u8>>>,
    /// What is answered to the service with this UUID instead.
    instead: Mutex<BTreeMap<&'static str, (i32, Vec<u8>)>>,
    /// Somebody else's key, stored right before ours.
    faster: Mutex<Option<Vec<u8>>>,
    without_services: bool,
}

impl Board {
    fn new() -> Self {
        Self {
            signer: Signer::p256(),
            stored: Mutex::default(),
            instead: Mutex::default(),
            faster: Mutex::default(),
            without_services: false,
        }
    }

    fn answering(service: &'static str, status: i32, bytes: &[u8]) -> Self {
        let board = Self::new();
        board.instead.lock().unwrap().insert(service, (status, bytes.to_vec()));
        board
    }

    /// Trusted Services, `attestation/packed-c/get_token.h`: one record, tag 1, in and out.
    fn token(&self, request: &[u8]) -> (i32, Vec<u8>) {
        assert_eq!((&request[..4], request.len()), (&[0, 1, 0, 64][..], 68), "one challenge of 64 bytes");
        let token = arm::psa_token(&request[4..], &self.signer);
        (0, record(1, &token))
    }

    /// `secure_storage/packed-c/secure_storage_proto.h`.
    fn storage(&self, opcode: u16, request: &[u8]) -> (i32, Vec<u8>) {
        let word = |at: usize| u64::from_le_bytes(request[at..at + 8].try_into().unwrap());
        let mut stored = self.stored.lock().unwrap();
        let id = word(0);
        match opcode {
            0x100 => {
                if let Some(key) = self.faster.lock().unwrap().take() {
                    stored.insert(id, key);
                }
                let flags = u32::from_le_bytes(request[16..20].try_into().unwrap());
                assert_eq!((word(8), flags), (request.len() as u64 - 20, WRITE_ONCE));
                if stored.contains_key(&id) {
                    return (-133, Vec::new());
                }
                stored.insert(id, request[20..].to_vec());
                (0, Vec::new())
            }
            0x101 => stored.get(&id).map_or((-140, Vec::new()), |value| {
                assert_eq!((word(8), request.len()), (0, 24), "from the start");
                (0, value[..value.len().min(word(16) as usize)].to_vec())
            }),
            _ => (-134, Vec::new()),
        }
    }
}

fn record(tag: u16, value: &[u8]) -> Vec<u8> {
    [&tag.to_be_bytes()[..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
}

impl SecureServices for &Board {
    fn call(&self, service: &[u8; 16], opcode: u16, request: &[u8], capacity: usize) -> Answer {
        let hex = hex::encode(service);
        let name = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        if self.without_services {
            return Err(ServicesFailure::NoService { devices: 1 });
        }
        let instead = self.instead.lock().unwrap().get(name.as_str()).cloned();
        let (status, bytes) = match (instead, name.as_str()) {
            (Some(answer), _) => answer,
            (None, ATTESTATION) if opcode == 0x101 => self.token(request),
            (None, STORAGE) => self.storage(opcode, request),
            other => panic!("{other:?} is no service of this board"),
        };
        Ok((status, Zeroizing::new(bytes[..bytes.len().min(capacity)].to_vec())))
    }
}

fn reason(error: &TeeError) -> &str {
    match error {
        TeeError::NotAvailable { kind: PlatformKind::TrustZone, reason } => reason,
        other => panic!("{other}"),
    }
}

#[test]
fn a_token_of_the_device_is_accepted_for_its_own_report_data() {
    let board = Board::new();
    let platform = TrustZonePlatform::open(&board).unwrap();
    assert_eq!(platform.kind(), PlatformKind::TrustZone);
    assert!(platform.measurement().contains_key("prot"), "{:?}", platform.measurement());
    let evidence = platform.attest(&[0x5d; 64], 0).unwrap();
    let mut case = case("a board", "token", evidence);
    case.anchors.keys = board.signer.trusted();
    let claims = case.verify_as(&case.evidence, Some(&[0x5d; 64])).unwrap();
    assert_eq!(claims.measurements, platform.measurement());
    assert_eq!(reasons(case.verify_as(&case.evidence, Some(&[0x5e; 64]))), ["report-data"]);
}

#[test]
fn the_devices_key_is_the_same_at_every_start_and_another_devices_is_another() {
    let board = Board::new();
    let key = |board: &Board| {
        let key = TrustZonePlatform::open(board).unwrap().sealing_key(KeyPolicy::Signer).unwrap();
        key.derive("store", b"1").as_bytes().to_vec()
    };
    assert_eq!(key(&board), key(&board));
    assert_ne!(key(&board), key(&Board::new()));
    assert_eq!(board.stored.lock().unwrap().len(), 1);
}

#[test]
fn who_loses_the_race_for_the_first_key_takes_the_winners() {
    let (slow, fast) = (Board::new(), Board::new());
    *slow.faster.lock().unwrap() = Some(vec![7; 32]);
    fast.stored.lock().unwrap().insert(0x6b33_7364_6161_7331, vec![7; 32]);
    let key = |board: &Board| {
        let key = TrustZonePlatform::open(board).unwrap().sealing_key(KeyPolicy::Signer).unwrap();
        key.derive("store", b"1").as_bytes().to_vec()
    };
    assert_eq!(key(&slow), key(&fast));
}

#[test]
fn a_key_for_this_build_alone_is_refused_in_words() {
    let board = Board::new();
    let platform = TrustZonePlatform::open(&board).unwrap();
    let error = platform.sealing_key(KeyPolicy::Measurement).map(|_| ()).unwrap_err();
    assert!(reason(&error).contains("seal to the signer"), "{error}");
    assert!(board.stored.lock().unwrap().is_empty());
}

#[test]
fn every_failure_of_a_service_is_named() {
    let without = Board { without_services: true, ..Board::new() };
    let long = [&record(2, b"something else")[..], &[0, 1, 0xff, 0xff, 1]].concat();
    for (board, expected) in [
        (without, "arm_tstee has it"),
        (Board::answering(ATTESTATION, -137, &[]), "PSA status -137"),
        (Board::answering(ATTESTATION, 0, &[]), "without a token"),
        (Board::answering(ATTESTATION, 0, &[0, 1, 0]), "without a token"),
        (Board::answering(ATTESTATION, 0, &long), "cut short"),
        (Board::answering(ATTESTATION, 0, &record(2, b"something else")), "without a token"),
    ] {
        let error = TrustZonePlatform::open(&board).map(|_| ()).unwrap_err();
        assert!(reason(&error).contains(expected), "{error}");
    }
    let error =
        TrustZonePlatform::open(&Board::answering(ATTESTATION, 0, &record(1, b"no token"))).map(|_| ());
    assert!(error.is_err());

    for (board, expected) in [
        (Board::answering(STORAGE, -146, &[]), "PSA status -146"),
        (Board::answering(STORAGE, 0, &[1; 31]), "not a key of 32 bytes"),
        (Board::answering(STORAGE, 0, &[1; 33]), "not a key of 32 bytes"),
        (Board::answering(STORAGE, -140, &[]), "PSA status -140"),
    ] {
        let platform = TrustZonePlatform::open(&board).unwrap();
        let error = platform.sealing_key(KeyPolicy::Signer).map(|_| ()).unwrap_err();
        assert!(reason(&error).contains(expected), "{error}");
    }
}
