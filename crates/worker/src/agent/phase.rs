/// Where a worker is on its way, for people and dashboards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reads the chain; joins only what the chain describes now.
    ReadingChain,
    /// The cluster has no gateway yet.
    WaitingForCluster,
    /// No member: see [`super::Gone`].
    Gone,
    /// Compares the gateway's CA with the chain.
    PinningCa,
    /// Checks the gateway's attestation.
    Attesting,
    /// Has certificates signed.
    RequestingCertificates,
    /// Starts the node agent.
    StartingNode,
    /// Everything runs.
    Running,
    /// The node runs; the gateway is not reached or not trusted now.
    Reconnecting,
}

impl Phase {
    /// Every phase, in the order of a join.
    pub const ALL: [Self; 9] = [
        Self::ReadingChain,
        Self::WaitingForCluster,
        Self::Gone,
        Self::PinningCa,
        Self::Attesting,
        Self::RequestingCertificates,
        Self::StartingNode,
        Self::Running,
        Self::Reconnecting,
    ];

    /// The name in status output and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadingChain => "readingChain",
            Self::WaitingForCluster => "waitingForCluster",
            Self::Gone => "gone",
            Self::PinningCa => "pinningCa",
            Self::Attesting => "attesting",
            Self::RequestingCertificates => "requestingCertificates",
            Self::StartingNode => "startingNode",
            Self::Running => "running",
            Self::Reconnecting => "reconnecting",
        }
    }
}
