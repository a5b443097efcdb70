use chain::{Address, Admin, Calls, Client, Cursor, Draft, Keypair, Receipt, Signed, State, TokenPath};

use crate::commands::Context;
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::state_dir::StateDir;
use crate::wallets::Wallets;

/// A talk with the chain about the cluster of a state directory.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) calls: Calls,
    pub(crate) wallets: Wallets,
    pub(crate) deployment: Deployment,
    pub(crate) cluster: Address,
    state: StateDir,
}

impl Session {
    /// Opens the chain and checks that it is the one of the deployment.
    pub(crate) async fn open(context: &Context) -> Result<Self> {
        let deployment = Deployment::load(&context.state)?;
        let client = connect(&context.settings.chain_url(&deployment)).await?;
        let chain_id = client.chain_id().await.context("asking the chain who it is")?;
        if chain_id != deployment.chain_id {
            return Err(Failure::refused(format!(
                "{} is chain {chain_id}, but this state directory belongs to chain {}: give the right --chain",
                client.url(),
                deployment.chain_id
            )));
        }
        Self::with(context, client, deployment)
    }

    pub(crate) fn with(context: &Context, client: Client, deployment: Deployment) -> Result<Self> {
        let (Some(package), Some(cluster)) = (deployment.package, deployment.cluster) else {
            return Err(Failure::not_ready("the contracts are not published yet: run `k3s-daas up`"));
        };
        Ok(Self {
            client,
            calls: Calls::new(package),
            wallets: Wallets::open(&context.state)?,
            deployment,
            cluster,
            state: context.state.clone(),
        })
    }

    /// Everything that the contracts know of the cluster, from their events.
    pub(crate) async fn read(&self) -> Result<State> {
        let mut state = State::new(self.cluster);
        let cursor =
            Cursor { chain_id: self.deployment.chain_id.clone(), next: self.deployment.since_checkpoint };
        self.client
            .catch_up(self.calls.package(), &mut state, &cursor)
            .await
            .context("reading the cluster's events")?;
        Ok(state)
    }

    pub(crate) async fn execute(&self, wallet: &Keypair, draft: &Draft, doing: &str) -> Result<Receipt> {
        self.client.execute(wallet, draft).await.map_err(|error| refusal(error, doing))
    }

    /// Executes what must not happen twice, even over a crash: the signed transaction is on disk before it
    /// is sent, and a later run sends the same bytes, not new ones.
    pub(crate) async fn execute_once(
        &self,
        wallet: &Keypair,
        draft: &Draft,
        name: &str,
        doing: &str,
    ) -> Result<Receipt> {
        let file = format!("pending/{name}.tx");
        let path = self.state.path(&file);
        let signed = match std::fs::read(&path) {
            Ok(bytes) => Signed::from_bytes(&bytes).context(format_args!("reading {}", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let signed =
                    self.client.prepare(wallet, draft).await.map_err(|error| refusal(error, doing))?;
                self.state.write(&file, &signed.to_bytes().context(doing)?)?;
                signed
            }
            Err(error) => return Err(Failure::failed(format!("reading {}: {error}", path.display()))),
        };
        match self.client.submit(&signed).await {
            Ok(receipt) => Ok(receipt),
            // Proven to have had no effect, now or later: the next run may build a new one.
            Err(error) if error.took_no_effect() => {
                self.forget(name)?;
                Err(refusal(error, doing))
            }
            Err(error) => Err(refusal(error, doing)),
        }
    }

    /// Ends the memory of [`Session::execute_once`]: its outcome is on disk.
    pub(crate) fn forget(&self, name: &str) -> Result<()> {
        let path = self.state.path(format!("pending/{name}.tx"));
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::failed(format!("removing {}: {error}", path.display())))
            }
            _ => Ok(()),
        }
    }

    /// The operator's right to change the cluster.
    pub(crate) fn admin(&self) -> Result<Admin> {
        match (self.deployment.governance, self.deployment.cap) {
            (Some(governance), Some(cap)) => Ok(Admin { governance, cap }),
            _ => Err(Failure::refused("this state directory holds no capability over the cluster")),
        }
    }

    pub(crate) fn registry(&self) -> Result<Address> {
        self.deployment.registry.ok_or_else(|| Failure::not_ready("there is no enclave registry yet"))
    }

    pub(crate) fn names(&self) -> Result<Address> {
        self.deployment.names.ok_or_else(|| Failure::not_ready("there is no name registry yet"))
    }

    pub(crate) fn path(&self, token: Address, stake: Address) -> TokenPath {
        TokenPath { token, stake, cluster: self.cluster }
    }
}

pub(crate) async fn connect(url: &str) -> Result<Client> {
    Client::connect(url).await.context(format_args!("connecting to the chain at {url}"))
}

/// A contract's no is a refusal, everything else a failure.
pub(crate) fn refusal(error: chain::Error, doing: &str) -> Failure {
    match error {
        chain::Error::Refused(_) => Failure::refused(format!("{doing}: {error}")),
        other => match Err::<(), _>(other).context(doing) {
            Err(failure) => failure,
            Ok(()) => Failure::failed(doing),
        },
    }
}
