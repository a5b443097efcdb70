use chain::{
    Address, Admin, Advance, Calls, Client, Cluster, Cursor, Draft, Index, Parties, Receipt, State, TokenPath,
};

use crate::commands::Context;
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::output::say;
use crate::pending;
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
            return Err(Failure::not_ready(
                "the contracts are not published yet: run `k3s-daas publish`, or `k3s-daas up` for everything",
            ));
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

    /// The chain's time, which its contracts go by, milliseconds since the Unix epoch.
    pub(crate) async fn now_ms(&self) -> Result<u64> {
        Ok(self.client.service_info().await.context("asking the chain for its time")?.timestamp_ms)
    }

    /// The cluster's own object.
    pub(crate) async fn on_chain(&self) -> Result<Cluster> {
        let read = self.client.read(self.calls.package(), self.cluster).await;
        read.context("reading the cluster from the chain")
    }

    /// Everything that the contracts know of the cluster, from their events.
    pub(crate) async fn read(&self) -> Result<State> {
        const FILE: &str = "index.bcs";
        let start =
            Cursor { chain_id: self.deployment.chain_id.clone(), next: self.deployment.since_checkpoint };
        let fresh = Index::new(self.calls.package(), self.cluster, start);
        // What an earlier command has read need not be read again; what cannot be used is read anew.
        let kept = std::fs::read(self.state.path(FILE)).ok();
        let kept = kept.and_then(|bytes| Index::from_bytes(&bytes).ok()).filter(|kept| {
            kept.package == fresh.package
                && kept.state.id == fresh.state.id
                && kept.cursor.chain_id == fresh.cursor.chain_id
        });
        let before = kept.as_ref().map(|kept| kept.cursor.next);
        let mut index = kept.unwrap_or_else(|| fresh.clone());
        let mut advance = Box::pin(index.advance(&self.client)).await;
        // An endpoint that lags, or a chain restored from an old copy: what it says counts.
        if let Err(chain::Error::Behind { .. }) = advance {
            index = fresh;
            advance = Box::pin(index.advance(&self.client)).await;
        }
        let advance = advance.context("reading the cluster's events")?;
        if let Advance::Rebuilt { unseen: Some((from, to)) } = advance {
            say(format_args!(
                "the endpoint has dropped the checkpoints from {from} to {to}: users, grants and escrows that were made \
                 there and not touched since are missing here; give --chain an archive endpoint to see them"
            ));
        }
        if before != Some(index.cursor.next) {
            self.state.write(FILE, &index.to_bytes().context("writing down what was read")?)?;
        }
        Ok(index.state)
    }

    pub(crate) async fn execute<'a>(
        &self,
        parties: impl Into<Parties<'a>>,
        draft: &Draft,
        doing: &str,
    ) -> Result<Receipt> {
        self.client.execute(parties, draft).await.map_err(|error| refusal(error, doing))
    }

    /// Executes what must not happen twice, even over a crash; see [`pending::once`].
    pub(crate) async fn execute_once(
        &self,
        parties: Parties<'_>,
        draft: &Draft,
        name: &str,
        doing: &str,
    ) -> Result<Receipt> {
        pending::once(&self.state, &self.client, parties, draft, name, doing).await
    }

    /// Ends the memory of [`Session::execute_once`]: its outcome is on disk.
    pub(crate) fn forget(&self, name: &str) -> Result<()> {
        pending::forget(&self.state, name)
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
