//! Frames: what one group commit writes.
//!
//! `length:u32 ‖ sequence:u64 ‖ tag of the frame before:16 ‖ ciphertext ‖ tag:16`, little endian; the first 28
//! bytes are associated data. Each frame is authentic alone under its segment's key, and its clear sequence number
//! and back link say where it belongs. That is what tells a changed frame from a moved one, and both from a frame
//! that a power cut left half written, behind which nothing can follow.

use ring::aead::{Aad, LessSafeKey};

use super::keyring::nonce;
use super::{Position, TAG_BYTES};

const FRAME_HEADER_BYTES: usize = 4 + 8 + TAG_BYTES;
/// No frame is longer; a length above is damage.
pub(crate) const MAX_FRAME_BYTES: usize = 64 << 20;

/// Seals the frames of one segment.
pub(crate) struct FrameSealer {
    key: LessSafeKey,
    position: Position,
}

impl FrameSealer {
    pub(crate) fn new(key: LessSafeKey, start: Position) -> Self {
        Self { key, position: start }
    }

    /// The position after all frames sealed so far.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Begins a frame in an empty buffer; the caller appends the plaintext behind it.
    pub(crate) fn begin(buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.resize(FRAME_HEADER_BYTES, 0);
    }

    /// Seals what was appended since [`FrameSealer::begin`]: afterwards the buffer is the frame.
    pub(crate) fn finish(&mut self, buffer: &mut Vec<u8>) {
        let sequence = self.position.sequence + 1;
        let (header, text) = buffer.split_at_mut(FRAME_HEADER_BYTES);
        let length = u32::try_from(text.len()).expect("a batch is bounded well below 4 GiB");
        header[..4].copy_from_slice(&length.to_le_bytes());
        header[4..12].copy_from_slice(&sequence.to_le_bytes());
        header[12..].copy_from_slice(&self.position.tag);
        let sealed = self.key.seal_in_place_separate_tag(nonce(sequence), Aad::from(&*header), text);
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(sealed.expect("a batch is bounded well below AES-GCM's limit").as_ref());
        buffer.extend_from_slice(&tag);
        self.position = self.position.next(tag);
    }
}

/// What [`FrameReader::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The opened text of the next frame.
    Frame(Vec<u8>),
    /// Nothing but zeros, or nothing, follows.
    End,
    /// What stands at this byte is not the next frame.
    Broken(usize, Reason),
}

/// Why a frame was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Not authentic, and nothing authentic follows: half written, or the end was changed.
    Torn,
    /// Not authentic though authentic frames follow, or linked to a different past.
    Changed,
    /// Authentic, but it belongs elsewhere, and the right one is elsewhere too or was there before.
    Reordered(u64),
    /// Authentic, and those before it are missing.
    Gap(u64),
}

/// Reads the frames of one segment.
pub(crate) struct FrameReader {
    key: LessSafeKey,
    position: Position,
    offset: usize,
}

impl FrameReader {
    /// Frames begin at `offset` of the buffer.
    pub(crate) fn new(key: LessSafeKey, start: Position, offset: usize) -> Self {
        Self { key, position: start, offset }
    }

    /// The position after all frames read so far.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Where the next frame would begin.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// Opens the next frame.
    pub(crate) fn next(&mut self, buffer: &[u8]) -> Next {
        let rest = buffer.get(self.offset..).unwrap_or_default();
        if rest.iter().all(|byte| *byte == 0) {
            return Next::End;
        }
        let expected = self.position.sequence + 1;
        let opened = Frame::parse(rest).and_then(|frame| self.open(rest, &frame).map(|text| (frame, text)));
        let Some((frame, text)) = opened else { return self.broken(rest, expected) };
        if frame.sequence != expected {
            let missing =
                frame.sequence > expected && self.search(&rest[frame.bytes..], expected, expected).is_none();
            let reason =
                if missing { Reason::Gap(frame.sequence) } else { Reason::Reordered(frame.sequence) };
            return Next::Broken(self.offset, reason);
        }
        if frame.previous != self.position.tag {
            return Next::Broken(self.offset, Reason::Changed);
        }
        self.position = self.position.next(frame.tag(rest));
        self.offset += frame.bytes;
        Next::Frame(text)
    }

    /// Only the last frame can be half written: each is synced before the next begins. So an authentic frame behind a
    /// broken one proves that the broken one was whole.
    fn broken(&self, rest: &[u8], expected: u64) -> Next {
        // Frames are at least as long as their overhead, which bounds how far the number can have got.
        let last = expected + (rest.len() / (FRAME_HEADER_BYTES + TAG_BYTES)) as u64;
        let reason = match self.search(&rest[1..], expected, last) {
            Some(_) => Reason::Changed,
            None => Reason::Torn,
        };
        Next::Broken(self.offset, reason)
    }

    /// Looks for an authentic frame with a number in the given range, at any byte.
    fn search(&self, bytes: &[u8], first: u64, last: u64) -> Option<u64> {
        (0..bytes.len().saturating_sub(FRAME_HEADER_BYTES + TAG_BYTES)).find_map(|offset| {
            let rest = &bytes[offset..];
            let frame = Frame::parse(rest)?;
            let plausible = (first..=last).contains(&frame.sequence);
            (plausible && self.open(rest, &frame).is_some()).then_some(frame.sequence)
        })
    }

    fn open(&self, bytes: &[u8], frame: &Frame) -> Option<Vec<u8>> {
        let (head, sealed) = bytes[..frame.bytes].split_at(FRAME_HEADER_BYTES);
        let mut text = sealed.to_vec();
        self.key.open_in_place(nonce(frame.sequence), Aad::from(head), &mut text).ok()?;
        text.truncate(sealed.len() - TAG_BYTES);
        Some(text)
    }
}

/// The clear part of a frame.
struct Frame {
    sequence: u64,
    previous: [u8; TAG_BYTES],
    /// Of the whole frame.
    bytes: usize,
}

impl Frame {
    fn tag(&self, bytes: &[u8]) -> [u8; TAG_BYTES] {
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&bytes[self.bytes - TAG_BYTES..self.bytes]);
        tag
    }

    /// Reads the clear part, if the whole frame can be in `bytes`.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let (previous, _) = rest.split_first_chunk::<TAG_BYTES>()?;
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_FRAME_BYTES {
            return None;
        }
        let total = FRAME_HEADER_BYTES + length + TAG_BYTES;
        (total <= bytes.len()).then_some(Self {
            sequence: u64::from_le_bytes(*sequence),
            previous: *previous,
            bytes: total,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::aead::{AES_256_GCM, UnboundKey};

    use super::*;

    fn key() -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[9; 32]).unwrap())
    }

    fn seal(texts: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut sealer = FrameSealer::new(key(), Position::default());
        let seal = |text: &&[u8]| {
            let mut buffer = Vec::new();
            FrameSealer::begin(&mut buffer);
            buffer.extend_from_slice(text);
            sealer.finish(&mut buffer);
            buffer
        };
        texts.iter().map(seal).collect()
    }

    #[test]
    fn a_frame_of_another_past_is_refused() {
        let (ours, theirs) = (seal(&[b"one", b"two"]), seal(&[b"uno", b"two"]));
        let mixed = [ours[0].clone(), theirs[1].clone()].concat();
        let mut reader = FrameReader::new(key(), Position::default(), 0);
        assert_eq!(reader.next(&mixed), Next::Frame(b"one".to_vec()));
        assert_eq!(reader.next(&mixed), Next::Broken(ours[0].len(), Reason::Changed));
    }

    proptest! {
        #[test]
        fn what_was_sealed_is_read_back(texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..100), 0..8), reserved in 0..100usize) {
            let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
            let mut bytes = seal(&texts).concat();
            bytes.resize(bytes.len() + reserved, 0);
            let mut reader = FrameReader::new(key(), Position::default(), 0);
            for text in texts {
                prop_assert_eq!(reader.next(&bytes), Next::Frame(text.to_vec()));
            }
            prop_assert_eq!(reader.next(&bytes), Next::End);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), offset in 0..400usize) {
            let mut reader = FrameReader::new(key(), Position::default(), offset);
            let outcome = reader.next(&bytes);
            prop_assert!(matches!(outcome, Next::End | Next::Broken(..)), "{:?}", outcome);
        }
    }
}
