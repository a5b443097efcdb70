//! The way to a TPM: the kernel's resource manager, or the socket of a software TPM.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::TpmError;
use super::wire::{HEADER, MAX_MESSAGE};

/// A TPM answers a signature in well under a second; a making of keys in a few.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where a TPM is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TpmAddress {
    /// A device of the kernel's resource manager, `/dev/tpmrm0`.
    Device(PathBuf),
    /// The unix socket of a software TPM (`swtpm socket --server type=unixio,path=…`).
    Unix(PathBuf),
    /// The TCP socket of a software TPM, `127.0.0.1:2321`.
    Tcp(String),
}

impl TpmAddress {
    /// Whether this is a program and not a chip: good for tests, and no root of trust.
    #[must_use]
    pub fn is_software(&self) -> bool {
        !matches!(self, Self::Device(_))
    }
}

/// An open way.
pub(super) enum Transport {
    Device(File),
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Transport {
    pub(super) fn open(address: &TpmAddress) -> Result<Self, TpmError> {
        let opened = match address {
            TpmAddress::Device(path) => device(path).map(Self::Device),
            TpmAddress::Unix(path) => UnixStream::connect(path).and_then(|stream| {
                stream.set_read_timeout(Some(TIMEOUT))?;
                Ok(Self::Unix(stream))
            }),
            TpmAddress::Tcp(host) => TcpStream::connect(host).and_then(|stream| {
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }),
        };
        opened.map_err(|source| TpmError::Unreachable { address: address.clone(), source })
    }

    /// Sends one command and reads its whole response.
    pub(super) fn transact(&mut self, command: &[u8], name: &'static str) -> Result<Vec<u8>, TpmError> {
        let failed = |source| TpmError::Io { command: name, source };
        self.stream().write_all(command).map_err(failed)?;
        let mut reply = vec![0; MAX_MESSAGE];
        // A device gives the whole response to one read and nothing to a second; a socket gives pieces.
        let mut have = self.stream().read(&mut reply).map_err(failed)?;
        loop {
            let size = reply.get(2..6).filter(|_| have >= HEADER).map(be32);
            match size {
                Some(size) if size > MAX_MESSAGE => return Err(TpmError::Malformed { command: name }),
                Some(size) if have >= size => {
                    reply.truncate(size);
                    return Ok(reply);
                }
                _ => {}
            }
            let more = self.stream().read(&mut reply[have..]).map_err(failed)?;
            if more == 0 {
                return Err(TpmError::Malformed { command: name });
            }
            have += more;
        }
    }

    fn stream(&mut self) -> &mut dyn ReadWrite {
        match self {
            Self::Device(file) => file,
            Self::Unix(stream) => stream,
            Self::Tcp(stream) => stream,
        }
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

fn device(path: &Path) -> std::io::Result<File> {
    File::options().read(true).write(true).open(path)
}

fn be32(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |value, byte| value << 8 | usize::from(*byte))
}
