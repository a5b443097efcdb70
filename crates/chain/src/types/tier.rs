use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a stake is for. On chain a `u8`: 0 node, 1 user, 2 admin, which is also this type's BCS form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Brings a machine.
    Node,
    /// Uses the cluster by its grants.
    User,
    /// Uses the cluster, and may hold a cluster-wide admin grant.
    Admin,
}

impl Tier {
    /// All tiers in the order of the chain.
    pub const ALL: [Tier; 3] = [Tier::Node, Tier::User, Tier::Admin];

    /// The number on chain.
    pub fn index(self) -> u8 {
        match self {
            Tier::Node => 0,
            Tier::User => 1,
            Tier::Admin => 2,
        }
    }

    /// `node`, `user` or `admin`.
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Node => "node",
            Tier::User => "user",
            Tier::Admin => "admin",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Tier {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Tier, crate::Error> {
        Tier::ALL.into_iter().find(|tier| tier.as_str() == text).ok_or_else(|| {
            crate::Error::Invalid(format!("there is no tier `{text}`; use node, user or admin"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bcs_is_the_chains_number() {
        for tier in Tier::ALL {
            assert_eq!(bcs::to_bytes(&tier).unwrap(), [tier.index()]);
            assert_eq!(bcs::from_bytes::<Tier>(&[tier.index()]).unwrap(), tier);
            assert_eq!(tier.as_str().parse::<Tier>().unwrap(), tier);
        }
        assert!(bcs::from_bytes::<Tier>(&[3]).is_err());
        assert!("root".parse::<Tier>().is_err());
    }
}
