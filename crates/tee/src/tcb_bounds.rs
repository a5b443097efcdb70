use std::collections::{BTreeMap, BTreeSet};

use crate::{PlatformKind, Policy, TcbStatus};

/// What a cluster's registry on chain asks of one platform's trusted computing base (contract module `tcb`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcbBounds {
    /// The lowest security version number of each component; evidence without the component fails.
    pub minimum: BTreeMap<String, u64>,
    /// Statuses that pass besides `UpToDate`.
    pub statuses: BTreeSet<TcbStatus>,
    /// Advisories that pass; none means that every advisory does.
    pub advisories: Option<BTreeSet<String>>,
    /// How old evidence may be, milliseconds.
    pub max_age_ms: u64,
}

impl TcbBounds {
    /// From names as the chain has them; none for a platform that this version does not know, whose evidence it refuses anyway.
    /// Statuses that it does not know are tolerated by nobody here.
    #[must_use]
    pub fn named(
        platform: &str,
        components: &[String],
        minimums: &[u64],
        statuses: &[String],
        advisories: Option<&[String]>,
        max_age_ms: u64,
    ) -> Option<(PlatformKind, Self)> {
        let bounds = Self {
            minimum: components.iter().cloned().zip(minimums.iter().copied()).collect(),
            statuses: statuses.iter().filter_map(|name| name.parse().ok()).collect(),
            advisories: advisories.map(|names| names.iter().cloned().collect()),
            max_age_ms,
        };
        Some((platform.parse().ok()?, bounds))
    }
}

/// The clauses that hold for one platform: the policy's own and the cluster's together.
pub(crate) struct TcbClauses<'a> {
    policy: &'a Policy,
    /// Whether the policy's own clauses count.
    own: bool,
    bounds: Option<&'a TcbBounds>,
}

impl Policy {
    /// Adds what the cluster asks of platforms. With a policy that somebody wrote the stricter of both holds, clause by clause; with a default
    /// one the cluster's bounds *are* the clauses on TCB and age of a platform that has any ([`Policy::bounds_decide`]).
    #[must_use]
    pub fn bounded(mut self, bounds: impl IntoIterator<Item = (PlatformKind, TcbBounds)>) -> Self {
        self.bounds = bounds.into_iter().collect();
        self
    }

    /// How old evidence of `platform` may be, milliseconds: the cluster's bound and the policy's own.
    #[must_use]
    pub fn age_limit_ms(&self, platform: PlatformKind) -> u64 {
        self.clauses(platform).max_age_ms()
    }

    pub(crate) fn clauses(&self, platform: PlatformKind) -> TcbClauses<'_> {
        let bounds = self.bounds.get(&platform);
        TcbClauses { policy: self, own: bounds.is_none() || !self.bounds_decide, bounds }
    }
}

impl TcbClauses<'_> {
    pub(crate) fn tolerates_status(&self, status: TcbStatus) -> bool {
        let listed = |tolerated: &BTreeSet<_>| status == TcbStatus::UpToDate || tolerated.contains(&status);
        status != TcbStatus::Revoked
            && (!self.own || listed(&self.policy.tolerated_statuses))
            && self.bounds.is_none_or(|bounds| listed(&bounds.statuses))
    }

    pub(crate) fn tolerates_advisory(&self, id: &str) -> bool {
        let listed =
            |tolerated: &Option<BTreeSet<String>>| tolerated.as_ref().is_none_or(|ids| ids.contains(id));
        (!self.own || listed(&self.policy.tolerated_advisories))
            && self.bounds.is_none_or(|bounds| listed(&bounds.advisories))
    }

    /// The higher of the two lowest numbers, for every component that has one.
    pub(crate) fn minimums(&self, platform: PlatformKind) -> BTreeMap<&str, u64> {
        let own = self.policy.minimum_tcb.get(&platform).filter(|_| self.own);
        let mut minimums = BTreeMap::new();
        for (component, &minimum) in
            own.into_iter().chain(self.bounds.map(|bounds| &bounds.minimum)).flatten()
        {
            let known = minimums.entry(component.as_str()).or_insert(minimum);
            *known = minimum.max(*known);
        }
        minimums
    }

    pub(crate) fn max_age_ms(&self) -> u64 {
        let own = if self.own { self.policy.max_age_ms } else { u64::MAX };
        self.bounds.map_or(own, |bounds| bounds.max_age_ms.min(own))
    }
}
