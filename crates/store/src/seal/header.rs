use ring::aead::Aad;
use ring::digest::{SHA256, digest};

use super::keyring::{HEADER_NONCE, Keyring, nonce};
use super::{Position, TAG_BYTES};

const MAGIC: &[u8; 8] = b"K3SDAAS\0";
/// The newest format of files; older ones are read too.
pub(crate) const FORMAT: u16 = 1;
const FIELDS_BYTES: usize = 8 + 2 + 1 + 1 + 4 + 16 + 32 + 8 + 8 + TAG_BYTES + 32 + 16;
const CHECKSUM_BYTES: usize = 8;
/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = FIELDS_BYTES + CHECKSUM_BYTES + TAG_BYTES;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Part of the log.
    Segment = 1,
    /// The whole state.
    Snapshot = 2,
}

/// The beginning of every file; not secret, but authentic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// Whether the store had an anchor when the file was made.
    pub(crate) anchored: bool,
    /// Generation of the keys; 0 until they are rotated.
    pub(crate) key_epoch: u32,
    pub(crate) store_id: [u8; 16],
    /// Random, so that the key of this file is its own.
    pub(crate) salt: [u8; 32],
    /// Number of the segment; sequence number of the snapshot.
    pub(crate) number: u64,
    /// Where in the log the file begins.
    pub(crate) start: Position,
    /// Which root of the keyring the file is sealed under; not written.
    pub(crate) root: usize,
}

/// Why a header is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Not what was written, at about this byte.
    Tampered(u64),
    /// Written by a newer version, of this format.
    Format(u16),
    /// Sealed under another root key.
    WrongKey,
}

impl Header {
    /// The bytes of the header.
    pub(crate) fn seal(&self, keyring: &Keyring) -> Vec<u8> {
        let mut bytes = self.fields();
        bytes.extend_from_slice(&keyring.check(self));
        let checksum = digest(&SHA256, &bytes);
        bytes.extend_from_slice(&checksum.as_ref()[..CHECKSUM_BYTES]);
        let tag = keyring
            .file_key(self)
            .seal_in_place_separate_tag(nonce(HEADER_NONCE), Aad::from(&bytes), &mut [])
            .expect("an empty text can be sealed");
        bytes.extend_from_slice(tag.as_ref());
        bytes
    }

    /// Reads a header from the beginning of `bytes`.
    ///
    /// # Errors
    /// The checksum tells damage from a wrong key, the tag tells forgery.
    pub(crate) fn open(bytes: &[u8], keyring: &Keyring) -> Result<Self, HeaderError> {
        let Some(bytes) = bytes.get(..HEADER_BYTES) else {
            return Err(HeaderError::Tampered(bytes.len() as u64));
        };
        let (fields, rest) = bytes.split_at(FIELDS_BYTES);
        let (checksum, tag) = rest.split_at(CHECKSUM_BYTES);
        let mut reader = Reader(fields);
        if reader.take::<8>() != *MAGIC {
            return Err(HeaderError::Tampered(0));
        }
        let format = u16::from_le_bytes(reader.take());
        if digest(&SHA256, fields).as_ref()[..CHECKSUM_BYTES] != *checksum {
            return Err(HeaderError::Tampered(FIELDS_BYTES as u64));
        }
        if format != FORMAT {
            return Err(HeaderError::Format(format));
        }
        let [kind] = reader.take();
        let [flags] = reader.take();
        let mut header = Self {
            kind: match kind {
                1 => Kind::Segment,
                2 => Kind::Snapshot,
                _ => return Err(HeaderError::Tampered(10)),
            },
            anchored: flags & 1 != 0,
            key_epoch: u32::from_le_bytes(reader.take()),
            store_id: reader.take(),
            salt: reader.take(),
            number: u64::from_le_bytes(reader.take()),
            start: Position {
                sequence: u64::from_le_bytes(reader.take()),
                tag: reader.take(),
                chain: reader.take(),
            },
            root: 0,
        };
        header.root = keyring.root_of(&header, reader.take()).ok_or(HeaderError::WrongKey)?;
        let mut tag = tag.to_vec();
        let aad = Aad::from(&bytes[..FIELDS_BYTES + CHECKSUM_BYTES]);
        keyring
            .file_key(&header)
            .open_in_place(nonce(HEADER_NONCE), aad, &mut tag)
            .map_err(|_| HeaderError::Tampered(HEADER_BYTES as u64))?;
        Ok(header)
    }

    /// What makes the keys of this file different from those of all others.
    pub(super) fn key_context(&self) -> Vec<u8> {
        let mut context = Vec::with_capacity(64);
        context.extend_from_slice(&self.key_epoch.to_le_bytes());
        context.extend_from_slice(&self.store_id);
        context.extend_from_slice(&self.salt);
        context.extend_from_slice(&self.number.to_le_bytes());
        context
    }

    fn fields(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.push(self.kind as u8);
        bytes.push(u8::from(self.anchored));
        bytes.extend_from_slice(&self.key_epoch.to_le_bytes());
        bytes.extend_from_slice(&self.store_id);
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.start.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.start.tag);
        bytes.extend_from_slice(&self.start.chain);
        bytes
    }
}

/// Takes fixed parts from fields whose total length was checked.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (part, rest) = self.0.split_at(N);
        self.0 = rest;
        let mut bytes = [0; N];
        bytes.copy_from_slice(part);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keyring(root: u8) -> Keyring {
        Keyring::new(tee::SealingKey::from_bytes([root; 32]))
    }

    fn header() -> Header {
        let start = Position { sequence: 6, tag: [7; 16], chain: [8; 32] };
        Header {
            kind: Kind::Segment,
            anchored: true,
            key_epoch: 3,
            store_id: [1; 16],
            salt: [2; 32],
            number: 5,
            start,
            root: 0,
        }
    }

    #[test]
    fn reads_back_what_it_sealed_and_tells_a_wrong_key_from_damage() {
        let bytes = header().seal(&keyring(1));
        assert_eq!(bytes.len(), HEADER_BYTES);
        assert_eq!(Header::open(&bytes, &keyring(1)), Ok(header()));
        assert_eq!(Header::open(&bytes, &keyring(2)), Err(HeaderError::WrongKey));
        for offset in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[offset] ^= 1;
            assert!(
                matches!(Header::open(&changed, &keyring(1)), Err(HeaderError::Tampered(_))),
                "byte {offset}"
            );
        }
    }

    #[test]
    fn an_older_root_opens_what_it_sealed_and_seals_nothing_new() {
        let root = |byte| tee::SealingKey::from_bytes([byte; 32]);
        let both = Keyring::new(root(2)).with_older([root(1)]);
        let old = header().seal(&keyring(1));
        assert_eq!(Header::open(&old, &both).map(|header| header.root), Ok(1));
        let new = header().seal(&both);
        assert_eq!(Header::open(&new, &keyring(2)), Ok(header()));
        assert_eq!(Header::open(&new, &keyring(1)), Err(HeaderError::WrongKey));
    }

    #[test]
    fn a_forged_checksum_does_not_help() {
        let mut bytes = header().seal(&keyring(1));
        bytes[11] ^= 1;
        let checksum = digest(&SHA256, &bytes[..FIELDS_BYTES]);
        bytes[FIELDS_BYTES..FIELDS_BYTES + CHECKSUM_BYTES]
            .copy_from_slice(&checksum.as_ref()[..CHECKSUM_BYTES]);
        assert_eq!(Header::open(&bytes, &keyring(1)), Err(HeaderError::Tampered(HEADER_BYTES as u64)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Header::open(&bytes, &keyring(1)).is_err());
        }
    }
}
