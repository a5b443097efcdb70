//! The few commands that attestation and sealing take. Trusted Platform Module Library, part 3.

use std::collections::BTreeMap;

use ring::digest;
use zeroize::Zeroizing;

use super::TpmError;
use super::transport::{TpmAddress, Transport};
use super::wire::{Command, PASSWORD, Reader, Writer};

const OWNER: u32 = 0x4000_0001;
const ENDORSEMENT: u32 = 0x4000_000b;
const NULL: u32 = 0x4000_0007;

const ALG_AES: u16 = 0x0006;
const ALG_KEYEDHASH: u16 = 0x0008;
const ALG_SHA256: u16 = 0x000b;
const ALG_NULL: u16 = 0x0010;
const ALG_ECDSA: u16 = 0x0018;
const ALG_ECC: u16 = 0x0023;
const ALG_CFB: u16 = 0x0043;
const CURVE_P256: u16 = 0x0003;

const FIXED_TPM: u32 = 1 << 1;
const FIXED_PARENT: u32 = 1 << 4;
const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
const USER_WITH_AUTH: u32 = 1 << 6;
const NO_DICTIONARY_ATTACK: u32 = 1 << 10;
const RESTRICTED: u32 = 1 << 16;
const DECRYPT: u32 = 1 << 17;
const SIGN: u32 = 1 << 18;

const POLICY_PCR: u32 = 0x17f;

/// SHA-256 values of platform configuration registers, by index.
pub(super) type Pcrs = BTreeMap<u8, [u8; 32]>;

/// An object in the TPM, for as long as it is loaded.
pub(super) struct Loaded {
    pub(super) handle: u32,
    /// TPMT_PUBLIC.
    pub(super) public: Vec<u8>,
}

/// A sealed object outside of the TPM; of no use to any other.
pub(super) struct Sealed {
    pub(super) private: Vec<u8>,
    pub(super) public: Vec<u8>,
}

/// What TPM2_Quote signs, and the signature.
pub(super) struct Quote {
    /// TPMS_ATTEST.
    pub(super) attest: Vec<u8>,
    /// TPMT_SIGNATURE.
    pub(super) signature: Vec<u8>,
}

/// One TPM 2.0.
pub(super) struct Tpm {
    transport: Transport,
}

impl Tpm {
    /// Opens it and makes sure that it was started.
    pub(super) fn open(address: &TpmAddress) -> Result<Self, TpmError> {
        /// TPM_RC_INITIALIZE: it was.
        const STARTED: u32 = 0x100;
        let mut tpm = Self { transport: Transport::open(address)? };
        let startup = Command::new(0x144, "Startup").with(|to| {
            to.u16(0);
        });
        match tpm.run(&startup, false) {
            Ok(_) | Err(TpmError::Refused { code: STARTED, .. }) => {}
            Err(error) => return Err(error),
        }
        if address.is_software() {
            // A resource manager forgets what a dead client left; a bare TPM does not.
            tpm.flush_leftovers()?;
        }
        Ok(tpm)
    }

    /// The registers' values. TPM2_PCR_Read.
    pub(super) fn pcr_read(&mut self, indices: &[u8]) -> Result<Pcrs, TpmError> {
        let mut values = Pcrs::new();
        // A TPM gives as many values as it likes at once; one at a time is what all of them give.
        for index in indices {
            let command = Command::new(0x17e, "PCR_Read").with(|to| selection(to, &[*index]));
            let reply = self.run(&command, false)?;
            let malformed = || TpmError::Malformed { command: "PCR_Read" };
            let (_, mut reader) = command.reply(&reply, false)?;
            reader.u32()?;
            skip_selection(&mut reader)?;
            if reader.u32()? != 1 {
                return Err(malformed());
            }
            values.insert(*index, reader.sized()?.try_into().map_err(|_| malformed())?);
        }
        Ok(values)
    }

    /// Extends a register of the SHA-256 bank. TPM2_PCR_Extend.
    pub(super) fn pcr_extend(&mut self, index: u8, digest: &[u8; 32]) -> Result<(), TpmError> {
        let command =
            Command::new(0x182, "PCR_Extend").handle(u32::from(index)).authorized(PASSWORD).with(|to| {
                to.u32(1).u16(ALG_SHA256).raw(digest);
            });
        self.run(&command, false).map(drop)
    }

    /// The attestation key: a restricted ECDSA P-256 key of the endorsement hierarchy, the same at every call for as
    /// long as the TPM is not cleared.
    pub(super) fn attestation_key(&mut self) -> Result<Loaded, TpmError> {
        let fixed = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | USER_WITH_AUTH;
        self.create_primary(ENDORSEMENT, |to| {
            to.u16(ALG_ECC).u16(ALG_SHA256).u32(fixed | NO_DICTIONARY_ATTACK | RESTRICTED | SIGN);
            to.sized(&[]).u16(ALG_NULL).u16(ALG_ECDSA).u16(ALG_SHA256).u16(CURVE_P256).u16(ALG_NULL);
            to.sized(&[]).sized(&[]);
        })
    }

    /// The parent of sealed objects, in the owner's hierarchy; the same at every call too.
    pub(super) fn storage_key(&mut self) -> Result<Loaded, TpmError> {
        let fixed = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | USER_WITH_AUTH;
        self.create_primary(OWNER, |to| {
            to.u16(ALG_ECC).u16(ALG_SHA256).u32(fixed | NO_DICTIONARY_ATTACK | RESTRICTED | DECRYPT);
            to.sized(&[]).u16(ALG_AES).u16(128).u16(ALG_CFB);
            to.u16(ALG_NULL).u16(CURVE_P256).u16(ALG_NULL).sized(&[]).sized(&[]);
        })
    }

    /// Signs the registers and `qualifying` (at most 32 bytes). TPM2_Quote.
    pub(super) fn quote(
        &mut self,
        key: &Loaded,
        qualifying: &[u8; 32],
        indices: &[u8],
    ) -> Result<Quote, TpmError> {
        let command = Command::new(0x158, "Quote").handle(key.handle).authorized(PASSWORD).with(|to| {
            to.sized(qualifying).u16(ALG_NULL);
            selection(to, indices);
        });
        let reply = self.run(&command, false)?;
        let (_, mut reader) = command.reply(&reply, false)?;
        Ok(Quote { attest: reader.sized()?.to_vec(), signature: reader.rest().to_vec() })
    }

    /// Seals `secret` under `parent`: opens only while the registers hold `pcrs`. TPM2_Create.
    pub(super) fn seal(
        &mut self,
        parent: &Loaded,
        secret: &[u8; 32],
        pcrs: &Pcrs,
    ) -> Result<Sealed, TpmError> {
        let policy = policy_digest(pcrs);
        let command = Command::new(0x153, "Create").handle(parent.handle).authorized(PASSWORD).with(|to| {
            to.within(|to| {
                to.sized(&[]).sized(secret);
            });
            to.within(|to| {
                // No USER_WITH_AUTH: only the policy opens it.
                to.u16(ALG_KEYEDHASH).u16(ALG_SHA256).u32(FIXED_TPM | FIXED_PARENT | NO_DICTIONARY_ATTACK);
                to.sized(&policy).u16(ALG_NULL).sized(&[]);
            });
            to.sized(&[]).u32(0);
        });
        let reply = Zeroizing::new(self.run(&command, false)?);
        let (_, mut reader) = command.reply(&reply, false)?;
        Ok(Sealed { private: reader.sized()?.to_vec(), public: reader.sized()?.to_vec() })
    }

    /// Opens what [`Self::seal`] made, if the registers `indices` hold what it was sealed to now. TPM2_Load,
    /// TPM2_StartAuthSession, TPM2_PolicyPCR, TPM2_Unseal.
    ///
    /// The secret crosses the bus to a discrete chip in clear: who probes that bus reads it.
    pub(super) fn unseal(
        &mut self,
        parent: &Loaded,
        sealed: &Sealed,
        indices: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, TpmError> {
        let load = Command::new(0x157, "Load").handle(parent.handle).authorized(PASSWORD).with(|to| {
            to.sized(&sealed.private).sized(&sealed.public);
        });
        let (object, _) = load.reply(&self.run(&load, true)?, true)?;
        let secret = self.unseal_loaded(object, indices);
        self.flush(object)?;
        secret
    }

    /// Takes an object or a session out of the TPM. TPM2_FlushContext.
    pub(super) fn flush(&mut self, handle: u32) -> Result<(), TpmError> {
        let command = Command::new(0x165, "FlushContext").with(|to| {
            to.u32(handle);
        });
        self.run(&command, false).map(drop)
    }

    fn unseal_loaded(&mut self, object: u32, indices: &[u8]) -> Result<Zeroizing<[u8; 32]>, TpmError> {
        let session = self.policy_session()?;
        let secret = self.unseal_in(object, session, indices);
        self.flush(session)?;
        secret
    }

    fn unseal_in(
        &mut self,
        object: u32,
        session: u32,
        indices: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, TpmError> {
        let policy = Command::new(POLICY_PCR, "PolicyPCR").handle(session).with(|to| {
            to.sized(&[]);
            selection(to, indices);
        });
        self.run(&policy, false)?;
        let unseal = Command::new(0x15e, "Unseal").handle(object).authorized(session);
        let reply = Zeroizing::new(self.run(&unseal, false)?);
        let (_, mut reader) = unseal.reply(&reply, false)?;
        let secret: [u8; 32] =
            reader.sized()?.try_into().map_err(|_| TpmError::Malformed { command: "Unseal" })?;
        Ok(Zeroizing::new(secret))
    }

    /// A session whose authorization is a policy. TPM2_StartAuthSession.
    fn policy_session(&mut self) -> Result<u32, TpmError> {
        let command = Command::new(0x176, "StartAuthSession").handle(NULL).handle(NULL).with(|to| {
            // The nonce matters to HMAC sessions; this one has no HMAC.
            to.sized(&[0; 16]).sized(&[]).u8(1).u16(ALG_NULL).u16(ALG_SHA256);
        });
        let (session, _) = command.reply(&self.run(&command, true)?, true)?;
        Ok(session)
    }

    /// TPM2_CreatePrimary: derived from the hierarchy's seed and the template, so nothing has to be kept.
    fn create_primary(
        &mut self,
        hierarchy: u32,
        template: impl FnOnce(&mut Writer),
    ) -> Result<Loaded, TpmError> {
        let command =
            Command::new(0x131, "CreatePrimary").handle(hierarchy).authorized(PASSWORD).with(|to| {
                to.within(|to| {
                    to.sized(&[]).sized(&[]);
                });
                to.within(template).sized(&[]).u32(0);
            });
        let reply = self.run(&command, true)?;
        let (handle, mut reader) = command.reply(&reply, true)?;
        Ok(Loaded { handle, public: reader.sized()?.to_vec() })
    }

    /// Objects and sessions that an earlier connection left. TPM2_GetCapability(TPM_CAP_HANDLES).
    fn flush_leftovers(&mut self) -> Result<(), TpmError> {
        const TRANSIENT: u32 = 0x8000_0000;
        const LOADED_SESSIONS: u32 = 0x0200_0000;
        for first in [TRANSIENT, LOADED_SESSIONS] {
            let command = Command::new(0x17a, "GetCapability").with(|to| {
                to.u32(1).u32(first).u32(64);
            });
            let reply = self.run(&command, false)?;
            let (_, mut reader) = command.reply(&reply, false)?;
            reader.take(5)?;
            let count = reader.u32()?;
            for _ in 0..count.min(64) {
                self.flush(reader.u32()?)?;
            }
        }
        Ok(())
    }

    fn run(&mut self, command: &Command, with_handle: bool) -> Result<Vec<u8>, TpmError> {
        let reply = self.transport.transact(&command.bytes(), command.name())?;
        command.reply(&reply, with_handle)?;
        Ok(reply)
    }
}

/// The policy of an object that opens only while the registers hold `pcrs`: part 3, TPM2_PolicyPCR.
pub(super) fn policy_digest(pcrs: &Pcrs) -> [u8; 32] {
    let values: Vec<u8> = pcrs.values().flatten().copied().collect();
    let mut writer = Writer::default();
    writer.raw(&[0; 32]).u32(POLICY_PCR);
    selection(&mut writer, &pcrs.keys().copied().collect::<Vec<_>>());
    writer.raw(&sha256(&values));
    sha256(&writer.0)
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// A TPML_PCR_SELECTION of the SHA-256 bank. Indices are below 24.
fn selection(to: &mut Writer, indices: &[u8]) {
    let mut bitmap = [0u8; 3];
    for index in indices {
        if let Some(byte) = bitmap.get_mut(usize::from(index / 8)) {
            *byte |= 1 << (index % 8);
        }
    }
    to.u32(1).u16(ALG_SHA256).u8(3).raw(&bitmap);
}

fn skip_selection(reader: &mut Reader<'_>) -> Result<(), TpmError> {
    for _ in 0..reader.u32()?.min(16) {
        reader.u16()?;
        let size = reader.take(1)?[0];
        reader.take(usize::from(size))?;
    }
    Ok(())
}
