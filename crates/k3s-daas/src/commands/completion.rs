use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::Result;

/// `k3s-daas completion SHELL`
pub(crate) fn run(shell: Shell) -> Result<()> {
    clap_complete::generate(shell, &mut Cli::command(), "k3s-daas", &mut std::io::stdout());
    Ok(())
}
