use tpm2_protocol::data::{TpmEccCurve, TpmaObject, TpmtPublic, TpmuPublicId, TpmuPublicParms};

use super::tpm::read;
use crate::public_key::PublicKey;

/// The key of a TPMT_PUBLIC, when it is RSA, P-256 or P-384.
pub(crate) fn tpm_public_key(area: &[u8]) -> Option<PublicKey> {
    let public: TpmtPublic = read(area, "TPMT_PUBLIC").ok()?;
    match (&public.parameters, &public.unique) {
        (TpmuPublicParms::Ecc(parameters), TpmuPublicId::Ecc(point)) => {
            let length = match parameters.curve_id {
                TpmEccCurve::NistP256 => 32,
                TpmEccCurve::NistP384 => 48,
                _ => return None,
            };
            PublicKey::from_coordinates(&point.x, &point.y, length)
        }
        (TpmuPublicParms::Rsa(parameters), TpmuPublicId::Rsa(modulus)) => {
            const DEFAULT_EXPONENT: u32 = 65_537;
            let exponent = match parameters.exponent.value() {
                0 => DEFAULT_EXPONENT,
                other => other,
            };
            Some(PublicKey::Rsa(rsa_public_key(modulus, &exponent.to_be_bytes())))
        }
        _ => None,
    }
}

/// Whether the key signs only what the TPM itself made: else it would sign a forged quote as well.
pub(super) fn is_restricted(area: &[u8]) -> bool {
    let Ok(public) = read::<TpmtPublic>(area, "TPMT_PUBLIC") else { return false };
    let wanted = TpmaObject::RESTRICTED | TpmaObject::SIGN_ENCRYPT | TpmaObject::FIXED_TPM;
    public.object_attributes.contains(wanted) && !public.object_attributes.contains(TpmaObject::DECRYPT)
}

/// `RSAPublicKey` of RFC 8017, DER.
fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    const SEQUENCE: u8 = 0x30;
    tagged(SEQUENCE, &[unsigned(modulus), unsigned(exponent)].concat())
}

/// A DER INTEGER that is not negative.
fn unsigned(number: &[u8]) -> Vec<u8> {
    const INTEGER: u8 = 0x02;
    let leading = number.iter().take_while(|&&byte| byte == 0).count();
    let number = &number[leading..];
    match number.first() {
        Some(0..0x80) => tagged(INTEGER, number),
        _ => tagged(INTEGER, &[&[0], number].concat()),
    }
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|&&byte| byte == 0).count()..];
    let header = match content.len() {
        short @ 0..0x80 => vec![tag, short as u8],
        _ => [&[tag, 0x80 | significant.len() as u8], significant].concat(),
    };
    [header, content.to_vec()].concat()
}
