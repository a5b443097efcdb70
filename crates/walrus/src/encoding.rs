use reed_solomon_simd::ReedSolomonEncoder;

use crate::blob_id::BlobId;
use crate::merkle::{self, Hash};

/// How Walrus codes blobs: RedStuff over Reed-Solomon, called RS2 in its contracts, for a number of shards.
///
/// A blob is laid out row by row as a matrix of symbols, `n - 2f` rows by `n - f` columns where `f = (n - 1) / 3` of `n` shards
/// may fail. Rows are coded to `n` columns and columns to `n` rows. Row *i* and column *n - 1 - i* are the slivers of
/// pair *i*; each sliver has a Merkle root over its symbols, the pairs have one over their roots, and the blob's id is
/// the hash of that, the kind of code and the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    shards: u16,
}

/// Why there is no code for something.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodingError {
    /// Fewer than four shards tolerate no failure, more than 4,096 no network has.
    #[error("{0} shards: a Walrus network has from {MIN_SHARDS} to {MAX_SHARDS}")]
    Shards(u16),
    /// More than fits into symbols of 65,534 bytes.
    #[error("a blob of {length} bytes is larger than what {shards} shards can hold, {most} bytes")]
    TooLarge {
        /// Of the blob, in bytes.
        length: u64,
        /// Of the network.
        shards: u16,
        /// The largest blob, in bytes.
        most: u64,
    },
    /// The coder refused what it was given.
    #[error("Reed-Solomon coding failed")]
    Coder(#[from] reed_solomon_simd::Error),
}

const MIN_SHARDS: u16 = 4;
const MAX_SHARDS: u16 = 4_096;
/// Reed-Solomon symbols have an even size that fits into 16 bits.
const MAX_SYMBOL: u64 = u16::MAX as u64 - 1;
/// `RS2` in the blob's id.
const KIND: u8 = 1;

impl Default for Encoding {
    /// 1,000 shards: mainnet's and testnet's.
    fn default() -> Self {
        Self { shards: 1_000 }
    }
}

impl Encoding {
    /// For a network of so many shards.
    ///
    /// # Errors
    /// [`EncodingError::Shards`] outside of 4 to 4,096.
    pub fn new(shards: u16) -> Result<Self, EncodingError> {
        if !(MIN_SHARDS..=MAX_SHARDS).contains(&shards) {
            return Err(EncodingError::Shards(shards));
        }
        Ok(Self { shards })
    }

    /// The id that Walrus gives to `blob`. Takes about a second for 1,000 shards, whatever the size up to some MiB, and one and a
    /// half times the blob's size of memory besides 32 MiB of hashes.
    ///
    /// # Errors
    /// [`EncodingError::TooLarge`].
    pub fn blob_id(&self, blob: &[u8]) -> Result<BlobId, EncodingError> {
        let symbol = self.symbol_size(blob.len() as u64)?;
        let rows = self.coded_rows(blob, symbol)?;
        let leaves = self.leaves(&rows, symbol)?;
        drop(rows);
        let root = self.root(&leaves);
        Ok(BlobId(merkle::hash(&[&[KIND], &(blob.len() as u64).to_le_bytes(), &root])))
    }

    /// What a blob of `length` bytes takes of Walrus, in bytes over all shards: what is paid for.
    ///
    /// # Errors
    /// [`EncodingError::TooLarge`].
    pub fn encoded_length(&self, length: u64) -> Result<u64, EncodingError> {
        let shards = u64::from(self.shards);
        let slivers = (self.rows() + self.columns()) as u64 * self.symbol_size(length)? as u64;
        let hashes = shards * 64 + 32;
        Ok(shards * (slivers + hashes))
    }

    /// The largest blob, in bytes: 13.6 GiB for 1,000 shards.
    #[must_use]
    pub fn max_length(&self) -> u64 {
        (self.rows() * self.columns()) as u64 * MAX_SYMBOL
    }

    fn faulty(&self) -> usize {
        (usize::from(self.shards) - 1) / 3
    }

    fn rows(&self) -> usize {
        usize::from(self.shards) - 2 * self.faulty()
    }

    fn columns(&self) -> usize {
        usize::from(self.shards) - self.faulty()
    }

    /// Bytes of one symbol; an empty blob counts as one byte.
    fn symbol_size(&self, length: u64) -> Result<usize, EncodingError> {
        if length > self.max_length() {
            return Err(EncodingError::TooLarge { length, shards: self.shards, most: self.max_length() });
        }
        let symbols = (self.rows() * self.columns()) as u64;
        Ok(length.max(1).div_ceil(symbols).next_multiple_of(2) as usize)
    }

    /// The matrix's rows, each coded to as many symbols as there are shards.
    fn coded_rows(&self, blob: &[u8], symbol: usize) -> Result<Vec<u8>, EncodingError> {
        let shards = usize::from(self.shards);
        let mut matrix = vec![0; self.rows() * shards * symbol];
        let mut coder = ReedSolomonEncoder::new(self.columns(), shards - self.columns(), symbol)?;
        // Rows beyond the blob are zeros, and so is their code.
        for (row, data) in matrix.chunks_exact_mut(shards * symbol).zip(blob.chunks(self.columns() * symbol))
        {
            let (source, repair) = row.split_at_mut(self.columns() * symbol);
            source[..data.len()].copy_from_slice(data);
            for shard in source.chunks_exact(symbol) {
                coder.add_original_shard(shard)?;
            }
            for (to, from) in repair.chunks_exact_mut(symbol).zip(coder.encode()?.recovery_iter()) {
                to.copy_from_slice(from);
            }
        }
        Ok(matrix)
    }

    /// The hash of every symbol of the whole matrix, row by row. The lower rows exist for one column at a time only.
    fn leaves(&self, rows: &[u8], symbol: usize) -> Result<Vec<Hash>, EncodingError> {
        let shards = usize::from(self.shards);
        let mut leaves = vec![Hash::default(); shards * shards];
        for (leaf, data) in leaves.iter_mut().zip(rows.chunks_exact(symbol)) {
            *leaf = merkle::leaf(data);
        }
        let mut coder = ReedSolomonEncoder::new(self.rows(), shards - self.rows(), symbol)?;
        for column in 0..shards {
            for row in rows.chunks_exact(shards * symbol) {
                coder.add_original_shard(&row[column * symbol..(column + 1) * symbol])?;
            }
            for (i, data) in coder.encode()?.recovery_iter().enumerate() {
                leaves[(self.rows() + i) * shards + column] = merkle::leaf(data);
            }
        }
        Ok(leaves)
    }

    fn root(&self, leaves: &[Hash]) -> Hash {
        let shards = usize::from(self.shards);
        let mut level = Vec::with_capacity(shards + 1);
        let mut pairs = Vec::with_capacity(shards + 1);
        for pair in 0..shards {
            level.clear();
            level.extend_from_slice(&leaves[pair * shards..(pair + 1) * shards]);
            let primary = merkle::root(&mut level);
            level.clear();
            level.extend((0..shards).map(|row| leaves[row * shards + shards - 1 - pair]));
            let secondary = merkle::root(&mut level);
            pairs.push(merkle::leaf(&[primary, secondary].concat()));
        }
        merkle::root(&mut pairs)
    }
}
