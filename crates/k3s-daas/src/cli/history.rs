use std::path::PathBuf;

use clap::Args;

use super::snapshot::StoreEndpoint;

#[derive(Clone, Debug, Args)]
pub(crate) struct History {
    /// The key as the store knows it, e.g. /registry/pods/default/web
    #[arg(id = "state-key", value_name = "KEY")]
    pub(crate) key: String,
    /// From a revision, a time (2026-11-23T10:00:00Z) or so long ago (90m, 36h, 7d) [default: from the beginning]
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<When>,
    /// Up to a revision, a time or so long ago [default: now]
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<When>,
    /// The newest versions only, at most this many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Prove against the anchors on chain what can be proven; `verify-proof` checks it
    #[arg(long)]
    pub(crate) proof: bool,
    /// Show values, for whoever gets the output to read; otherwise only their lengths and hashes
    #[arg(long)]
    pub(crate) with_value: bool,
    /// The snapshot to begin at where this machine has no list of them [default: the one that the anchor on chain names]
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) snapshot: Option<String>,
    /// Directory with the snapshots; without it `[master.snapshots] place`
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) store: StoreEndpoint,
}

/// A place in the cluster's past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Revision(i64),
    /// Seconds since the Unix epoch.
    At(i64),
    /// Seconds before now.
    Ago(i64),
}

impl std::str::FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no revision (120), no time (2026-11-23T10:00:00Z) and no duration (90m, 36h, 7d)"
            )
        };
        if let Ok(revision) = text.parse::<i64>() {
            return if revision > 0 { Ok(Self::Revision(revision)) } else { Err(wrong()) };
        }
        let format = time::format_description::well_known::Rfc3339;
        if let Ok(at) = time::OffsetDateTime::parse(text, &format) {
            return Ok(Self::At(at.unix_timestamp()));
        }
        let unit = text.char_indices().last().ok_or_else(wrong)?;
        let seconds: i64 = match unit.1 {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        let number: u32 = text[..unit.0].parse().map_err(|_| wrong())?;
        Ok(Self::Ago(seconds * i64::from(number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whens_are_read() {
        let read = |text: &str| text.parse::<When>();
        assert_eq!(read("120"), Ok(When::Revision(120)));
        assert_eq!(read("90m"), Ok(When::Ago(5_400)));
        assert_eq!(read("7d"), Ok(When::Ago(604_800)));
        assert_eq!(read("1970-01-01T01:00:10+01:00"), Ok(When::At(10)));
        for wrong in ["", "0", "-3", "d", "2x", "-2h", "9999999999999d", "yesterday", "2026-11-23", "5ü"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
