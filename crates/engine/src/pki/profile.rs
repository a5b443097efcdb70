use std::net::IpAddr;

use rand::TryRngCore;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose, SanType,
    SerialNumber,
};
use time::OffsetDateTime;

use super::authority::time;
use super::error::PkiError;

/// Certificates are valid from a little before now, for clocks that are behind.
const EARLY_SECONDS: u64 = 300;
const MAX_NAME: usize = 253;
/// Object id of an organization name, for the second one: the library holds one value per kind.
const ORGANIZATION: &[u64] = &[2, 5, 4, 10];

/// What a certificate says. Nothing in it is ever taken from a signing request.
#[derive(Clone, Debug)]
pub struct Profile<'a> {
    /// Common name: the user or server.
    pub common_name: &'a str,
    /// Organizations: the user's groups. At most two.
    pub organizations: &'a [&'a str],
    /// DNS names of a server.
    pub dns_names: &'a [String],
    /// Addresses of a server.
    pub addresses: &'a [IpAddr],
    /// What it may be used for.
    pub usage: Usage,
    /// How long it is valid from now, seconds.
    pub lifetime_seconds: u64,
}

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// To be a client.
    Client,
    /// To be a server.
    Server,
}

impl<'a> Profile<'a> {
    /// A client: a user with groups.
    pub fn client(common_name: &'a str, organizations: &'a [&'a str], lifetime_seconds: u64) -> Self {
        Self {
            common_name,
            organizations,
            dns_names: &[],
            addresses: &[],
            usage: Usage::Client,
            lifetime_seconds,
        }
    }

    /// A server with its names.
    pub fn server(
        common_name: &'a str,
        dns_names: &'a [String],
        addresses: &'a [IpAddr],
        lifetime_seconds: u64,
    ) -> Self {
        Self { common_name, organizations: &[], dns_names, addresses, usage: Usage::Server, lifetime_seconds }
    }

    pub(crate) fn params(&self, now_ms: u64) -> Result<CertificateParams, PkiError> {
        let mut params = CertificateParams::default();
        let mut subject = DistinguishedName::new();
        check(self.common_name)?;
        subject.push(DnType::CommonName, self.common_name);
        let kinds = [DnType::OrganizationName, DnType::CustomDnType(ORGANIZATION.to_vec())];
        if self.organizations.len() > kinds.len() {
            return Err(bad(&self.organizations.join(","), "more than two organizations"));
        }
        for (kind, organization) in kinds.into_iter().zip(self.organizations) {
            check(organization)?;
            subject.push(kind, *organization);
        }
        params.distinguished_name = subject;
        for name in self.dns_names {
            check(name)?;
            let name =
                name.as_str().try_into().map_err(|error: rcgen::Error| bad(name, &error.to_string()))?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        params.subject_alt_names.extend(self.addresses.iter().map(|address| SanType::IpAddress(*address)));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match self.usage {
            Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
            Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial()?);
        (params.not_before, params.not_after) = validity(now_ms, self.lifetime_seconds)?;
        Ok(params)
    }
}

pub(crate) fn validity(now_ms: u64, seconds: u64) -> Result<(OffsetDateTime, OffsetDateTime), PkiError> {
    let now = now_ms / 1000;
    Ok((time(now.saturating_sub(EARLY_SECONDS))?, time(now.saturating_add(seconds))?))
}

/// 16 random bytes, positive (RFC 5280, 4.1.2.2).
pub(crate) fn serial() -> Result<SerialNumber, PkiError> {
    let mut bytes = [0; 16];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(|_| PkiError::Random)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn check(name: &str) -> Result<(), PkiError> {
    let printable = name.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    if name.is_empty() || name.len() > MAX_NAME || !printable {
        return Err(bad(name, "use 1 to 253 printable ASCII characters without spaces"));
    }
    Ok(())
}

fn bad(value: &str, reason: &str) -> PkiError {
    PkiError::BadName { value: value.chars().take(MAX_NAME).collect(), reason: reason.to_owned() }
}
