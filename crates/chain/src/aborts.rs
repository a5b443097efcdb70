use std::sync::LazyLock;

use crate::package::SOURCES;

/// One abort constant of our sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abort {
    pub(crate) module: &'static str,
    pub(crate) code: u64,
    pub(crate) name: &'static str,
    /// The sentence above it.
    pub(crate) meaning: &'static str,
}

/// Every abort constant of `contracts/sources`. Read from the sources themselves, so the names and
/// sentences that people see are always those of the code that ran.
pub(crate) static ABORTS: LazyLock<Vec<Abort>> =
    LazyLock::new(|| SOURCES.iter().flat_map(|(module, source)| parse(module, source)).collect());

/// Finds `/// Sentence.` followed by `const EName: u64 = 7;`. Of a longer comment the last line is taken.
fn parse(module: &'static str, source: &'static str) -> Vec<Abort> {
    let mut aborts = Vec::new();
    let mut comment = "";
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            comment = text.trim();
            continue;
        }
        if let Some((name, value)) = line
            .strip_prefix("const E")
            .and_then(|_| line.strip_prefix("const "))
            .and_then(|rest| rest.split_once(": u64 = "))
            && let Ok(code) = value.trim_end_matches(';').parse()
        {
            aborts.push(Abort { module, code, name, meaning: comment.trim_end_matches('.') });
        }
        comment = "";
    }
    aborts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_abort_has_a_name_and_a_sentence_and_its_own_code() {
        assert_eq!(
            ABORTS.len(),
            SOURCES.iter().map(|(_, text)| text.matches("\nconst E").count()).sum::<usize>()
        );
        let mut codes = BTreeSet::new();
        for abort in ABORTS.iter() {
            assert!(abort.meaning.len() > 10, "{abort:?} has no sentence");
            assert!(codes.insert((abort.module, abort.code)), "{abort:?} shares its code");
        }
        assert!(codes.len() > 30);
    }

    #[test]
    fn a_constant_that_is_no_abort_is_left_out() {
        let source =
            "/// Far.\nconst MAX: u64 = 3;\n/// Gone.\nconst EGone: u64 = 4;\n\nconst EBare: u64 = 5;\n";
        let aborts = parse("m", source);
        assert_eq!(
            aborts,
            [
                Abort { module: "m", code: 4, name: "EGone", meaning: "Gone" },
                Abort { module: "m", code: 5, name: "EBare", meaning: "" }
            ]
        );
    }
}
