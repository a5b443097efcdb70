//! What K3s brings besides Kubernetes itself, each to be switched off by the name that K3s gives it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Battery {
    /// DNS names of services and pods: CoreDNS on every node.
    Coredns,
    /// Addresses of nodes for services of type LoadBalancer.
    Servicelb,
    /// The storage class `local-path`.
    LocalStorage,
    /// Metrics of nodes and pods for `kubectl top`.
    MetricsServer,
}

impl Battery {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Coredns, Self::Servicelb, Self::LocalStorage, Self::MetricsServer];

    /// The name that K3s gives it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Coredns => "coredns",
            Self::Servicelb => "servicelb",
            Self::LocalStorage => "local-storage",
            Self::MetricsServer => "metrics-server",
        }
    }
}

/// What K3s has and this has not: to switch it off is no mistake and changes nothing.
const NOT_HERE: [&str; 4] = ["network-policy", "traefik", "helm-controller", "cloud-controller"];

/// Those that are switched off; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Disabled(BTreeSet<Battery>);

impl Disabled {
    /// Whether `battery` is on.
    pub fn leaves(&self, battery: Battery) -> bool {
        !self.0.contains(&battery)
    }

    /// Names of those that are on.
    pub fn left(&self) -> Vec<&'static str> {
        Battery::ALL.into_iter().filter(|battery| self.leaves(*battery)).map(Battery::as_str).collect()
    }
}

impl TryFrom<Vec<String>> for Disabled {
    type Error = String;

    /// Names, several in one with commas between them if one likes.
    fn try_from(names: Vec<String>) -> Result<Self, String> {
        let mut off = BTreeSet::new();
        for name in names.iter().flat_map(|names| names.split(',')).map(str::trim) {
            match Battery::ALL.into_iter().find(|battery| battery.as_str() == name) {
                Some(battery) => {
                    off.insert(battery);
                }
                None if NOT_HERE.contains(&name) => {}
                None => {
                    let known: Vec<_> = Battery::ALL.into_iter().map(Battery::as_str).collect();
                    return Err(format!("{name:?} cannot be disabled: there is {}", known.join(", ")));
                }
            }
        }
        Ok(Self(off))
    }
}

impl From<Disabled> for Vec<String> {
    fn from(disabled: Disabled) -> Self {
        disabled.0.into_iter().map(|battery| battery.as_str().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(names: &[&str]) -> Result<Disabled, String> {
        names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>().try_into()
    }

    #[test]
    fn names_of_k3s_switch_off_and_others_are_mistakes() {
        let off = parse(&["coredns,servicelb", "traefik"]).unwrap();
        assert_eq!(off.left(), ["local-storage", "metrics-server"]);
        assert_eq!(Disabled::default().left().len(), Battery::ALL.len());
        let error = parse(&["core-dns"]).unwrap_err();
        assert!(error.contains("core-dns") && error.contains("coredns"), "{error}");
    }

    #[test]
    fn what_is_written_reads_back() {
        let off = parse(&["local-storage", "coredns"]).unwrap();
        let json = serde_json::to_string(&off).unwrap();
        assert_eq!(json, r#"["coredns","local-storage"]"#);
        assert_eq!(serde_json::from_str::<Disabled>(&json).unwrap(), off);
    }
}
