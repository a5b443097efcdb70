//! Linux guests: SEV-SNP, TDX and Arm CCA through configfs-tsm.
//!
//! `Documentation/ABI/testing/configfs-tsm-report` of Linux 6.7 and later: a directory below
//! `/sys/kernel/config/tsm/report` is a request; writing `inblob` (up to 64 bytes) and reading `outblob` makes a report;
//! `generation` counts the writes, so that a reader knows that nobody else wrote in between.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sev::firmware::guest::{DerivedKey, Firmware, GuestFieldSelect};

use crate::verify::claimed_measurements;
use crate::{Evidence, KeyPolicy, Measurements, Platform, PlatformKind, SealingKey, TeeError};

/// Far above any report, quote or certificate table.
const MAX_BLOB: u64 = 128 << 10;
/// The firmware serves one guest at a time and limits how often; the kernel then says EBUSY.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// The report directory of configfs-tsm: what [`TsmPlatform`] needs of it.
pub trait TsmReports: Send + Sync {
    /// Makes the request `name` (mkdir).
    ///
    /// # Errors
    /// The kernel's.
    fn make(&self, name: &str) -> io::Result<()>;
    /// Removes it (rmdir).
    ///
    /// # Errors
    /// The kernel's.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Writes an attribute in one call.
    ///
    /// # Errors
    /// The kernel's.
    fn write(&self, name: &str, attribute: &str, bytes: &[u8]) -> io::Result<()>;
    /// Reads a whole attribute.
    ///
    /// # Errors
    /// The kernel's, and that it is larger than any report.
    fn read(&self, name: &str, attribute: &str) -> io::Result<Vec<u8>>;
}

/// The real one.
#[derive(Clone, Debug)]
pub struct Configfs {
    /// `/sys/kernel/config/tsm/report`.
    pub root: PathBuf,
}

impl TsmReports for Configfs {
    fn make(&self, name: &str) -> io::Result<()> {
        std::fs::create_dir(self.root.join(name))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_dir(self.root.join(name))
    }

    fn write(&self, name: &str, attribute: &str, bytes: &[u8]) -> io::Result<()> {
        std::fs::write(self.root.join(name).join(attribute), bytes)
    }

    fn read(&self, name: &str, attribute: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = File::open(self.root.join(name).join(attribute))?;
        file.take(MAX_BLOB + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_BLOB {
            return Err(io::Error::new(ErrorKind::InvalidData, "larger than any report"));
        }
        Ok(bytes)
    }
}

/// What one request gave.
struct Report {
    outblob: Vec<u8>,
    auxblob: Vec<u8>,
}

/// A SEV-SNP or TDX guest, or a CCA realm.
pub struct TsmPlatform<R = Configfs> {
    kind: PlatformKind,
    reports: R,
    measured: Measurements,
}

impl<R: TsmReports> TsmPlatform<R> {
    /// Opens the platform `kind` and takes a first report to learn what was measured.
    ///
    /// # Errors
    /// [`TeeError::NotAvailable`] when the kernel gives no report or the provider is another platform's.
    pub fn open(kind: PlatformKind, reports: R) -> Result<Self, TeeError> {
        let mut platform = Self { kind, reports, measured: Measurements::new() };
        platform.measured = claimed_measurements(&platform.evidence(&[0; 64])?)?;
        Ok(platform)
    }

    fn evidence(&self, report_data: &[u8; 64]) -> Result<Evidence, TeeError> {
        let Report { outblob, auxblob } = self.report(report_data)?;
        let main = match self.kind {
            PlatformKind::SevSnp => "report",
            PlatformKind::Tdx => "quote",
            _ => "token",
        };
        let mut parts = BTreeMap::from([(main.to_owned(), outblob)]);
        if self.kind == PlatformKind::SevSnp && !auxblob.is_empty() {
            parts.insert("certs".to_owned(), auxblob);
        }
        Ok(Evidence::new(self.kind, parts))
    }

    /// Requests of other programs, and a firmware that is busy, are waited for, within bounds.
    #[expect(clippy::disallowed_methods, reason = "no executor here: the firmware itself takes as long")]
    fn report(&self, report_data: &[u8; 64]) -> Result<Report, TeeError> {
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                std::thread::sleep(PAUSE);
            }
            match self.request(report_data) {
                Ok(report) => return Ok(report),
                Err(error) if is_passing(&error) => last = Some(error),
                Err(error) => return Err(self.unavailable(&error)),
            }
        }
        Err(match last {
            Some(error) => self.unavailable(&format_args!("{error}, {ATTEMPTS} times in a row")),
            None => self.unavailable(&"no attempt was made"),
        })
    }

    fn request(&self, report_data: &[u8; 64]) -> io::Result<Report> {
        static REQUESTS: AtomicU64 = AtomicU64::new(0);
        let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
        let name = format!("k3s-daas-{}-{number}", std::process::id());
        self.reports.make(&name)?;
        let report = self.filled(&name, report_data);
        // A request that stays behind costs a few bytes of kernel memory; the report is what matters.
        if let Err(error) = self.reports.remove(&name) {
            tracing::debug!(%error, name, "a configfs-tsm request stays behind");
        }
        report
    }

    fn filled(&self, name: &str, report_data: &[u8; 64]) -> io::Result<Report> {
        let provider = self.text(name, "provider")?;
        if provider != self.provider() {
            let why = format!("the kernel's provider is {provider:?}, not {:?}", self.provider());
            return Err(io::Error::new(ErrorKind::Unsupported, why));
        }
        let before = self.generation(name)?;
        self.reports.write(name, "inblob", report_data)?;
        let outblob = self.reports.read(name, "outblob")?;
        // Absent where a platform has nothing to add.
        let auxblob = match self.reports.read(name, "auxblob") {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        if self.generation(name)? != before + 1 {
            return Err(io::Error::new(ErrorKind::WouldBlock, "somebody else wrote to the request"));
        }
        if outblob.is_empty() {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "the report is empty"));
        }
        Ok(Report { outblob, auxblob })
    }

    fn generation(&self, name: &str) -> io::Result<u64> {
        let text = self.text(name, "generation")?;
        text.parse()
            .map_err(|_| io::Error::new(ErrorKind::InvalidData, format!("generation {text:?} is no number")))
    }

    fn text(&self, name: &str, attribute: &str) -> io::Result<String> {
        let bytes = self.reports.read(name, attribute)?;
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(64)]);
        Ok(text.trim_end_matches(['\n', '\0']).to_owned())
    }

    fn provider(&self) -> &'static str {
        match self.kind {
            PlatformKind::SevSnp => "sev_guest",
            PlatformKind::Tdx => "tdx_guest",
            _ => "arm_cca_guest",
        }
    }

    fn unavailable(&self, error: &dyn std::fmt::Display) -> TeeError {
        TeeError::NotAvailable { kind: self.kind, reason: format!("configfs-tsm gave no report: {error}") }
    }
}

impl<R: TsmReports> Platform for TsmPlatform<R> {
    fn kind(&self) -> PlatformKind {
        self.kind
    }

    fn seals(&self) -> bool {
        self.kind == PlatformKind::SevSnp
    }

    fn measurement(&self) -> Measurements {
        self.measured.clone()
    }

    fn attest(&self, report_data: &[u8; 64], _now_ms: u64) -> Result<Evidence, TeeError> {
        self.evidence(report_data)
    }

    fn sealing_key(&self, policy: KeyPolicy) -> Result<SealingKey, TeeError> {
        match self.kind {
            PlatformKind::SevSnp => snp_derived_key(policy),
            kind => Err(TeeError::NoLocalSealing { kind }),
        }
    }
}

/// SNP_GET_DERIVED_KEY: SEV-SNP firmware ABI, section 7.2 (MSG_KEY_REQ). Mixed in are the guest's policy and, by the
/// key policy, its launch measurement, or the image and family id of who signed its ID block.
fn snp_derived_key(policy: KeyPolicy) -> Result<SealingKey, TeeError> {
    const GUEST_POLICY: u64 = 1;
    const IMAGE_ID: u64 = 1 << 1;
    const FAMILY_ID: u64 = 1 << 2;
    const MEASUREMENT: u64 = 1 << 3;
    let fields = match policy {
        KeyPolicy::Measurement => GUEST_POLICY | MEASUREMENT,
        KeyPolicy::Signer => GUEST_POLICY | IMAGE_ID | FAMILY_ID,
    };
    let unavailable = |reason: String| TeeError::NotAvailable { kind: PlatformKind::SevSnp, reason };
    let mut firmware =
        Firmware::open().map_err(|error| unavailable(format!("cannot open /dev/sev-guest: {error}")))?;
    // Not the VMRK: the VCEK's key is this chip's. Version 1 of the message is what all firmware knows.
    let request = DerivedKey::new(false, GuestFieldSelect(fields), 0, 0, 0, None);
    let key = firmware
        .get_derived_key(Some(1), request)
        .map_err(|error| unavailable(format!("the firmware gave no derived key: {error}")))?;
    Ok(SealingKey::from_bytes(key))
}

/// Whether to try again: the firmware is busy, or somebody interfered.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ResourceBusy | ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::TimedOut
    )
}
