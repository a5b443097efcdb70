//! Snapshots: a header, then chunks of `length:u32 ‖ ciphertext ‖ tag`; the top bit of the length marks the last
//! one, and length and index are associated data, so that no chunk can be cut, moved or left out.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use prost::Message;
use ring::aead::{Aad, LessSafeKey};

use super::keyring::nonce;
use super::{HEADER_BYTES, Header, HeaderError, Keyring, TAG_BYTES};
use crate::mvcc::{Image, Record, RecordWire};

/// A chunk is closed when it has this many bytes.
const CHUNK_BYTES: usize = 1 << 20;
/// No chunk is longer; a length above is damage.
const MAX_CHUNK_BYTES: usize = 64 << 20;
const LAST: u32 = 1 << 31;

/// Writes a snapshot.
pub(crate) struct SnapshotSealer<W> {
    key: LessSafeKey,
    out: W,
    index: u64,
    chunk: Vec<u8>,
}

impl<W: Write> SnapshotSealer<W> {
    pub(crate) fn new(header: &Header, keyring: &Keyring, mut out: W, image: &Image) -> io::Result<Self> {
        out.write_all(&header.seal(keyring))?;
        let mut sealer = Self { key: keyring.file_key(header), out, index: 0, chunk: Vec::new() };
        sealer.message(image)?;
        Ok(sealer)
    }

    pub(crate) fn record(&mut self, record: &Record) -> io::Result<()> {
        self.message(&RecordWire::from(record))
    }

    /// Ends the snapshot.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.flush(LAST)?;
        Ok(self.out)
    }

    fn message(&mut self, message: &impl Message) -> io::Result<()> {
        message.encode_length_delimited(&mut self.chunk).map_err(io::Error::other)?;
        if self.chunk.len() >= CHUNK_BYTES { self.flush(0) } else { Ok(()) }
    }

    fn flush(&mut self, last: u32) -> io::Result<()> {
        let length = u32::try_from(self.chunk.len()).map_err(io::Error::other)? | last;
        let aad = associated(length, self.index);
        self.key
            .seal_in_place_append_tag(nonce(self.index), Aad::from(aad), &mut self.chunk)
            .map_err(|_| io::Error::other("a chunk is too long to be sealed"))?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&self.chunk)?;
        self.chunk.clear();
        self.index += 1;
        Ok(())
    }
}

/// A snapshot of one chunk with any text, for the fuzzer.
pub(crate) fn seal_snapshot_text(header: &Header, keyring: &Keyring, text: &[u8]) -> Vec<u8> {
    let (key, out) = (keyring.file_key(header), header.seal(keyring));
    let mut sealer = SnapshotSealer { key, out, index: 0, chunk: text.to_vec() };
    sealer.flush(LAST).expect("a vector grows, and the fuzzer's texts are short");
    sealer.out
}

/// Why a snapshot cannot be read.
#[derive(Debug)]
pub(crate) enum SnapshotReadError {
    Io(io::Error),
    Header(HeaderError),
    /// Not what was written, at about this byte.
    Tampered(u64),
}

/// Reads a snapshot chunk by chunk.
pub(crate) struct SnapshotReader<R> {
    key: LessSafeKey,
    input: R,
    index: u64,
    offset: u64,
    chunk: Bytes,
    last: bool,
}

impl<R: Read> SnapshotReader<R> {
    /// Reads header and image.
    pub(crate) fn open(mut input: R, keyring: &Keyring) -> Result<(Header, Image, Self), SnapshotReadError> {
        let mut bytes = [0; HEADER_BYTES];
        read(&mut input, &mut bytes, 0)?;
        let header = Header::open(&bytes, keyring).map_err(SnapshotReadError::Header)?;
        let key = keyring.file_key(&header);
        let mut reader =
            Self { key, input, index: 0, offset: HEADER_BYTES as u64, chunk: Bytes::new(), last: false };
        let image = reader.message::<Image>()?.ok_or(SnapshotReadError::Tampered(reader.offset))?;
        Ok((header, image, reader))
    }

    /// The next record; `None` at the end.
    pub(crate) fn record(&mut self) -> Result<Option<Record>, SnapshotReadError> {
        let wire = self.message::<RecordWire>()?;
        Ok(wire.map(Record::from))
    }

    fn message<M: Message + Default>(&mut self) -> Result<Option<M>, SnapshotReadError> {
        while self.chunk.is_empty() {
            if self.last {
                return Ok(None);
            }
            self.next_chunk()?;
        }
        M::decode_length_delimited(&mut self.chunk)
            .map(Some)
            .map_err(|_| SnapshotReadError::Tampered(self.offset))
    }

    fn next_chunk(&mut self) -> Result<(), SnapshotReadError> {
        let mut length = [0; 4];
        read(&mut self.input, &mut length, self.offset)?;
        let marked = u32::from_le_bytes(length);
        let bytes = (marked & !LAST) as usize;
        if bytes > MAX_CHUNK_BYTES {
            return Err(SnapshotReadError::Tampered(self.offset));
        }
        let mut sealed = vec![0; bytes + TAG_BYTES];
        read(&mut self.input, &mut sealed, self.offset)?;
        let aad = associated(marked, self.index);
        self.key
            .open_in_place(nonce(self.index), Aad::from(aad), &mut sealed)
            .map_err(|_| SnapshotReadError::Tampered(self.offset))?;
        sealed.truncate(bytes);
        self.offset += (4 + bytes + TAG_BYTES) as u64;
        self.index += 1;
        self.last = marked & LAST != 0;
        self.chunk = Bytes::from(sealed);
        debug_assert!(self.chunk.has_remaining() || self.last);
        Ok(())
    }
}

/// A file that ends early is damaged, not absent.
fn read(input: &mut impl Read, bytes: &mut [u8], offset: u64) -> Result<(), SnapshotReadError> {
    input.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => SnapshotReadError::Tampered(offset),
        _ => SnapshotReadError::Io(error),
    })
}

fn associated(length: u32, index: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4..].copy_from_slice(&index.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Kind, Position};
    use super::*;

    fn keyring() -> Keyring {
        Keyring::new(tee::SealingKey::from_bytes([1; 32]))
    }

    fn sealed(records: &[Record]) -> Vec<u8> {
        let start = Position { sequence: 9, ..Position::default() };
        let header = Header {
            kind: Kind::Snapshot,
            anchored: false,
            key_epoch: 0,
            store_id: [1; 16],
            salt: [2; 32],
            number: 9,
            start,
            root: 0,
        };
        let mut sealer = SnapshotSealer::new(&header, &keyring(), Vec::new(), &Image::default()).unwrap();
        records.iter().for_each(|record| sealer.record(record).unwrap());
        sealer.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Vec<Record>, SnapshotReadError> {
        let (_, _, mut reader) = SnapshotReader::open(bytes, &keyring())?;
        let mut records = Vec::new();
        while let Some(record) = reader.record()? {
            records.push(record);
        }
        Ok(records)
    }

    fn record(number: i64, bytes: usize) -> Record {
        Record {
            key: number.to_string().into(),
            value: vec![b'v'; bytes].into(),
            create_revision: number,
            mod_revision: number,
            sub: 1,
            version: 2,
            lease: 3,
        }
    }

    #[test]
    fn chunks_cannot_be_left_out_moved_or_cut() {
        let records: Vec<Record> = (1..6).map(|number| record(number, CHUNK_BYTES)).collect();
        let bytes = sealed(&records);
        assert_eq!(read(&bytes).unwrap(), records);
        let chunk = |index: usize| {
            let mut start = HEADER_BYTES;
            for _ in 0..index {
                let length = u32::from_le_bytes(bytes[start..start + 4].try_into().unwrap()) & !LAST;
                start += 4 + length as usize + TAG_BYTES;
            }
            start
        };
        let (second, third, fourth) = (chunk(1), chunk(2), chunk(3));
        let left_out = [&bytes[..second], &bytes[third..]].concat();
        let moved =
            [&bytes[..second], &bytes[third..fourth], &bytes[second..third], &bytes[fourth..]].concat();
        let cut = bytes[..fourth].to_vec();
        for damaged in [left_out, moved, cut] {
            assert!(matches!(read(&damaged), Err(SnapshotReadError::Tampered(_))));
        }
    }

    proptest! {
        #[test]
        fn reads_back_what_it_sealed(sizes in proptest::collection::vec(0..5000usize, 0..20)) {
            let records: Vec<Record> = sizes.iter().enumerate().map(|(i, size)| record(i as i64, *size)).collect();
            prop_assert_eq!(read(&sealed(&records)).unwrap(), records);
        }

        #[test]
        fn any_bytes_behind_a_good_header_are_refused(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = sealed(&[])[..HEADER_BYTES].to_vec();
            bytes.extend_from_slice(&tail);
            prop_assert!(matches!(read(&bytes), Err(SnapshotReadError::Tampered(_))));
        }
    }
}
