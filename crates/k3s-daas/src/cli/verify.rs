use std::path::PathBuf;

use clap::Args;

/// Evidence and what it is verified with.
#[derive(Clone, Debug, Args)]
pub(crate) struct Verify {
    /// A master's gateway, https://HOST:PORT: what it proves now, compared with the chain of the deployment
    #[arg(value_name = "URL", conflicts_with_all = ["platform", "evidence"])]
    pub(crate) url: Option<String>,
    /// Which platform's evidence it is: sev-snp, tdx, sgx, nitro, cca, trustzone, tpm or simulated
    #[arg(long, value_name = "PLATFORM", required_unless_present = "url", requires = "evidence")]
    pub(crate) platform: Option<tee::PlatformKind>,
    /// The platform's own evidence (quote, report, document, token) or ours; binary, hexadecimal or base64
    #[arg(long, value_name = "FILE", required_unless_present = "url", requires = "platform")]
    pub(crate) evidence: Option<PathBuf>,
    /// What it must satisfy, TOML [default: it must be genuine; of any code, or of the code on chain]
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// The 64 bytes that it must be bound to, hexadecimal [default: any]
    #[arg(long, value_name = "HEX", conflicts_with = "url")]
    pub(crate) report_data: Option<String>,
    /// Verify as of this time, RFC 3339, e.g. 2026-01-31T12:00:00Z [default: now]
    #[arg(long, value_name = "RFC3339", conflicts_with = "url")]
    pub(crate) at: Option<String>,
    /// SHA-256 of the cluster CA's DER, hexadecimal; then the chain is not asked
    #[arg(long, value_name = "HEX", requires = "url")]
    pub(crate) ca_hash: Option<String>,
    /// Keep what was proven: kubeconfigs carry it from now on, and credentials are made only for a master that proves it
    #[arg(long, requires = "url")]
    pub(crate) pin: bool,
    #[command(flatten)]
    pub(crate) sources: Sources,
}

/// Where collateral comes from.
#[derive(Clone, Debug, Args)]
pub(crate) struct Sources {
    /// Collateral: a bundle of `attest collateral --export`, or Intel's alone; then nothing is fetched
    #[arg(long, value_name = "FILE")]
    pub(crate) collateral: Option<PathBuf>,
    /// Certificates, revocation lists and public keys, PEM, DER or JWK; then nothing is fetched. Keys, and self-signed
    /// certificates of TPM makers, are trusted because you give them
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) certs: Vec<PathBuf>,
    /// Fetch nothing
    #[arg(long)]
    pub(crate) offline: bool,
    /// Intel's certification service, or a caching service in its place
    #[arg(long, env = "K3S_DAAS_INTEL_PCS", value_name = "URL", default_value = tee::INTEL_PCS)]
    pub(crate) intel_pcs: String,
    /// AMD's key distribution service, or a caching service in its place
    #[arg(long, env = "K3S_DAAS_AMD_KDS", value_name = "URL", default_value = tee::AMD_KDS)]
    pub(crate) amd_kds: String,
}

impl Sources {
    /// The makers' own services, and what was kept from them.
    pub(crate) fn makers() -> Self {
        Self {
            collateral: None,
            certs: Vec::new(),
            offline: false,
            intel_pcs: tee::INTEL_PCS.to_owned(),
            amd_kds: tee::AMD_KDS.to_owned(),
        }
    }
}
