use std::io::{self, Read, Write};

use super::DiskFile;

/// Reads or writes a [`DiskFile`] from its beginning on.
#[derive(Debug)]
pub struct DiskStream {
    file: Box<dyn DiskFile>,
    offset: u64,
}

impl DiskStream {
    /// Stands at the first byte.
    pub fn new(file: Box<dyn DiskFile>) -> Self {
        Self { file, offset: 0 }
    }

    /// The file.
    pub fn file(&self) -> &dyn DiskFile {
        &*self.file
    }

    /// Goes back to the first byte.
    pub fn rewind(&mut self) {
        self.offset = 0;
    }
}

impl Read for DiskStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

impl Write for DiskStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all_at(bytes, self.offset)?;
        self.offset += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
