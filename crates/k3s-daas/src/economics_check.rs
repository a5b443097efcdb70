use std::path::Path;

use chain::{Config, Economics, Tier};
use economics::Params;

use crate::commands::assumptions;
use crate::failure::Result;

/// One sentence for each attack that a cluster's parameters do not deter, under the assumptions in a file or the
/// default ones.
pub(crate) fn deterrence_warnings(
    config: &Config,
    economics: &Economics,
    file: Option<&Path>,
) -> Result<Vec<String>> {
    Ok(economics::warnings(&params(config, economics), &assumptions(file)?))
}

/// What is on chain, as the model of attacks takes it. Rewards are those that the model assumes: the chain knows
/// them only when users pay.
fn params(config: &Config, economics: &Economics) -> Params {
    let minimum = |tier| config.terms(tier).map_or(0, |terms| terms.minimum);
    let penalty = |reason: usize| bps(economics.penalty_bps.get(reason).copied().unwrap_or_default());
    Params {
        node_minimum: minimum(Tier::Node),
        user_minimum: minimum(Tier::User),
        admin_minimum: minimum(Tier::Admin),
        uptime_bps: bps(economics.uptime_bps),
        downtime_bps: penalty(0),
        attestation_bps: penalty(1),
        contradiction_bps: penalty(2),
        tampering_bps: penalty(3),
        cap_bps: bps(economics.cap_bps),
        cap_period_ms: economics.cap_period_ms,
        reporter_bps: bps(economics.reporter_bps),
        contest_ms: economics.contest_ms,
        extension_ms: economics.extension_ms,
        ..Params::mission()
    }
}

/// The contracts allow no share above 10,000.
fn bps(value: u64) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_new_cluster_has_is_the_models_mission() {
        assert_eq!(params(&Config::default(), &Economics::default()), Params::mission());
    }

    #[test]
    fn the_missions_stakes_do_not_deter_and_large_ones_do() {
        let economics = Economics::default();
        assert!(!deterrence_warnings(&Config::default(), &economics, None).unwrap().is_empty());
        let wanted = Params::recommended();
        let mut config = Config::default();
        for (terms, minimum) in
            config.tiers.iter_mut().zip([wanted.node_minimum, wanted.user_minimum, wanted.admin_minimum])
        {
            terms.minimum = minimum;
        }
        let economics = Economics {
            penalty_bps: [
                wanted.downtime_bps,
                wanted.attestation_bps,
                wanted.contradiction_bps,
                wanted.tampering_bps,
            ]
            .map(u64::from)
            .to_vec(),
            cap_bps: wanted.cap_bps.into(),
            reporter_bps: wanted.reporter_bps.into(),
            contest_ms: wanted.contest_ms,
            extension_ms: wanted.extension_ms,
            ..economics
        };
        assert_eq!(deterrence_warnings(&config, &economics, None).unwrap(), Vec::<String>::new());
    }
}
