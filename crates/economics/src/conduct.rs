//! How an agent behaves.

/// The conduct of one agent, the same on every day. Attacks are conducts; so is honesty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Conduct {
    /// Stakes held, each with a node of its own as far as the chain knows.
    pub(crate) stakes: u32,
    /// Machines behind those nodes.
    pub(crate) machines: u32,
    /// Share of the day that the machines are on.
    pub(crate) uptime: f64,
    /// What is done to the pods.
    pub(crate) tampers: Tampers,
    /// An accomplice reports every fault first and hands the reporter's share back.
    pub(crate) reports_itself: bool,
    /// Contests every slash, whatever it is for.
    pub(crate) contests: bool,
}

/// When an agent tampers with pods.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Tampers {
    Never,
    /// Once, on the first day, from one of its stakes.
    AtOnce,
    /// Once, on the first day on which SUI is worth at most this share of what it was at the start.
    WhenSuiFallsTo(f64),
    /// Every 30 days, each time from a new smallest stake that replaces the slashed one.
    Monthly,
}

impl Conduct {
    /// Does what was agreed: one stake, one machine, on 99.9 % of the time.
    pub(crate) const HONEST: Self = Self {
        stakes: 1,
        machines: 1,
        uptime: 0.999,
        tampers: Tampers::Never,
        reports_itself: false,
        contests: false,
    };
}
