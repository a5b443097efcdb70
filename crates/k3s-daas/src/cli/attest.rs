use clap::Args;

#[derive(Clone, Debug, Args)]
pub(crate) struct Attest {
    /// Why each platform was taken or passed over
    #[arg(long)]
    pub(crate) explain: bool,
    /// Bind the evidence to these 32 bytes, hexadecimal [default: fresh random ones]
    #[arg(long, value_name = "HEX")]
    pub(crate) nonce: Option<String>,
}
