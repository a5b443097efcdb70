use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Tx;

#[derive(Debug, Args)]
pub(crate) struct Enclave {
    #[command(flatten)]
    pub(crate) tx: Tx,
    #[command(subcommand)]
    pub(crate) what: EnclaveCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EnclaveCommand {
    /// Allowed measurements, what platforms are held to, and registered enclaves
    List,
    /// Allow code with this measurement to be a master
    Allow(Measurement),
    /// Take that back: enclaves registered with it lose their standing at once
    Retire(Measurement),
    /// Plan when a measurement counts no longer, so that it overlaps with its successor
    PlanRetirement {
        #[command(flatten)]
        measurement: Measurement,
        /// Hours from now
        #[arg(long)]
        hours: u64,
    },
    /// Let workers prove that they run code with this measurement; it makes no master of anybody
    AllowWorker(Measurement),
    /// Take that back: nodes that proved it lose their label
    RetireWorker(Measurement),
    /// Set what a platform is held to beyond its code, in place of what it was before
    SetTcb(Tcb),
    /// Take that away: a platform is held to the policies of those who verify alone
    ClearTcb {
        /// Platform: sev-snp, tdx, sgx, nitro, cca, trustzone, tpm or simulated
        #[arg(long)]
        platform: String,
    },
    /// Set who verifies evidence, and how many of them it takes
    Verifiers {
        /// An ed25519 public key, once for each verifier
        #[arg(long = "verifier", required = true, value_name = "HEX")]
        verifiers: Vec<String>,
        /// How many signatures a registration takes
        #[arg(long, default_value_t = 1)]
        threshold: u64,
    },
    /// Register an enclave by the signatures of verifiers
    Register {
        /// The verified claims, JSON
        #[arg(value_name = "FILE")]
        claims: PathBuf,
    },
    /// Register a Nitro enclave by its attestation document, which the chain verifies
    RegisterNitro {
        /// The document, as the Nitro hypervisor signed it
        #[arg(value_name = "FILE")]
        document: PathBuf,
        /// How long the registration lasts, at most 30
        #[arg(long, default_value_t = 29, value_name = "DAYS")]
        days: u64,
    },
    /// End the standing of one enclave for good
    Revoke {
        /// The enclave's object id
        #[arg(value_name = "0xID")]
        enclave: String,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Tcb {
    /// Platform: sev-snp, tdx, sgx, nitro, cca, trustzone, tpm or simulated
    #[arg(long)]
    pub(crate) platform: String,
    /// The lowest security version number of a component, as `verify` prints them, once for each
    #[arg(long = "minimum", value_name = "COMPONENT=NUMBER")]
    pub(crate) minimums: Vec<String>,
    /// A status that counts besides UpToDate, e.g. SWHardeningNeeded, once for each
    #[arg(long = "status", value_name = "STATUS")]
    pub(crate) statuses: Vec<String>,
    /// An advisory that counts, e.g. INTEL-SA-00334, once for each
    #[arg(long = "advisory", value_name = "ID", conflicts_with = "any_advisory")]
    pub(crate) advisories: Vec<String>,
    /// Let every advisory count
    #[arg(long)]
    pub(crate) any_advisory: bool,
    /// How old evidence may be, seconds; a master makes its own anew every two minutes
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(180..))]
    pub(crate) max_age_seconds: u64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Measurement {
    /// Platform: simulated, sev-snp, tdx, sgx, nitro, trustzone or tpm
    #[arg(long, default_value = "simulated")]
    pub(crate) platform: String,
    /// Measured values as NAME=HEX, once for each
    #[arg(long = "measurement", required = true, value_name = "NAME=HEX")]
    pub(crate) measurements: Vec<String>,
}
