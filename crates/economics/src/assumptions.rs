//! What the chain does not decide: prices, costs, chances.

use serde::{Deserialize, Serialize};

/// The world around the contracts. These are assumptions, not measurements: whoever runs a cluster puts in
/// their own. Money is US dollars.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Assumptions {
    /// US dollars per SUI at the start.
    pub sui_usd: f64,
    /// Yearly volatility of that price; 1.0 is 100 %.
    pub volatility: f64,
    /// How often a year the price crashes.
    pub crashes_per_year: f64,
    /// The share of the price that a crash takes, 0 to 1.
    pub crash_depth: f64,
    /// What a machine costs a day while it is on.
    pub machine_usd_per_day: f64,
    /// What locked money could earn elsewhere in a year; 0.05 is 5 %.
    pub capital_rate: f64,
    /// The chance a day that one of several nodes on the same machine is found out.
    pub overselling_found_per_day: f64,
    /// What tampering with the pods of one node is worth to whoever does it.
    pub tampering_gain_usd: f64,
    /// The chance that tampering is proven.
    pub tampering_found: f64,
    /// What it takes to make an enclave sign what is not true.
    pub enclave_break_usd: f64,
    /// The chance that a staker contests a false accusation in time.
    pub victims_contest: f64,
    /// The chance that governance sees through a contested false accusation.
    pub governance_sees: f64,
    /// Nodes that can be accused.
    pub victims: u32,
    /// What one contested case costs governance in work.
    pub review_usd: f64,
}

impl Assumptions {
    /// Whether the values make sense: chances and shares within 0 to 1, money and rates finite and not negative.
    ///
    /// # Errors
    /// The first that does not, in a sentence.
    pub fn check(&self) -> Result<(), Nonsense> {
        let shares = [
            ("crash_depth", self.crash_depth),
            ("overselling_found_per_day", self.overselling_found_per_day),
            ("tampering_found", self.tampering_found),
            ("victims_contest", self.victims_contest),
            ("governance_sees", self.governance_sees),
        ];
        for (name, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                return Err(Nonsense::Share { name, value });
            }
        }
        let amounts = [
            ("sui_usd", self.sui_usd),
            ("volatility", self.volatility),
            ("crashes_per_year", self.crashes_per_year),
            ("machine_usd_per_day", self.machine_usd_per_day),
            ("capital_rate", self.capital_rate),
            ("tampering_gain_usd", self.tampering_gain_usd),
            ("enclave_break_usd", self.enclave_break_usd),
            ("review_usd", self.review_usd),
        ];
        for (name, value) in amounts {
            if !(0.0..=1e12).contains(&value) {
                return Err(Nonsense::Amount { name, value });
            }
        }
        if self.victims > 1_000_000 {
            return Err(Nonsense::Amount { name: "victims", value: f64::from(self.victims) });
        }
        Ok(())
    }
}

/// An assumption that cannot be meant.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Nonsense {
    /// Not a share.
    #[error("{name} = {value} is not between 0 and 1")]
    Share {
        /// The field.
        name: &'static str,
        /// What it was set to.
        value: f64,
    },
    /// Not an amount.
    #[error("{name} = {value} is negative, no number or too large")]
    Amount {
        /// The field.
        name: &'static str,
        /// What it was set to.
        value: f64,
    },
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            sui_usd: 2.0,
            volatility: 1.0,
            crashes_per_year: 1.0,
            crash_depth: 0.5,
            machine_usd_per_day: 1.5,
            capital_rate: 0.05,
            overselling_found_per_day: 0.05,
            tampering_gain_usd: 500.0,
            tampering_found: 0.5,
            enclave_break_usd: 50_000.0,
            victims_contest: 0.8,
            governance_sees: 0.9,
            victims: 100,
            review_usd: 50.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_named() {
        assert_eq!(Assumptions::default().check(), Ok(()));
        let wrong = Assumptions { tampering_found: 1.5, ..Assumptions::default() };
        assert_eq!(wrong.check().unwrap_err().to_string(), "tampering_found = 1.5 is not between 0 and 1");
        let wrong = Assumptions { sui_usd: f64::NAN, ..Assumptions::default() };
        assert!(matches!(wrong.check(), Err(Nonsense::Amount { name: "sui_usd", .. })));
    }
}
