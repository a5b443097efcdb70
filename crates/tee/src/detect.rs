use std::fs;
use std::path::Path;

use crate::measure::{CODE, measured_as_one};
use crate::{
    Configfs, GraminePlatform, Measurements, NitroPlatform, NsmDevice, Platform, PlatformKind,
    SimulatedPlatform, TeeError, TpmAddress, TpmConfig, TpmPlatform, TrustZonePlatform, TrustedServices,
    TsmPlatform,
};

const CONFIGFS_TSM: &str = "sys/kernel/config/tsm/report";

/// What [`detect`] found.
#[derive(Clone, Debug)]
pub struct Detected {
    /// The platform to use; none when there is only the simulated one and it is not allowed.
    pub chosen: Option<PlatformKind>,
    /// Every other kind, in the order of probing, with the reason.
    pub skipped: Vec<Skipped>,
}

/// A platform that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Which one.
    pub kind: PlatformKind,
    /// Whether the machine has it, although it is not used.
    pub present: bool,
    /// Why it is not used.
    pub reason: String,
}

/// Looks for every platform under `root` (`/` on a real machine), changing nothing.
///
/// Chosen is the first, in the order of [`PlatformKind::ALL`], that attests and keeps its keys by itself: SEV-SNP, SGX.
/// What else is there is passed over with the reason, and used when it is asked for by name. `allow_simulated`
/// says whether simulation may stand in.
pub fn detect(root: &Path, allow_simulated: bool) -> Detected {
    let mut chosen = None;
    let mut skipped = Vec::new();
    for kind in PlatformKind::ALL.into_iter().filter(|kind| *kind != PlatformKind::Simulated) {
        let (present, reason) = match (probe(root, kind), not_by_itself(kind)) {
            (Err(reason), _) => (false, reason),
            (Ok(found), Some(why)) => (true, format!("{found} is present, but {why}")),
            (Ok(_), None) if chosen.is_none() => {
                chosen = Some(kind);
                continue;
            }
            (Ok(found), None) => (true, format!("{found} is present, but an earlier platform was taken")),
        };
        skipped.push(Skipped { kind, present, reason });
    }
    if chosen.is_none() && allow_simulated {
        chosen = Some(PlatformKind::Simulated);
    } else if chosen.is_none() {
        let reason = "simulation is not allowed by configuration".to_owned();
        skipped.push(Skipped { kind: PlatformKind::Simulated, present: true, reason });
    }
    Detected { chosen, skipped }
}

/// Why a platform that is there is only used when it is asked for by name.
fn not_by_itself(kind: PlatformKind) -> Option<&'static str> {
    match kind {
        PlatformKind::SevSnp | PlatformKind::Sgx | PlatformKind::Simulated => None,
        PlatformKind::Tdx | PlatformKind::Nitro | PlatformKind::Cca => Some(
            "it keeps no key across restarts: ask for it by name, and say in [master.tee.release] who gives it its keys",
        ),
        PlatformKind::TrustZone => Some(
            "it measures what booted and no program: ask for it by name if verified boot is all you need proven",
        ),
        PlatformKind::Tpm => Some(
            "a TPM does not protect memory: ask for it by name if the machine's boot chain is all you need proven",
        ),
    }
}

/// Opens a platform of this machine: state in `dir`. `measured` ([`crate::measure_files`], with a `code`) is what the simulated
/// platform and a TPM are told; the others measure the code themselves, TrustZone what booted and no program.
///
/// # Errors
///
/// [`TeeError::NotAvailable`] with what is missing, or what the platform said.
pub fn open(kind: PlatformKind, dir: &Path, measured: &Measurements) -> Result<Box<dyn Platform>, TeeError> {
    let root = Path::new("/");
    probe(root, kind).map_err(|reason| TeeError::NotAvailable { kind, reason })?;
    let opened: Box<dyn Platform> = match kind {
        PlatformKind::SevSnp | PlatformKind::Tdx | PlatformKind::Cca => {
            Box::new(TsmPlatform::open(kind, Configfs { root: root.join(CONFIGFS_TSM) })?)
        }
        PlatformKind::Sgx => Box::new(GraminePlatform::open(root.join("dev/attestation"))?),
        PlatformKind::Nitro => Box::new(NitroPlatform::open(NsmDevice)?),
        PlatformKind::Tpm => {
            let device = TpmAddress::Device(root.join("dev/tpmrm0"));
            Box::new(TpmPlatform::open(&TpmConfig::new(device), dir, &measured_as_one(measured))?)
        }
        PlatformKind::TrustZone => {
            Box::new(TrustZonePlatform::open(TrustedServices { devices: root.join("dev") })?)
        }
        PlatformKind::Simulated => Box::new(simulated(dir, measured)?),
    };
    Ok(opened)
}

fn simulated(dir: &Path, measured: &Measurements) -> Result<SimulatedPlatform, TeeError> {
    let code = measured.get(CODE).map(Vec::as_slice).unwrap_or_default();
    let platform = SimulatedPlatform::open(dir, code)?;
    Ok(measured.iter().fold(platform, |platform, (name, digest)| platform.measuring(name, digest)))
}

/// The path that shows the platform is there, or what was not found.
fn probe(root: &Path, kind: PlatformKind) -> Result<String, String> {
    match kind {
        PlatformKind::SevSnp => guest(root, "SEV-SNP", "dev/sev-guest"),
        PlatformKind::Tdx => guest(root, "TDX", "dev/tdx_guest"),
        PlatformKind::Sgx => sgx(root),
        PlatformKind::Nitro => device(root, "dev/nsm"),
        PlatformKind::Cca => realm(root),
        PlatformKind::TrustZone => device(root, "dev/tee0"),
        PlatformKind::Tpm => device(root, "dev/tpmrm0"),
        PlatformKind::Simulated => Ok("simulation".to_owned()),
    }
}

/// A realm has the kernel's platform device for its monitor (RSI), and attests through configfs-tsm.
fn realm(root: &Path) -> Result<String, String> {
    guest(root, "CCA realm", "sys/devices/platform/arm-cca-dev")
}

/// A confidential guest has a device of its own kind, and attests through configfs-tsm.
fn guest(root: &Path, name: &str, guest_device: &str) -> Result<String, String> {
    if !exists(root, guest_device)? {
        return Err(format!("not a {name} guest: no /{guest_device}"));
    }
    if exists(root, CONFIGFS_TSM)? {
        Ok(format!("/{CONFIGFS_TSM} with /{guest_device}"))
    } else {
        Err(format!(
            "/{guest_device} is there, but /{CONFIGFS_TSM} is not: mount configfs and load the guest's TSM driver"
        ))
    }
}

/// Gramine says in a file which attestation it has.
fn sgx(root: &Path) -> Result<String, String> {
    let path = device(root, "dev/attestation/attestation_type")?;
    match fs::read_to_string(root.join(path.trim_start_matches('/'))) {
        Ok(kind) if kind.trim() == "none" => Err(format!("{path} says none: sgx.remote_attestation is off")),
        Ok(_) => Ok(path),
        Err(error) => Err(format!("cannot read {path}: {error}")),
    }
}

fn device(root: &Path, path: &str) -> Result<String, String> {
    if exists(root, path)? { Ok(format!("/{path}")) } else { Err(format!("no /{path}")) }
}

fn exists(root: &Path, path: &str) -> Result<bool, String> {
    root.join(path).try_exists().map_err(|error| format!("cannot look at /{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(detected: &Detected, kind: PlatformKind) -> &Skipped {
        detected.skipped.iter().find(|skipped| skipped.kind == kind).unwrap()
    }

    #[test]
    fn an_empty_machine_skips_every_platform_with_a_reason() {
        let root = tempfile::tempdir().unwrap();
        let detected = detect(root.path(), true);
        assert_eq!(detected.chosen, Some(PlatformKind::Simulated));
        assert_eq!(detected.skipped.len(), 7);
        for (kind, path) in [
            (PlatformKind::SevSnp, "/dev/sev-guest"),
            (PlatformKind::Tdx, "/dev/tdx_guest"),
            (PlatformKind::Sgx, "/dev/attestation"),
            (PlatformKind::Nitro, "/dev/nsm"),
            (PlatformKind::Cca, "/sys/devices/platform/arm-cca-dev"),
            (PlatformKind::TrustZone, "/dev/tee0"),
            (PlatformKind::Tpm, "/dev/tpmrm0"),
        ] {
            let skipped = skipped(&detected, kind);
            assert!(!skipped.present && skipped.reason.contains(path), "{skipped:?}");
        }
    }

    #[test]
    fn without_simulation_nothing_is_chosen() {
        let root = tempfile::tempdir().unwrap();
        let detected = detect(root.path(), false);
        assert_eq!(detected.chosen, None);
        assert!(skipped(&detected, PlatformKind::Simulated).reason.contains("not allowed"));
    }

    #[test]
    fn the_first_that_keeps_its_own_keys_is_taken_and_every_other_says_why_not() {
        let root = tempfile::tempdir().unwrap();
        let touch = |path: &str, content: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        touch("dev/sev-guest", "");
        touch("dev/nsm", "");
        touch("dev/tpmrm0", "");
        touch("dev/attestation/attestation_type", "none\n");
        let detected = detect(root.path(), true);
        assert_eq!(detected.chosen, Some(PlatformKind::Simulated));
        assert!(skipped(&detected, PlatformKind::SevSnp).reason.contains("mount configfs"));
        assert!(skipped(&detected, PlatformKind::Sgx).reason.contains("says none"));
        assert!(skipped(&detected, PlatformKind::Nitro).reason.contains("keeps no key"));
        assert!(skipped(&detected, PlatformKind::Tpm).reason.contains("does not protect memory"));

        touch("dev/attestation/attestation_type", "dcap\n");
        assert_eq!(detect(root.path(), true).chosen, Some(PlatformKind::Sgx));
        fs::create_dir_all(root.path().join(CONFIGFS_TSM)).unwrap();
        let detected = detect(root.path(), false);
        assert_eq!(detected.chosen, Some(PlatformKind::SevSnp));
        assert!(skipped(&detected, PlatformKind::Sgx).reason.contains("an earlier platform"));
        assert!(!skipped(&detected, PlatformKind::Tdx).present);
    }

    #[test]
    fn opening_hardware_is_a_typed_refusal() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Measurements::from([("code".to_owned(), crate::measure_bytes(b"x").to_vec())]);
        assert_eq!(
            open(PlatformKind::Simulated, dir.path(), &digest).unwrap().kind(),
            PlatformKind::Simulated
        );
        let error = open(PlatformKind::Tdx, dir.path(), &digest).map(|_| ()).unwrap_err();
        assert!(matches!(error, TeeError::NotAvailable { kind: PlatformKind::Tdx, .. }), "{error}");
    }
}
