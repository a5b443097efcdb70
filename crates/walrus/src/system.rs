use crate::price::Price;

/// What Walrus's system object on Sui says of the present epoch: `walrus::system::System` and, in a dynamic field of it,
/// `walrus::system_state_inner::SystemStateInnerV1`, both in BCS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct System {
    /// Walrus's epoch.
    pub epoch: u32,
    /// The network's shards.
    pub shards: u16,
    /// What storing costs until the epoch ends.
    pub price: Price,
}

/// Why bytes are no such object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no system object of Walrus: its content ends in its {0}")]
pub struct SystemError(&'static str);

const ID: usize = 32;

impl System {
    /// The version of `System { id, version, … }`, which names the dynamic field with everything else.
    ///
    /// # Errors
    /// The bytes are too few.
    pub fn version(object: &[u8]) -> Result<u64, SystemError> {
        let mut reader = Reader(object);
        reader.skip(ID, "id")?;
        reader.u64("version")
    }

    /// Reads `Field<u64, SystemStateInnerV1>` up to the prices; what follows them is passed over.
    ///
    /// # Errors
    /// The bytes are too few for what they announce.
    pub fn from_field(field: &[u8]) -> Result<Self, SystemError> {
        let mut reader = Reader(field);
        reader.skip(ID, "id")?;
        reader.u64("version")?;
        for _ in 0..reader.length("committee")? {
            let key = reader.length("members")?;
            reader.skip(key, "members")?;
            reader.u16("members")?;
            reader.skip(ID, "members")?;
        }
        let shards = reader.u16("shards")?;
        let epoch = reader.u32("epoch")?;
        let key = reader.length("key")?;
        reader.skip(key, "key")?;
        reader.u64("capacity")?;
        reader.u64("used capacity")?;
        let (storage, write) = (reader.u64("price of storage")?, reader.u64("price of writing")?);
        Ok(Self { epoch, shards, price: Price { storage, write } })
    }
}

/// BCS, as far as it is needed. Lengths are read and passed over, never believed: nothing is allocated.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], SystemError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(SystemError(what))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn skip(&mut self, bytes: usize, what: &'static str) -> Result<(), SystemError> {
        self.0 = self.0.get(bytes..).ok_or(SystemError(what))?;
        Ok(())
    }

    fn u16(&mut self, what: &'static str) -> Result<u16, SystemError> {
        self.take(what).map(u16::from_le_bytes)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, SystemError> {
        self.take(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &'static str) -> Result<u64, SystemError> {
        self.take(what).map(u64::from_le_bytes)
    }

    /// ULEB128, of at most five bytes.
    fn length(&mut self, what: &'static str) -> Result<usize, SystemError> {
        let mut length = 0;
        for place in 0..5 {
            let [byte] = self.take(what)?;
            length |= usize::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Ok(length);
            }
        }
        Err(SystemError(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Field<u64, SystemStateInnerV1>` as the TypeScript SDK of Walrus (`@mysten/walrus`) writes it: tests/oracle/system.mjs.
    const FIELD: &str = include_str!("../tests/oracle/system.txt");

    #[test]
    fn what_walruss_own_sdk_writes_is_read() {
        let bytes = hex::decode(FIELD.trim()).unwrap();
        let system = System::from_field(&bytes).unwrap();
        let price = Price { storage: 11_000, write: 20_000 };
        assert_eq!(system, System { epoch: 42, shards: 1_000, price });
        assert_eq!(System::version(&bytes), Ok(4), "id and version come first there too");
        // Every cut is told, until the prices are there.
        let enough = (0..bytes.len()).find(|&cut| System::from_field(&bytes[..cut]).is_ok()).unwrap();
        assert!(enough < bytes.len(), "what follows is passed over");
        assert_eq!(
            System::from_field(&bytes[..enough - 1]).unwrap_err().to_string(),
            "is no system object of Walrus: its content ends in its price of writing"
        );
        assert!(System::from_field(&[0xff; 100]).is_err(), "a length that never ends");
    }
}
