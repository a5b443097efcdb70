use chain::{Address, Client, Cluster, Enclave, Registry};
use tee::PlatformKind;
use tee::custody::Terms;

/// Reads what decides about a cluster's keys, from the chain and at the moment that it is asked.
#[derive(Clone, Debug)]
pub struct OnChain {
    client: Client,
    package: Address,
    cluster: Address,
}

/// One reading.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The cluster.
    pub cluster: Cluster,
    /// What it trusts.
    pub registry: Registry,
    /// The enclave that was asked for, if there is one with that id.
    pub enclave: Option<Enclave>,
}

impl OnChain {
    /// Of `cluster` in the contracts of `package`.
    #[must_use]
    pub fn new(client: Client, package: Address, cluster: Address) -> Self {
        Self { client, package, cluster }
    }

    /// By which it is read.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The contracts' package.
    #[must_use]
    pub fn package(&self) -> Address {
        self.package
    }

    /// The cluster's id as bytes.
    #[must_use]
    pub fn cluster(&self) -> [u8; 32] {
        self.cluster.into_inner()
    }

    /// The cluster's object id.
    #[must_use]
    pub fn cluster_id(&self) -> Address {
        self.cluster
    }

    /// Reads the cluster, its registry, and `enclave`; without one, the enclave at the cluster's place.
    ///
    /// # Errors
    /// The chain's.
    pub async fn read(&self, enclave: Option<Address>) -> Result<Facts, chain::Error> {
        let cluster = self.client.read::<Cluster>(self.package, self.cluster).await?;
        let registry = self.client.read::<Registry>(self.package, cluster.registry).await?;
        let enclave = match enclave.or(cluster.enclave) {
            None => None,
            Some(id) => match self.client.read::<Enclave>(self.package, id).await {
                Ok(enclave) => Some(enclave),
                Err(error) if error.is_not_found() || matches!(error, chain::Error::WrongType { .. }) => None,
                Err(error) => return Err(error),
            },
        };
        Ok(Facts { cluster, registry, enclave })
    }
}

/// What the registry asks of platforms beyond the code, as [`tee::Policy::bounded`] takes it.
#[must_use]
pub fn tcb_bounds(registry: &Registry) -> Vec<(PlatformKind, tee::TcbBounds)> {
    let named = |of: &chain::TcbBounds| {
        let advisories = of.tolerated_advisories();
        tee::TcbBounds::named(
            &of.platform,
            &of.components,
            &of.minimums,
            &of.statuses,
            advisories,
            of.max_age_ms,
        )
    };
    registry.bounds.iter().filter_map(named).collect()
}

impl Facts {
    /// Who may have the key at `now_ms`; of registered enclaves only the one that was read counts.
    #[must_use]
    pub fn terms(&self, registered_only: bool, now_ms: u64) -> Terms {
        let allowed = self.registry.allowed.iter().filter(|allowed| self.registry.allows(allowed, now_ms));
        let registered = self.enclave.iter().filter(|enclave| enclave.in_standing(&self.registry, now_ms));
        // A platform that this version does not know satisfies nobody.
        let kind = |name: &str| name.parse::<PlatformKind>().ok();
        Terms {
            allowed: allowed.filter_map(|m| Some((kind(&m.platform)?, m.to_map()))).collect(),
            allow_simulated: self.registry.allow_simulated,
            bounds: tcb_bounds(&self.registry),
            registered: registered_only.then(|| {
                registered
                    .filter_map(|enclave| {
                        let measured = &enclave.measurement;
                        Some((enclave.public_key.clone(), kind(&measured.platform)?, measured.to_map()))
                    })
                    .collect()
            }),
        }
    }
}
