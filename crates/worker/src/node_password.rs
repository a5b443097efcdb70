use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// The password that K3s' join protocol ties to a node's name: random, made once, in `dir`, mode 0600.
pub(crate) fn open_or_create(dir: &Path) -> io::Result<Zeroizing<String>> {
    let path = dir.join("node-password");
    match OpenOptions::new().read(true).open(&path) {
        Ok(file) => {
            let mut text = Zeroizing::new(String::with_capacity(128));
            file.take(128).read_to_string(&mut text)?;
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            if digits { Ok(text) } else { Err(io::Error::other("node-password is damaged; remove it")) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut random = Zeroizing::new([0; 16]);
            SystemRandom::new().fill(&mut random[..]).map_err(|_| io::Error::other("no random bytes"))?;
            let text = Zeroizing::new(hex::encode(&random[..]));
            let temporary = dir.join("node-password.new");
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            Ok(text)
        }
        Err(error) => Err(error),
    }
}
