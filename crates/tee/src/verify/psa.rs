//! PSA attestation tokens, as TrustZone platforms issue them: RFC 9783, COSE_Sign1 with profile `tag:psacertified.org,2023:psa#tfm`
//! or its predecessor `http://arm.com/psa/2.0.0`, which names the same claims; and `PSA_IOT_PROFILE_1`, which has them under other keys.

use super::arm::{FIRST_VERSION, Labels, REGISTERED};
use super::cose::{ClaimSet, Signed};
use super::{Statement, Verifier, arm};
use crate::{Evidence, Refusal};

const PROFILES: [&str; 2] = ["tag:psacertified.org,2023:psa#tfm", "http://arm.com/psa/2.0.0"];
const FIRST_PROFILE: &str = "PSA_IOT_PROFILE_1";

impl Verifier<'_> {
    pub(super) fn psa(&self, evidence: &Evidence) -> Result<Statement, Refusal> {
        let raw = evidence.part("token").ok_or_else(|| Refusal::malformed("part \"token\" is missing"))?;
        let signed = Signed::parse(raw, "PSA token")?;
        let claims = signed.claims()?;
        let labels = labels(&claims)?;
        let instance = claims.bytes(labels.instance_id, "instance id")?;
        let implementation = claims.bytes(labels.implementation_id, "implementation id")?;
        let mut statement = Statement {
            report_data: claims.bytes(labels.nonce, "nonce")?.to_vec(),
            measurements: arm::components(&claims, labels.components, "")?,
            ..Statement::default()
        };
        statement.measurements.insert("implementation-id".to_owned(), implementation.to_vec());
        statement.measurements.insert("instance-id".to_owned(), instance.to_vec());
        arm::check_lifecycle(claims.number(labels.lifecycle, "security lifecycle")?, &mut statement);
        match self.endorsed_key(instance, implementation) {
            Ok(key) => {
                statement
                    .refusals
                    .extend(signed.refusal(Some(&key.key), "the key endorsed for its instance"));
                statement.signers.push(arm::signer(key));
            }
            Err(refusal) => statement.refusals.push(refusal),
        }
        Ok(statement)
    }
}

/// Which keys the token's profile says. Only a token of the first version may be without one: there it was optional.
fn labels(claims: &ClaimSet) -> Result<&'static Labels, Refusal> {
    let first = claims.has(FIRST_VERSION.nonce) && !claims.has(REGISTERED.profile);
    let (labels, known) =
        if first { (&FIRST_VERSION, &[FIRST_PROFILE][..]) } else { (&REGISTERED, &PROFILES[..]) };
    if first && !claims.has(labels.profile) {
        return Ok(labels);
    }
    let profile = claims.text(labels.profile, "profile")?;
    if known.contains(&profile) {
        return Ok(labels);
    }
    Err(Refusal::malformed(format!("PSA token: profile {profile:?} is not known here")))
}
