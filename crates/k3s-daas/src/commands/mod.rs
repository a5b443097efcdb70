//! One file per command.

mod act;
mod anchor;
mod attest;
mod check;
mod claims;
mod cluster;
mod cold;
pub(crate) mod committee;
mod completion;
mod credential;
mod custodian;
mod devnet;
mod down;
mod drain;
mod enclave;
mod escrow;
mod govern;
mod grant;
mod history;
mod kubeconfig;
mod master;
mod prove;
pub(crate) mod publish;
#[cfg(test)]
mod reach;
mod recover;
mod rewards;
mod seal;
mod service;
pub(crate) mod simulate;
mod slash;
mod snapshot;
pub(crate) mod stake;
mod status;
mod store;
pub(crate) mod token;
mod up;
mod verifier;
pub(crate) mod verify;
mod verify_master;
mod wallet;
mod walrus_dev;
mod worker;

pub(crate) use simulate::assumptions;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::cli::{Cli, Command, Global, Master, Up};
use crate::failure::Result;
use crate::settings::Settings;
use crate::state_dir::StateDir;

/// The wallet that publishes, owns the cluster's capability and pays for the master's transactions.
pub(crate) const OPERATOR: &str = "operator";
/// The wallet that stakes for this machine's worker.
pub(crate) const STAKER: &str = "staker";
/// The token of the operator as administrator of the cluster.
pub(crate) const ADMIN: &str = "admin";

/// What every command starts from.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) state: StateDir,
    pub(crate) settings: Settings,
}

pub(crate) async fn run(cli: Cli) -> Result<()> {
    let Cli { global, command } = cli;
    if let Command::Completion { shell } = command {
        return completion::run(shell);
    }
    let state = StateDir::resolve(global.state_dir.as_deref())?;
    let mut settings = Settings::load(&global)?;
    match &command {
        Command::Up(Up { control_plane, .. }) | Command::Master(Master { control_plane, .. }) => {
            settings.control_plane(control_plane)?;
        }
        _ => {}
    }
    let context = Context { global, state, settings };
    match command {
        Command::Up(args) => Box::pin(up::run(&context, args)).await,
        Command::Down(args) => down::run(&context, args).await,
        Command::Status => status::run(&context).await,
        Command::Check => check::run(&context).await,
        Command::Devnet(args) => devnet::run(&context, args).await,
        Command::WalrusDev(args) => walrus_dev::run(&context, args).await,
        Command::Store(args) => store::run(&context, args).await,
        Command::Snapshot(command) => snapshot::run(&context, command).await,
        Command::RotateStoreKey(args) => snapshot::rotate(&context, args).await,
        Command::Anchor(args) => anchor::run(&context, args).await,
        Command::History(args) => Box::pin(history::run(&context, args)).await,
        Command::Prove(args) => prove::prove(&context, args).await,
        Command::VerifyProof(args) => prove::verify(&context, args).await,
        Command::Recover(args) => recover::run(&context, args).await,
        Command::Master(args) => master::run(&context, args).await,
        Command::Worker(args) => worker::run(&context, args).await,
        Command::Stake(args) => stake::stake(&context, args).await,
        Command::Publish(args) => publish::run(&context, args).await,
        Command::Unstake(args) => stake::unstake(&context, args).await,
        Command::Rewards(args) => rewards::run(&context, args).await,
        Command::Slash(args) => slash::run(&context, args).await,
        Command::Escrow(args) => escrow::run(&context, args).await,
        Command::Govern(args) => govern::run(&context, args).await,
        Command::Cluster(args) => cluster::run(&context, args).await,
        Command::Withdraw(args) => stake::withdraw(&context, args).await,
        Command::Token(command) => token::run(&context, command).await,
        Command::Grant(command) => grant::run(&context, command).await,
        Command::Enclave(command) => enclave::run(&context, command).await,
        Command::Wallet(command) => wallet::run(&context, command).await,
        Command::Credential(args) => credential::run(&context, &args).await,
        Command::Kubeconfig(args) => kubeconfig::run(&context, args).await,
        Command::Attest(args) => attest::run(&context, args).await,
        Command::Committee(args) => committee::run(&context, args).await,
        Command::Custodian(args) => custodian::run(&context, args).await,
        Command::Verifier(args) => verifier::run(&context, args).await,
        Command::Verify(args) => verify::run(&context, args).await,
        Command::Simulate(command) => simulate::run(&context, command),
        Command::Completion { shell } => completion::run(shell),
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Ends when the process is asked to: Ctrl-C or SIGTERM.
pub(crate) async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            // Without a handler SIGTERM ends the process by itself.
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
