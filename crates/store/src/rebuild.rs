//! Making a store from records that were kept elsewhere.

use std::io::{BufWriter, Write};

use crate::disk::DiskStream;
use crate::log::{Directory, Identity};
use crate::mvcc::{Image, Record};
use crate::seal::{Keyring, Kind, Position, SnapshotSealer};
use crate::{Config, StoreError};

/// Makes a new store in `config.data_dir`, which must not hold one, from an image and its records: all versions of a key
/// together and in their order, keys in order. It gets an identity of its own.
///
/// # Errors
/// The directory holds a store or cannot be written, or `records` ends with an error. What was begun is removed then.
pub fn rebuild<E>(
    config: &Config,
    image: &Image,
    records: impl IntoIterator<Item = Result<Record, E>>,
) -> Result<(), E>
where
    E: From<StoreError>,
{
    let keyring = Keyring::new(config.key.clone()).with_older(config.older_keys.iter().cloned());
    let directory = Directory::open(config.disk.clone(), &config.data_dir)?;
    let listing = directory.list()?;
    if !listing.segments.is_empty() || !listing.snapshots.is_empty() {
        return Err(StoreError::NotEmpty(config.data_dir.clone()).into());
    }
    let start = Position { sequence: image.applied.max(1), ..Position::default() };
    let identity = Identity::new(rand::random(), false, keyring.clone(), 0);
    let target = directory.snapshot(start.sequence);
    let (file, temporary) = directory.create_temporary(&target)?;
    let header = identity.header(Kind::Snapshot, start.sequence, start);
    let out = BufWriter::with_capacity(1 << 20, DiskStream::new(file));
    let outcome = (|| {
        let written = |error| StoreError::io("write", &temporary)(error);
        let mut sealer = SnapshotSealer::new(&header, &keyring, out, image).map_err(written)?;
        for record in records {
            sealer.record(&record?).map_err(written)?;
        }
        let sealed = sealer.finish().and_then(|mut out| {
            out.flush()?;
            out.get_ref().file().sync()
        });
        sealed.map_err(written)?;
        directory.publish(&temporary, &target)?;
        Ok(())
    })();
    if outcome.is_err() {
        directory.remove(&temporary)?;
    }
    outcome
}
