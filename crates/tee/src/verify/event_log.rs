//! The crypto-agile event log: "TCG PC Client Platform Firmware Profile", section 10, events of type TCG_PCR_EVENT2 after one
//! old-style event that names the algorithms.

use std::collections::BTreeMap;

use ring::digest::{self, Algorithm};
use serde_bytes::ByteBuf;

use super::tpm::register_name;
use crate::Refusal;

const EV_NO_ACTION: u32 = 3;
const SIGNATURE: &[u8] = b"Spec ID Event03\0";
const STARTUP_LOCALITY: &[u8] = b"StartupLocality\0";
/// More than any firmware logs.
const MAX_EVENTS: usize = 65_536;

/// Register values that replaying a log gives.
pub(super) struct EventLog {
    /// By bank and index; only registers that an event extended.
    registers: BTreeMap<(&'static str, u8), Vec<u8>>,
}

impl EventLog {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut log = Reader { rest: bytes };
        let sizes = log.header()?;
        let mut registers = BTreeMap::new();
        let mut locality = 0;
        for _ in 0..MAX_EVENTS {
            if log.rest.is_empty() {
                return Ok(Self { registers });
            }
            let (index, kind) = (log.u32()?, log.u32()?);
            let index = u8::try_from(index).ok().filter(|index| *index < 24);
            let index = index.ok_or_else(|| malformed("it names a register above 23"))?;
            let count = log.u32()?;
            if count as usize > sizes.len() {
                return Err(malformed("an event has more digests than there are algorithms"));
            }
            let mut digests = Vec::new();
            for _ in 0..count {
                let id = log.u16()?;
                let size =
                    *sizes.get(&id).ok_or_else(|| malformed("a digest's algorithm is not declared"))?;
                digests.push((id, log.take(size.into())?));
            }
            let length = log.u32()? as usize;
            let event = log.take(length)?;
            if kind == EV_NO_ACTION {
                if index == 0 && event.starts_with(STARTUP_LOCALITY) {
                    locality = event.get(STARTUP_LOCALITY.len()).copied().unwrap_or(0);
                }
                continue;
            }
            for (id, value) in digests {
                let Some((bank, algorithm)) = bank(id) else { continue };
                let register =
                    registers.entry((bank, index)).or_insert_with(|| initial(algorithm, index, locality));
                let mut context = digest::Context::new(algorithm);
                context.update(register);
                context.update(value);
                *register = context.finish().as_ref().to_vec();
            }
        }
        Err(malformed("it has too many events"))
    }

    /// Every quoted register that the log extends, but not to the quoted value.
    pub(super) fn refusals(&self, quoted: &BTreeMap<String, BTreeMap<u8, ByteBuf>>) -> Vec<Refusal> {
        let differs = |((bank, index), value): (&(&str, u8), &Vec<u8>)| {
            let quoted = quoted.get(*bank)?.get(index)?;
            (quoted != value).then(|| Refusal::EventLog { register: register_name(bank, *index) })
        };
        self.registers.iter().filter_map(differs).collect()
    }
}

/// A register before its first event: zeros, with the locality that started the TPM in the last byte of register 0; the
/// registers of dynamic launch start as ones.
fn initial(algorithm: &Algorithm, index: u8, locality: u8) -> Vec<u8> {
    let fill = if (17..=22).contains(&index) { 0xff } else { 0 };
    let mut value = vec![fill; algorithm.output_len()];
    if let Some(last) = value.last_mut().filter(|_| index == 0) {
        *last = locality;
    }
    value
}

/// Bank and algorithm of a TPM_ALG_ID; none for those that are not replayed.
fn bank(id: u16) -> Option<(&'static str, &'static Algorithm)> {
    match id {
        0x0004 => Some(("sha1", &digest::SHA1_FOR_LEGACY_USE_ONLY)),
        0x000b => Some(("sha256", &digest::SHA256)),
        0x000c => Some(("sha384", &digest::SHA384)),
        0x000d => Some(("sha512", &digest::SHA512)),
        _ => None,
    }
}

fn malformed(why: &str) -> Refusal {
    Refusal::malformed(format!("event log: {why}"))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The first event: register 0, EV_NO_ACTION, an empty SHA-1 digest, and TCG_EfiSpecIDEvent with each algorithm's
    /// digest size.
    fn header(&mut self) -> Result<BTreeMap<u16, u16>, Refusal> {
        const SHA1_BYTES: usize = 20;
        const PLATFORM_CLASS_AND_VERSION: usize = 8;
        const MAX_ALGORITHMS: u32 = 16;
        let (index, kind) = (self.u32()?, self.u32()?);
        self.take(SHA1_BYTES)?;
        let length = self.u32()? as usize;
        let mut event = Reader { rest: self.take(length)? };
        if index != 0 || kind != EV_NO_ACTION || event.take(SIGNATURE.len())? != SIGNATURE {
            return Err(malformed("it is not in the crypto-agile format (Spec ID Event03)"));
        }
        event.take(PLATFORM_CLASS_AND_VERSION)?;
        let count = event.u32()?;
        if count > MAX_ALGORITHMS {
            return Err(malformed("it declares too many algorithms"));
        }
        let mut sizes = BTreeMap::new();
        for _ in 0..count {
            let (id, size) = (event.u16()?, event.u16()?);
            if bank(id).is_some_and(|(_, algorithm)| algorithm.output_len() != usize::from(size)) {
                return Err(malformed("it declares a wrong digest size"));
            }
            sizes.insert(id, size);
        }
        Ok(sizes)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Refusal> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(|| malformed("it ends early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16, Refusal> {
        self.take(2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Result<u32, Refusal> {
        self.take(4).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}
