//! Snapshots for keeping elsewhere.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use ring::digest::{Context, SHA256};

use crate::StoreError;
use crate::keeper::write_image;
use crate::queue::Cut;
use crate::shared::Shared;

/// etcd's tools expect a snapshot to be whole pages and then its SHA-256.
const PAGE: u64 = 512;

/// Writes the image into an unnamed file: our sealed format, zeros up to a whole page, SHA-256 of all that.
pub(crate) fn export(shared: &Shared, mut cut: Cut) -> Result<(File, u64, i64), StoreError> {
    let target = shared.directory.path().join(format!("export-{:016x}", rand::random::<u64>()));
    let exported = shared.directory.create_temporary(&target).and_then(|(file, path)| {
        // Without a name it goes away with whoever reads it.
        shared.directory.remove(&path)?;
        let written = write_image(shared, file, &cut.image, &mut cut.cursor, cut.position).and_then(finish);
        written.map_err(StoreError::io("write", &path))
    });
    shared.state.write().end_image();
    let (file, bytes) = exported?;
    Ok((file, bytes, cut.image.revision))
}

fn finish(mut file: File) -> io::Result<(File, u64)> {
    let bytes = file.seek(SeekFrom::End(0))?;
    let padded = bytes.next_multiple_of(PAGE);
    file.set_len(padded)?;
    file.rewind()?;
    let mut context = Context::new(&SHA256);
    let mut reader = BufReader::with_capacity(1 << 20, &file);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        context.update(&buffer[..read]);
    }
    let digest = context.finish();
    file.seek(SeekFrom::Start(padded))?;
    file.write_all(digest.as_ref())?;
    file.rewind()?;
    Ok((file, padded + digest.as_ref().len() as u64))
}
