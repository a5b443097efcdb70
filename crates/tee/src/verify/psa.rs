//! PSA attestation tokens, as TrustZone platforms issue them: RFC 9783, COSE_Sign1 with profile `tag:psacertified.org,2023:psa#tfm`
//! or its predecessor `http://arm.com/psa/2.0.0`, which names the same claims.

use super::cose::Signed;
use super::{Statement, Verifier, arm};
use crate::{Evidence, Refusal};

const PROFILES: [&str; 2] = ["tag:psacertified.org,2023:psa#tfm", "http://arm.com/psa/2.0.0"];

impl Verifier<'_> {
    pub(super) fn psa(&self, evidence: &Evidence) -> Result<Statement, Refusal> {
        let raw = evidence.part("token").ok_or_else(|| Refusal::malformed("part \"token\" is missing"))?;
        let signed = Signed::parse(raw, "PSA token")?;
        let claims = signed.claims()?;
        let profile = claims.text(arm::PROFILE, "profile")?;
        if !PROFILES.contains(&profile) {
            return Err(Refusal::malformed(format!("PSA token: profile {profile:?} is not known here")));
        }
        let instance = claims.bytes(arm::INSTANCE_ID, "instance id")?;
        let implementation = claims.bytes(arm::IMPLEMENTATION_ID, "implementation id")?;
        let mut statement = Statement {
            report_data: claims.bytes(arm::NONCE, "nonce")?.to_vec(),
            measurements: arm::components(&claims, "")?,
            ..Statement::default()
        };
        statement.measurements.insert("implementation-id".to_owned(), implementation.to_vec());
        statement.measurements.insert("instance-id".to_owned(), instance.to_vec());
        arm::check_lifecycle(claims.number(arm::LIFECYCLE, "security lifecycle")?, &mut statement);
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
