//! TPM 2.0 commands and responses on the wire: big-endian, sizes before buffers.
//!
//! Trusted Platform Module Library, part 1, section 18 (structure of commands) and part 3 (each command).

use super::TpmError;

/// Tag of a message without an authorization area (TPM_ST_NO_SESSIONS).
const NO_SESSIONS: u16 = 0x8001;
/// Tag of a message with one (TPM_ST_SESSIONS).
const SESSIONS: u16 = 0x8002;
/// Bytes of a message's header: tag, size, code.
pub(super) const HEADER: usize = 10;
/// No message of the commands used here comes near this.
pub(super) const MAX_MESSAGE: usize = 4_096;
/// The session that stands for an empty password (TPM_RS_PW).
pub(super) const PASSWORD: u32 = 0x4000_0009;

/// One command under construction.
pub(super) struct Command {
    code: u32,
    name: &'static str,
    handles: Vec<u32>,
    session: Option<u32>,
    parameters: Writer,
}

impl Command {
    /// `code` is the TPM_CC, `name` what errors call it.
    pub(super) fn new(code: u32, name: &'static str) -> Self {
        Self { code, name, handles: Vec::new(), session: None, parameters: Writer::default() }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn handle(mut self, handle: u32) -> Self {
        self.handles.push(handle);
        self
    }

    /// Authorizes the first handle by `session`: [`PASSWORD`] for an empty one, or a policy session.
    pub(super) fn authorized(mut self, session: u32) -> Self {
        self.session = Some(session);
        self
    }

    pub(super) fn with(mut self, write: impl FnOnce(&mut Writer)) -> Self {
        write(&mut self.parameters);
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut body = Writer::default();
        for handle in &self.handles {
            body.u32(*handle);
        }
        if let Some(session) = self.session {
            // Session handle, empty nonce, continueSession, empty password or HMAC.
            let mut area = Writer::default();
            area.u32(session).sized(&[]).u8(1).sized(&[]);
            body.u32(area.0.len() as u32).raw(&area.0);
        }
        body.raw(&self.parameters.0);
        let mut out = Writer::default();
        out.u16(if self.session.is_some() { SESSIONS } else { NO_SESSIONS });
        out.u32((HEADER + body.0.len()) as u32).u32(self.code).raw(&body.0);
        out.0
    }

    /// Checks the header of `reply` and gives its handle (when `with_handle`) and its parameters.
    pub(super) fn reply<'a>(
        &self,
        reply: &'a [u8],
        with_handle: bool,
    ) -> Result<(u32, Reader<'a>), TpmError> {
        let mut reader = Reader::new(reply, self.name);
        let tag = reader.u16()?;
        let size = reader.u32()?;
        let code = reader.u32()?;
        if size as usize != reply.len() {
            return Err(TpmError::Malformed { command: self.name });
        }
        if code != 0 {
            return Err(TpmError::Refused { command: self.name, code });
        }
        let handle = if with_handle { reader.u32()? } else { 0 };
        if tag == SESSIONS {
            let length = reader.u32()? as usize;
            reader = Reader::new(reader.take(length)?, self.name);
        }
        Ok((handle, reader))
    }
}

/// Appends values as the TPM reads them.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn u8(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    pub(super) fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A TPM2B: two bytes of length, then the bytes.
    pub(super) fn sized(&mut self, bytes: &[u8]) -> &mut Self {
        self.u16(bytes.len() as u16).raw(bytes)
    }

    /// A TPM2B around what `write` writes.
    pub(super) fn within(&mut self, write: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::default();
        write(&mut inner);
        self.sized(&inner.0)
    }
}

/// Reads values, never past the end.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    command: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], command: &'static str) -> Self {
        Self { rest: bytes, command }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], TpmError> {
        let taken = self.rest.get(..count).ok_or(TpmError::Malformed { command: self.command })?;
        self.rest = &self.rest[count..];
        Ok(taken)
    }

    pub(super) fn u16(&mut self) -> Result<u16, TpmError> {
        let mut bytes = [0; 2];
        bytes.copy_from_slice(self.take(2)?);
        Ok(u16::from_be_bytes(bytes))
    }

    pub(super) fn u32(&mut self) -> Result<u32, TpmError> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(u32::from_be_bytes(bytes))
    }

    /// The bytes of a TPM2B.
    pub(super) fn sized(&mut self) -> Result<&'a [u8], TpmError> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// Everything that is left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_laid_out_as_the_specification_says() {
        let command = Command::new(0x17e, "PCR_Read").with(|to| {
            to.u32(1).u16(0x000b).u8(3).raw(&[0, 0x40, 0]);
        });
        assert_eq!(hex::encode(command.bytes()), "8001000000140000017e00000001000b03004000");
        let command = Command::new(0x182, "PCR_Extend").handle(14).authorized(PASSWORD);
        assert_eq!(hex::encode(command.bytes()), "80020000001b000001820000000e00000009400000090000010000");
    }

    #[test]
    fn replies_are_bounded_and_refusals_named() {
        let command = Command::new(0x15e, "Unseal");
        let refused = [0x80, 1, 0, 0, 0, 10, 0, 0, 9, 0x9d];
        assert!(matches!(command.reply(&refused, false), Err(TpmError::Refused { code: 0x99d, .. })));
        let longer_than_it_is = [0x80, 1, 0, 0, 0, 99, 0, 0, 0, 0];
        assert!(matches!(command.reply(&longer_than_it_is, false), Err(TpmError::Malformed { .. })));
        let short_parameters = [0x80, 2, 0, 0, 0, 14, 0, 0, 0, 0, 0, 0, 0, 9];
        assert!(matches!(command.reply(&short_parameters, false), Err(TpmError::Malformed { .. })));
        for length in 0..HEADER {
            assert!(command.reply(&refused[..length], false).is_err());
        }
    }
}
