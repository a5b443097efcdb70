//! A piece: a header, then chunks of `length:u32 ‖ ciphertext ‖ tag`, each sealed as its number under a key of this piece
//! alone. Chunk 0 is bound to the header; it holds how many chunks follow, so that none can be left out, and in a
//! snapshot's last piece the [`Index`]. The others are length-delimited records. All are compressed by zstd before.

use std::io;
use std::mem::take;

use bytes::{Buf, Bytes};
use prost::Message;
use ring::aead::{Aad, LessSafeKey, Nonce};
use store::Pace;
use store::mvcc::{Record, RecordWire};
use zstd::stream::raw::{Encoder, InBuffer, Operation as _, OutBuffer};

use super::{ColdError, ColdKeys, Index};

const MAGIC: [u8; 8] = *b"K3DCOLD\n";
const FORMAT: u32 = 1;
/// Magic, format, kind, salt, key check.
const HEADER_BYTES: usize = 8 + 4 + 4 + 32 + 16;
const TAG_BYTES: usize = 16;
/// A chunk is closed when it has this many bytes before compression.
const CHUNK_BYTES: usize = 1 << 20;
/// No chunk is longer before compression: one record more than [`CHUNK_BYTES`], or an index.
const MAX_CHUNK_BYTES: usize = 64 << 20;
/// Compressed at a stretch: a block of zstd.
const STEP_BYTES: usize = 128 << 10;
/// zstd's default is 3; 1 is as small on Kubernetes objects within a few percent, and twice as fast.
const LEVEL: i32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Part = 0,
    End = 1,
}

/// Writes a piece in memory, at a pace that leaves the processor to others. Chunk 0 is sealed last, when the index is known, and
/// exactly once.
pub(super) struct PieceWriter {
    header: [u8; HEADER_BYTES],
    key: LessSafeKey,
    /// The header's place, and chunks from 1 on.
    sealed: Vec<u8>,
    number: u64,
    chunk: Vec<u8>,
    encoder: Encoder<'static>,
    pace: Pace,
}

/// Memory for pieces that are closed at `bytes`, so that they are not copied while they grow; for none beyond 256 MiB. It is more
/// than the 32 MiB up to which glibc keeps memory for later, and what is not written to is not taken.
pub(super) fn piece_memory(bytes: usize) -> Vec<u8> {
    Vec::with_capacity(bytes.clamp(32 << 20, 256 << 20) + 4 * CHUNK_BYTES)
}

impl PieceWriter {
    /// Begins a piece in `buffer`, of which only the memory is used.
    pub(super) fn new(keys: &ColdKeys, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.resize(HEADER_BYTES, 0);
        let salt: [u8; 32] = rand::random();
        let (key, check) = keys.sealing(&salt);
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        header[16..48].copy_from_slice(&salt);
        header[48..].copy_from_slice(&check);
        let encoder = Encoder::new(LEVEL).expect("zstd knows its levels");
        Self { header, key, sealed: buffer, number: 1, chunk: Vec::new(), encoder, pace: Pace::default() }
    }

    /// Bytes so far, about.
    pub(super) fn bytes(&self) -> usize {
        self.sealed.len() + self.chunk.len()
    }

    pub(super) fn record(&mut self, record: &Record) {
        RecordWire::from(record).encode_length_delimited(&mut self.chunk).expect("a vector grows");
        self.pace.step();
        if self.chunk.len() >= CHUNK_BYTES {
            self.flush();
        }
    }

    /// The piece, as a snapshot's last with its index.
    pub(super) fn finish(mut self, index: Option<&Index>) -> Vec<u8> {
        let kind = if index.is_some() { Kind::End } else { Kind::Part };
        self.header[12..16].copy_from_slice(&(kind as u32).to_le_bytes());
        if !self.chunk.is_empty() {
            self.flush();
        }
        let last = self.number - 1;
        let index = index.map(Message::encode_to_vec).unwrap_or_default();
        let (mut first, header) = (Vec::new(), self.header);
        self.seal(&[&last.to_le_bytes()[..], &index].concat(), 0, &header, &mut first);
        self.sealed[..HEADER_BYTES].copy_from_slice(&header);
        // Moved within its memory: a piece is not there twice.
        self.sealed.splice(HEADER_BYTES..HEADER_BYTES, first);
        self.sealed
    }

    fn flush(&mut self) {
        let (mut chunk, mut sealed) = (take(&mut self.chunk), take(&mut self.sealed));
        self.seal(&chunk, self.number, &[], &mut sealed);
        chunk.clear();
        (self.chunk, self.sealed) = (chunk, sealed);
        self.number += 1;
    }

    /// Appends a chunk to `out`.
    fn seal(&mut self, plain: &[u8], number: u64, bound: &[u8], out: &mut Vec<u8>) {
        let begin = out.len() + 4;
        out.extend_from_slice(&[0; 4]);
        self.compress(plain, out).expect("memory is compressed into memory");
        let length = ((out.len() - begin) as u32).to_le_bytes();
        out[begin - 4..begin].copy_from_slice(&length);
        let bound = Aad::from([&length[..], bound].concat());
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce(number), bound, &mut out[begin..])
            .expect("a chunk is far below the limit of AES-GCM");
        out.extend_from_slice(tag.as_ref());
        self.pace.step();
    }

    /// Appends one frame that says how long it is without compression.
    fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let full = |out: &OutBuffer<'_, Vec<u8>>| match out.pos() < out.capacity() {
            true => Ok(()),
            false => Err(io::Error::other("zstd went beyond its bound")),
        };
        out.reserve(zstd::zstd_safe::compress_bound(plain.len()) + 1);
        let end = out.len();
        let mut out = OutBuffer::around_pos(out, end);
        self.encoder.reinit()?;
        self.encoder.set_pledged_src_size(Some(plain.len() as u64))?;
        for part in plain.chunks(STEP_BYTES) {
            let mut part = InBuffer::around(part);
            while part.pos() < part.src.len() {
                self.encoder.run(&mut part, &mut out)?;
                full(&out)?;
            }
            self.pace.step();
        }
        while self.encoder.finish(&mut out, true)? > 0 {
            full(&out)?;
        }
        Ok(())
    }
}

/// Reads a piece whose index and whose records are these bytes, under a good seal; for the fuzzer.
pub(crate) fn read_text(index: &[u8], records: &[u8]) {
    let keys = ColdKeys::new(tee::SealingKey::from_bytes([5; 32]));
    let mut writer = PieceWriter::new(&keys, Vec::new());
    writer.header[12..16].copy_from_slice(&(Kind::End as u32).to_le_bytes());
    let header = writer.header;
    let mut bytes = header.to_vec();
    writer.seal(index, 0, &header, &mut bytes);
    writer.seal(records, 1, &[], &mut bytes);
    read_bytes(&bytes, &keys);
}

/// Reads bytes as a piece; for the fuzzer.
pub(crate) fn read_bytes(bytes: &[u8], keys: &ColdKeys) {
    let Ok((_, mut reader)) = PieceReader::open("fuzzed", Bytes::copy_from_slice(bytes), keys) else {
        return;
    };
    while let Ok(Some(_)) = reader.record() {}
}

/// Reads a piece chunk by chunk.
pub(super) struct PieceReader {
    name: String,
    key: LessSafeKey,
    bytes: Bytes,
    offset: u64,
    /// Chunks that were read, and how many there are.
    number: u64,
    last: u64,
    chunk: Bytes,
}

impl PieceReader {
    /// Reads the header and the index, if it is a snapshot's last piece.
    pub(super) fn open(
        name: &str,
        mut bytes: Bytes,
        keys: &ColdKeys,
    ) -> Result<(Option<Index>, Self), ColdError> {
        if bytes.len() < HEADER_BYTES || bytes[..8] != MAGIC {
            return Err(ColdError::NotAPiece(name.to_owned()));
        }
        let header = bytes.split_to(HEADER_BYTES);
        let word =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if word(8) > FORMAT {
            return Err(ColdError::Newer { name: name.to_owned(), found: word(8), known: FORMAT });
        }
        let mut salt = [0; 32];
        salt.copy_from_slice(&header[16..48]);
        let key = keys.opening(&salt, &header[48..]).ok_or_else(|| ColdError::WrongKey(name.to_owned()))?;
        let name = name.to_owned();
        let mut reader =
            Self { name, key, bytes, offset: HEADER_BYTES as u64, number: 0, last: 0, chunk: Bytes::new() };
        let mut first = reader.next_chunk(&header)?;
        reader.last = first.try_get_u64_le().map_err(|_| reader.tampered())?;
        let index = match word(12) {
            0 if first.is_empty() => None,
            1 => Some(Index::decode(first).map_err(|_| reader.tampered())?),
            _ => return Err(reader.tampered()),
        };
        Ok((index, reader))
    }

    /// The next record; `None` at the end.
    pub(super) fn record(&mut self) -> Result<Option<Record>, ColdError> {
        while self.chunk.is_empty() {
            if self.number > self.last {
                return if self.bytes.is_empty() { Ok(None) } else { Err(self.tampered()) };
            }
            self.chunk = self.next_chunk(&[])?;
        }
        let wire = RecordWire::decode_length_delimited(&mut self.chunk).map_err(|_| self.tampered())?;
        Ok(Some(wire.into()))
    }

    fn next_chunk(&mut self, bound: &[u8]) -> Result<Bytes, ColdError> {
        let said = self.bytes.try_get_u32_le().map_err(|_| self.tampered())?;
        let length = said as usize;
        if length.saturating_add(TAG_BYTES) > self.bytes.len() {
            return Err(self.tampered());
        }
        let mut sealed = self.bytes.split_to(length + TAG_BYTES).to_vec();
        let bound = Aad::from([&said.to_le_bytes()[..], bound].concat());
        let opened = self.key.open_in_place(nonce(self.number), bound, &mut sealed);
        let plain = match opened {
            Ok(text) => zstd::bulk::decompress(text, plain_bytes(text)).map_err(|_| self.tampered())?,
            Err(_) => return Err(self.tampered()),
        };
        self.offset += (4 + length + TAG_BYTES) as u64;
        self.number += 1;
        Ok(plain.into())
    }

    fn tampered(&self) -> ColdError {
        ColdError::Tampered { name: self.name.clone(), offset: self.offset }
    }
}

/// What a chunk has before compression: what its own header says, within bounds.
fn plain_bytes(text: &[u8]) -> usize {
    let said = zstd::zstd_safe::get_frame_content_size(text).ok().flatten().unwrap_or(0);
    usize::try_from(said).unwrap_or(usize::MAX).min(MAX_CHUNK_BYTES)
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}
