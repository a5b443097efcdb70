use std::sync::Arc;

use super::{Directory, read_commands};
use crate::mvcc::Command;
use crate::seal::{FrameReader, HEADER_BYTES, Header, Keyring, Next, Reason};
use crate::{Config, StoreError};

/// Every request in the log, oldest first, for those who check histories; nothing on disk is changed. Complete only
/// while no snapshot has taken the place of the log's beginning.
///
/// # Errors
/// The store is in use, a file cannot be read or is not what was written.
pub fn logged_requests(config: &Config) -> Result<Vec<Command>, StoreError> {
    let directory = Arc::new(Directory::open(config.disk.clone(), &config.data_dir)?);
    let keyring = Keyring::new(config.key.clone()).with_older(config.older_keys.iter().cloned());
    let mut requests = Vec::new();
    let segments = directory.list()?.segments;
    for (index, &segment) in segments.iter().enumerate() {
        let bytes = directory.read_segment(segment)?;
        let tampered = |offset: usize| StoreError::Tampered { segment, offset: offset as u64 };
        let header = Header::open(&bytes, &keyring).map_err(|_| tampered(0))?;
        let mut reader = FrameReader::new(keyring.file_key(&header), header.start, HEADER_BYTES);
        loop {
            match reader.next(&bytes) {
                Next::Frame(text) => {
                    let commands = read_commands(text).map_err(|error| StoreError::Malformed {
                        segment,
                        record: reader.position().sequence,
                        what: error.to_string(),
                    })?;
                    requests.extend(commands);
                }
                Next::End => break,
                // Half written when the process died; never acknowledged.
                Next::Broken(_, Reason::Torn) if index + 1 == segments.len() => break,
                Next::Broken(offset, _) => return Err(tampered(offset)),
            }
        }
    }
    Ok(requests)
}
