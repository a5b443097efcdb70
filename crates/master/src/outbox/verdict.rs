use chain::Error;

use super::Letter;

/// What becomes of a letter that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may be taken later.
    Later,
    /// It was said already, or never will be: it is dropped.
    Never,
}

/// Decides from what the chain said.
pub(crate) fn verdict(letter: &Letter, error: &Error) -> Verdict {
    let refusal = match error {
        Error::Refused(refusal) => refusal,
        // The stake was paid out.
        Error::NotFound { what: "object", .. } if !matches!(letter, Letter::Epoch(_)) => {
            return Verdict::Never;
        }
        _ => return Verdict::Later,
    };
    let never: &[(&str, &str)] = match letter {
        // Its time is posted already, or lies before what is.
        Letter::Epoch(_) => &[("rewards", "EBadPeriod"), ("rewards", "EBadWeight")],
        Letter::Downtime(_) | Letter::Contradiction(_) => &[
            ("staking", "EJudged"),
            ("staking", "ENothingToTake"),
            ("slashing", "EBadPeriod"),
            ("slashing", "EUptimeKept"),
            ("slashing", "EBadLocator"),
            ("slashing", "EBadHash"),
            ("slashing", "EBadSubject"),
            ("slashing", "EBadReason"),
            ("slashing", "EWrongKey"),
            ("slashing", "EWrongCluster"),
            ("slashing", "ENoContradiction"),
        ],
    };
    if never.iter().any(|(module, name)| refusal.is(module, name)) { Verdict::Never } else { Verdict::Later }
}
