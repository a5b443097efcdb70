//! Attesting through the interfaces of kernel and vendors, played by fakes over recorded evidence.

#![allow(clippy::unwrap_used, reason = "a fake that fails is a failed test")]

#[path = "platforms/fixtures.rs"]
mod fixtures;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use tee::{
    GraminePlatform, KeyPolicy, NitroPlatform, Nsm, NsmFailure, Platform, PlatformKind, TeeError,
    TsmPlatform, TsmReports,
};

/// configfs-tsm as its ABI document has it: attributes of a request that exists, a generation that counts writes.
struct FakeTsm {
    provider: &'static str,
    outblob: Vec<u8>,
    auxblob: Option<Vec<u8>>,
    /// So many reads of the report still fail with EBUSY.
    busy: AtomicU32,
    /// So many times somebody else writes to the request first.
    interfering: AtomicU32,
    made: AtomicU32,
    requests: Mutex<BTreeMap<String, (u64, Vec<u8>)>>,
    last_inblob: Mutex<Vec<u8>>,
}

impl FakeTsm {
    fn new(provider: &'static str, outblob: Vec<u8>) -> Self {
        Self {
            provider,
            outblob,
            auxblob: None,
            busy: AtomicU32::new(0),
            interfering: AtomicU32::new(0),
            made: AtomicU32::new(0),
            requests: Mutex::default(),
            last_inblob: Mutex::default(),
        }
    }
}

fn take(count: &AtomicU32) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl TsmReports for &FakeTsm {
    fn make(&self, name: &str) -> io::Result<()> {
        self.made.fetch_add(1, Ordering::SeqCst);
        let fresh = self.requests.lock().unwrap().insert(name.to_owned(), (0, Vec::new())).is_none();
        if fresh { Ok(()) } else { Err(ErrorKind::AlreadyExists.into()) }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.requests.lock().unwrap().remove(name).map(drop).ok_or(ErrorKind::NotFound.into())
    }

    fn write(&self, name: &str, attribute: &str, bytes: &[u8]) -> io::Result<()> {
        let mut requests = self.requests.lock().unwrap();
        let (generation, inblob) = requests.get_mut(name).ok_or(ErrorKind::NotFound)?;
        if attribute != "inblob" || bytes.len() != 64 {
            return Err(ErrorKind::InvalidInput.into());
        }
        *generation += 1;
        *inblob = bytes.to_vec();
        if take(&self.interfering) {
            *generation += 1;
        }
        *self.last_inblob.lock().unwrap() = bytes.to_vec();
        Ok(())
    }

    fn read(&self, name: &str, attribute: &str) -> io::Result<Vec<u8>> {
        let requests = self.requests.lock().unwrap();
        let (generation, inblob) = requests.get(name).ok_or(ErrorKind::NotFound)?;
        match attribute {
            "provider" => Ok(format!("{}\n", self.provider).into_bytes()),
            "generation" => Ok(format!("{generation}\n").into_bytes()),
            "outblob" if inblob.is_empty() => Err(ErrorKind::InvalidInput.into()),
            "outblob" if take(&self.busy) => Err(ErrorKind::ResourceBusy.into()),
            "outblob" => Ok(self.outblob.clone()),
            "auxblob" => self.auxblob.clone().ok_or(ErrorKind::NotFound.into()),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }
}

fn milan() -> Vec<u8> {
    let text = fixtures::read("sev", "tests/certs_data/report_milan.hex");
    hex::decode(String::from_utf8(text).unwrap().trim()).unwrap()
}

#[test]
fn a_tdx_guest_quotes_and_says_that_it_keeps_no_key() {
    let tsm = FakeTsm::new("tdx_guest", fixtures::read("dcap-qvl", "sample/tdx_quote"));
    let guest = TsmPlatform::open(PlatformKind::Tdx, &tsm).unwrap();
    assert!(guest.measurement().contains_key("mrtd"), "{:?}", guest.measurement());
    let evidence = guest.attest(&[7; 64], 0).unwrap();
    assert_eq!(evidence.part("quote"), Some(&tsm.outblob[..]));
    assert_eq!(*tsm.last_inblob.lock().unwrap(), [7; 64]);
    assert!(tsm.requests.lock().unwrap().is_empty(), "requests stayed behind");
    let refused = guest.sealing_key(KeyPolicy::Measurement).map(drop).unwrap_err();
    assert!(matches!(refused, TeeError::NoLocalSealing { kind: PlatformKind::Tdx }), "{refused:?}");
}

#[test]
fn an_snp_guest_hands_on_the_hosts_certificates() {
    let mut tsm = FakeTsm::new("sev_guest", milan());
    tsm.auxblob = Some(vec![1, 2, 3]);
    let guest = TsmPlatform::open(PlatformKind::SevSnp, &tsm).unwrap();
    assert_eq!(guest.measurement()["measurement"].len(), 48);
    assert_eq!(guest.attest(&[0; 64], 0).unwrap().part("certs"), Some(&[1, 2, 3][..]));
}

#[test]
fn a_busy_firmware_and_an_interfering_writer_are_waited_for() {
    let tsm = FakeTsm::new("sev_guest", milan());
    let guest = TsmPlatform::open(PlatformKind::SevSnp, &tsm).unwrap();
    for count in [&tsm.busy, &tsm.interfering] {
        count.store(2, Ordering::SeqCst);
        tsm.made.store(0, Ordering::SeqCst);
        guest.attest(&[0; 64], 0).unwrap();
        assert_eq!(tsm.made.load(Ordering::SeqCst), 3, "two that failed and one that did not");
    }

    tsm.busy.store(u32::MAX, Ordering::SeqCst);
    let refused = guest.attest(&[0; 64], 0).unwrap_err().to_string();
    assert!(refused.contains("in a row"), "{refused}");
    assert!(tsm.requests.lock().unwrap().is_empty(), "requests stayed behind");
}

#[test]
fn another_provider_an_empty_and_a_short_report_are_named() {
    let open = |provider, outblob| {
        let tsm = FakeTsm::new(provider, outblob);
        TsmPlatform::open(PlatformKind::SevSnp, &tsm).map(drop).unwrap_err().to_string()
    };
    assert!(open("tdx_guest", milan()).contains("\"tdx_guest\""));
    assert!(open("sev_guest", Vec::new()).contains("empty"));
    let short = open("sev_guest", milan()[..100].to_vec());
    assert!(short.contains("not attestation evidence"), "{short}");
}

/// Gramine's pseudo-files; a real quote does not depend on what was written.
fn gramine(dir: &Path) {
    std::fs::create_dir(dir.join("keys")).unwrap();
    std::fs::write(dir.join("quote"), fixtures::read("dcap-qvl", "sample/sgx_quote")).unwrap();
    std::fs::write(dir.join("keys/_sgx_mrenclave"), [1; 16]).unwrap();
    std::fs::write(dir.join("keys/_sgx_mrsigner"), [2; 16]).unwrap();
}

#[test]
fn gramine_quotes_and_gives_a_key_for_each_policy() {
    let dir = tempfile::tempdir().unwrap();
    gramine(dir.path());
    let enclave = GraminePlatform::open(dir.path().to_owned()).unwrap();
    assert_eq!(enclave.measurement()["mrenclave"].len(), 32);
    enclave.attest(&[9; 64], 0).unwrap();
    assert_eq!(std::fs::read(dir.path().join("user_report_data")).unwrap(), [9; 64]);
    let key = |policy| *enclave.sealing_key(policy).unwrap().derive("test", b"").as_bytes();
    assert_ne!(key(KeyPolicy::Measurement), key(KeyPolicy::Signer));
    assert_eq!(key(KeyPolicy::Signer), key(KeyPolicy::Signer));
}

#[test]
fn gramines_failures_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let absent = GraminePlatform::open(dir.path().join("none")).map(drop).unwrap_err().to_string();
    assert!(absent.contains("no quote"), "{absent}");
    gramine(dir.path());
    let enclave = GraminePlatform::open(dir.path().to_owned()).unwrap();
    for bad in [&[][..], &[1; 15], &[1; 17], &[0; 16]] {
        std::fs::write(dir.path().join("keys/_sgx_mrsigner"), bad).unwrap();
        let refused = enclave.sealing_key(KeyPolicy::Signer).map(drop).unwrap_err().to_string();
        assert!(refused.contains("not a key of 16 bytes"), "{refused}");
    }
    std::fs::write(dir.path().join("quote"), vec![1; 1 << 20]).unwrap();
    assert!(enclave.attest(&[0; 64], 0).is_err());
    std::fs::write(dir.path().join("quote"), []).unwrap();
    assert!(enclave.attest(&[0; 64], 0).is_err());
}

/// User data and public key of one request.
type Asked = (Vec<u8>, Option<Vec<u8>>);

struct FakeNsm {
    asked: Mutex<Vec<Asked>>,
    failing: bool,
}

impl Nsm for &FakeNsm {
    fn document(&self, user_data: &[u8], public_key: Option<&[u8]>) -> Result<Vec<u8>, NsmFailure> {
        if self.failing {
            return Err(NsmFailure::Open);
        }
        self.asked.lock().unwrap().push((user_data.to_vec(), public_key.map(<[u8]>::to_vec)));
        Ok(fixtures::read("nitro_attest", "tests/fixtures/attestation.cose"))
    }
}

#[test]
fn a_nitro_enclave_asks_for_documents_over_report_data_and_for_its_registration() {
    let module = FakeNsm { asked: Mutex::default(), failing: false };
    let enclave = NitroPlatform::open(&module).unwrap();
    assert_eq!(enclave.measurement()["pcr0"].len(), 48);
    enclave.attest(&[5; 64], 0).unwrap();
    enclave.registration(&[1; 32], &[2; 32]).unwrap();
    let asked = module.asked.lock().unwrap();
    assert_eq!(asked[1..], [(vec![5; 64], None), (vec![1; 32], Some(vec![2; 32]))]);
    let refused = enclave.sealing_key(KeyPolicy::Signer).map(drop).unwrap_err().to_string();
    assert!(refused.contains("recovery committee"), "{refused}");
}

#[test]
fn without_the_module_the_error_names_it() {
    let module = FakeNsm { asked: Mutex::default(), failing: true };
    let refused = NitroPlatform::open(&module).map(drop).unwrap_err().to_string();
    assert!(refused.contains("/dev/nsm"), "{refused}");
}
