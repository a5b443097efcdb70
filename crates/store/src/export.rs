//! Snapshots for keeping elsewhere.

use std::io::{self, Read, Write};

use ring::digest::{Context, SHA256};

use crate::StoreError;
use crate::background::{Pace, in_background};
use crate::disk::DiskStream;
use crate::keeper::write_image;
use crate::queue::Cut;
use crate::shared::Shared;

/// etcd's tools expect a snapshot to be whole pages and then its SHA-256.
pub(crate) const PAGE: u64 = 512;

/// Writes the image into an unnamed file: our sealed format, zeros up to a whole page, SHA-256 of all that.
pub(crate) fn export(shared: &Shared, cut: Cut) -> Result<(DiskStream, u64, i64), StoreError> {
    let thread = StoreError::io("begin", shared.directory.path());
    in_background("store-export", || export_here(shared, cut)).map_err(thread)?
}

fn export_here(shared: &Shared, mut cut: Cut) -> Result<(DiskStream, u64, i64), StoreError> {
    let target = shared.directory.path().join(format!("export-{:016x}", rand::random::<u64>()));
    let exported = shared.directory.create_temporary(&target).and_then(|(file, path)| {
        // Without a name it goes away with whoever reads it.
        shared.directory.remove(&path)?;
        let written =
            write_image(shared, file, &cut.image, &mut cut.cursor, cut.position, &|| ()).and_then(finish);
        written.map_err(StoreError::io("write", &path))
    });
    shared.state.write().end_image();
    let (file, bytes) = exported?;
    Ok((file, bytes, cut.image.revision))
}

fn finish(mut stream: DiskStream) -> io::Result<(DiskStream, u64)> {
    let padded = stream.file().len()?.next_multiple_of(PAGE);
    stream.file().set_len(padded)?;
    stream.rewind();
    let mut context = Context::new(&SHA256);
    let (mut buffer, mut pace) = (vec![0; 1 << 17], Pace::default());
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        context.update(&buffer[..read]);
        pace.step();
    }
    let digest = context.finish();
    stream.write_all(digest.as_ref())?;
    stream.rewind();
    Ok((stream, padded + digest.as_ref().len() as u64))
}
