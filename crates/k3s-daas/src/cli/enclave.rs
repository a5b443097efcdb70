use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Enclave {
    /// Allowed measurements and registered enclaves
    List,
    /// Allow code with this measurement to be a master
    Allow(Measurement),
    /// Take that back: enclaves registered with it lose their standing at once
    Retire(Measurement),
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
