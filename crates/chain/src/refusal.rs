use std::fmt;

use sui_sdk_types::{Address, MoveLocation};

use crate::aborts::ABORTS;

/// What Sui's framework says no to in calls of ours: module, code, its constant and what it means.
const OF_SUI: [(&str, u64, &str, &str); 2] = [
    ("nitro_attestation", 1, "EParseError", "The file is no attestation document of a Nitro enclave"),
    (
        "nitro_attestation",
        2,
        "EVerifyError",
        "The Nitro document's certificates or signature do not hold now: they last three hours, make a new document",
    ),
];

/// A contract said no: a Move abort, with the name of our constant and a sentence where it is one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Package that aborted.
    pub package: Address,
    /// Module that aborted.
    pub module: String,
    /// Function that aborted, when the endpoint says it.
    pub function: Option<String>,
    /// Abort code.
    pub code: u64,
    /// Name of the constant in our sources, e.g. `EStillLocked`.
    pub name: Option<&'static str>,
    /// What it means, for people.
    pub meaning: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(location: &MoveLocation, code: u64) -> Refusal {
        let module = location.module.as_str();
        // 0x1 and 0x2 may have modules of the same names as ours.
        let ours = ![Address::from_static("0x1"), Address::TWO].contains(&location.package);
        let known = ABORTS.iter().find(|abort| ours && abort.module == module && abort.code == code);
        let of_ours = known.map(|abort| (abort.name, abort.meaning));
        let of_sui = || OF_SUI.iter().find(|(at, number, ..)| !ours && *at == module && *number == code);
        let known = of_ours.or_else(|| of_sui().map(|(_, _, name, meaning)| (*name, *meaning)));
        Refusal {
            package: location.package,
            module: module.to_owned(),
            function: location.function_name.as_ref().map(|name| name.as_str().to_owned()),
            code,
            name: known.map(|(name, _)| name),
            meaning: known.map(|(_, meaning)| meaning),
        }
    }

    /// Whether it is our constant `module::name`.
    pub fn is(&self, module: &str, name: &str) -> bool {
        self.module == module && self.name == Some(name)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the contract refused: ")?;
        match (self.meaning, self.name) {
            (Some(meaning), Some(name)) => write!(f, "{meaning} ({}::{name})", self.module),
            _ => {
                write!(f, "{}::{}", self.package, self.module)?;
                if let Some(function) = &self.function {
                    write!(f, "::{function}")?;
                }
                write!(f, " aborted with code {}", self.code)
            }
        }
    }
}

impl std::error::Error for Refusal {}
