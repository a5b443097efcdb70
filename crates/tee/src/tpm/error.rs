use std::io;

use super::TpmAddress;

/// Why a TPM did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TpmError {
    /// The device or socket does not open.
    #[error("cannot reach the TPM at {address:?}: is it there, and may this user open it?")]
    Unreachable {
        /// Where it was looked for.
        address: TpmAddress,
        /// Why.
        source: io::Error,
    },
    /// A command could not be sent or its response not be read.
    #[error("TPM2_{command}: no response")]
    Io {
        /// The command.
        command: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A response is not laid out as the specification says.
    #[error("TPM2_{command}: the response is malformed")]
    Malformed {
        /// The command.
        command: &'static str,
    },
    /// The TPM answered with an error.
    #[error("TPM2_{command}: refused with TPM_RC {code:#x}{}", explain(*code))]
    Refused {
        /// The command.
        command: &'static str,
        /// TPM_RC; part 2, section 6.6.
        code: u32,
    },
    /// The runtime register was extended by other code since the machine started.
    #[error(
        "PCR {pcr} holds the measurement of other code ({found}, expected {expected}): \
         restart the machine to run this build"
    )]
    MeasuredOtherwise {
        /// The register.
        pcr: u8,
        /// Its value, hexadecimal.
        found: String,
        /// The value that only this code gives, hexadecimal.
        expected: String,
    },
    /// A sealed object is not what this program writes.
    #[error("the sealed object is not one of ours, or cut short")]
    SealedObject,
}

impl TpmError {
    /// Whether a policy session did not fit: the registers are not what the object was sealed to.
    #[must_use]
    pub fn is_policy_failure(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code & 0xbf == POLICY_FAIL)
    }

    /// Whether a sealed object was refused because another TPM made it, or it was changed.
    #[must_use]
    pub fn is_foreign_object(&self) -> bool {
        matches!(self, Self::Refused { command: "Load", code } if is_foreign(*code))
    }
}

/// TPM_RC_INTEGRITY and TPM_RC_BAD_AUTH, without the number of the parameter.
fn is_foreign(code: u32) -> bool {
    code & 0xbf == 0x9f || code & 0xbf == 0xa2
}

/// TPM_RC_POLICY_FAIL without the number of the session it is about.
const POLICY_FAIL: u32 = 0x9d;

fn explain(code: u32) -> &'static str {
    match code {
        code if code & 0xbf == POLICY_FAIL => {
            ": a policy check failed; the registers are not what the object was sealed to"
        }
        0x902 => ": out of memory for objects; something else holds them",
        0x903 => ": out of memory for sessions; something else holds them",
        0x921 => ": locked out after failed authorizations; wait or reset the lockout",
        code if is_foreign(code) => ": wrong integrity or authorization; the object belongs to another TPM",
        _ => "",
    }
}
