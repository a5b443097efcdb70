use std::path::{Path, PathBuf};
use std::sync::Arc;

use tee::{
    Measurements, Platform, PlatformKind, SealingKey, SimulatedWithoutSealing, TeeError, TpmAddress,
    TpmConfig, TpmPlatform,
};

use crate::config::{Config, TeeConfig};
use crate::enclave::private_dir;
use crate::error::MasterError;
use crate::measured_settings::with_configuration;

/// Where this machine's keys are between two starts of a master.
pub(crate) enum Keeping {
    /// On its disk, under this key of its platform.
    Local(SealingKey),
    /// Nowhere here: the platform seals nothing.
    Nowhere,
}

/// Where the keys of a master on `platform` are kept.
pub(crate) fn keeping(platform: &dyn Platform, config: &TeeConfig) -> Result<Keeping, MasterError> {
    match platform.sealing_key(config.seal_to.into()) {
        Ok(key) => Ok(Keeping::Local(key)),
        Err(TeeError::NoLocalSealing { .. }) => Ok(Keeping::Nowhere),
        Err(error) => Err(error.into()),
    }
}

/// The platform that the configuration asks for, or that the machine has.
///
/// # Errors
/// When it is not there, proves nothing and that is not allowed, or the configuration contradicts itself.
pub fn open_platform(config: &Config) -> Result<Arc<dyn Platform>, MasterError> {
    let refuse = |problem: &str| Err(MasterError::Config(problem.to_owned()));
    let kind = match config.tee.kind()? {
        Some(kind) => kind,
        None => tee::detect(Path::new("/"), config.tee.allow_simulated).chosen.ok_or_else(|| {
            let problem =
                "no usable TEE was found and tee.allow_simulated is false; see `k3s-daas attest --explain`";
            MasterError::Config(problem.to_owned())
        })?,
    };
    if kind == PlatformKind::Simulated && !config.tee.allow_simulated {
        return refuse("tee.platform is simulated, but tee.allow_simulated is false");
    }
    let socket = config.tee.tpm_socket().map_err(MasterError::Config)?;
    if socket.is_some() && !config.tee.allow_simulated {
        return refuse(
            "tee.tpm is the socket of a program, which proves nothing about hardware, but tee.allow_simulated is false",
        );
    }
    if socket.is_some() && kind != PlatformKind::Tpm {
        return refuse("tee.tpm is the socket of a TPM, but tee.platform is not tpm");
    }
    if !config.tee.simulated_sealing && kind != PlatformKind::Simulated {
        return refuse("tee.simulated_sealing is for the simulated platform, and tee.platform is another");
    }
    private_dir(&config.state_dir)?;
    let measured = measured(config)?;
    let dir = private_dir(&config.state_dir.join("tee"))?;
    Ok(match socket {
        Some(socket) => {
            let config = TpmConfig::new(TpmAddress::Unix(socket));
            Arc::new(TpmPlatform::open(&config, &dir, &tee::measured_as_one(&measured))?)
        }
        None if !config.tee.simulated_sealing => Arc::new(SimulatedWithoutSealing::open(&dir, &measured)?),
        None => tee::open(kind, &dir, &measured)?.into(),
    })
}

/// Digests of the programs that run and of the settings that matter ([`crate::measured_settings()`]): what the simulated platform and a TPM are
/// told; other platforms measure the image that holds them.
///
/// # Errors
/// Which file cannot be read.
pub fn measured(config: &Config) -> Result<Measurements, MasterError> {
    let measured_file = match &config.tee.measured_file {
        Some(path) => path.clone(),
        None => std::env::current_exe().map_err(|source| MasterError::Io {
            action: "find",
            path: PathBuf::from("/proc/self/exe"),
            source,
        })?,
    };
    let programs =
        tee::measure_files(&[("code", &measured_file), ("kubernetes", &config.kubernetes_binary)])?;
    with_configuration(config, &programs)
}
