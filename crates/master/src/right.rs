use chain::State;

/// Whether the chain lets this enclave speak for the cluster. Without the right it signs nothing: no statements, no
/// certificates of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Right {
    /// The chain was not read yet.
    #[default]
    Unknown,
    /// A registration of its key is in standing.
    Held,
    /// There is none, with the reason.
    Lost(&'static str),
}

impl Right {
    /// What `state` says of the enclave with the ed25519 key `key`.
    pub(crate) fn of(state: &State, key: &[u8], now_ms: u64) -> Self {
        let mut reason = "this enclave is not registered on chain";
        // Of several registrations the latest is the one to speak of.
        let ours = state.enclaves.values().filter(|enclave| enclave.public_key == key);
        let mut ours: Vec<_> = ours.collect();
        ours.sort_by_key(|enclave| enclave.registered_ms);
        for enclave in ours {
            let allowed =
                state.registry.as_ref().is_some_and(|registry| registry.allows(&enclave.measurement, now_ms));
            reason = match (allowed, enclave.expires_ms) {
                (true, expires_ms) if now_ms < expires_ms => return Self::Held,
                (false, _) => "the measurement of this code is no longer allowed on chain",
                (true, 0) => "this enclave was revoked on chain",
                (true, _) => "the registration of this enclave has expired",
            };
        }
        Self::Lost(reason)
    }

    /// Why nothing may be signed.
    pub(crate) fn lost(&self) -> Option<&'static str> {
        match self {
            Self::Lost(reason) => Some(reason),
            Self::Unknown | Self::Held => None,
        }
    }
}
