//! Reads primitive encodings of the binary format.

/// Why bytes are no module.
pub(crate) type Malformed = &'static str;

/// Why a module is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// It is malformed.
    Malformed(Malformed),
    /// It has an instruction with this opcode, which the interpreter does not have.
    Opcode(u8),
}

impl From<Malformed> for Rejected {
    fn from(problem: Malformed) -> Self {
        Self::Malformed(problem)
    }
}

/// A position in bytes.
#[derive(Clone)]
pub(crate) struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'b [u8], Malformed> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or("it ends too early")?;
        self.rest = tail;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, tail) = self.rest.split_first_chunk().ok_or("it ends too early")?;
        self.rest = tail;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A ULEB128 number of at most 32 bits, in its shortest form.
    pub(crate) fn uleb(&mut self) -> Result<u32, Malformed> {
        let mut value = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if shift > 0 && byte == 0 {
                    return Err("a number is not in its shortest form");
                }
                return u32::try_from(value).map_err(|_| "a number is too large");
            }
        }
        Err("a number is too large")
    }

    /// An index into a table, or a count that is limited to 16 bits.
    pub(crate) fn index(&mut self) -> Result<u16, Malformed> {
        u16::try_from(self.uleb()?).map_err(|_| "an index is too large")
    }

    /// A count or index that is limited to 8 bits.
    pub(crate) fn small(&mut self) -> Result<u8, Malformed> {
        u8::try_from(self.uleb()?).map_err(|_| "a count is too large")
    }
}
