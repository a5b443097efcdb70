use std::fs::File;
use std::io::Read;
use std::path::Path;

use ring::digest;

use crate::TeeError;

/// SHA-384 of `code`: the form in which the simulated platform takes a measurement.
pub fn measure_bytes(code: &[u8]) -> [u8; 48] {
    to_array(&digest::digest(&digest::SHA384, code))
}

/// SHA-384 of a file, as `sha384sum` prints it; e.g. of one's own executable.
pub fn measure_file(path: &Path) -> Result<[u8; 48], TeeError> {
    let failed = |source| TeeError::Io { action: "measure", path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut context = digest::Context::new(&digest::SHA384);
    let mut chunk = vec![0; 1 << 16];
    loop {
        match file.read(&mut chunk).map_err(failed)? {
            0 => return Ok(to_array(&context.finish())),
            read => context.update(&chunk[..read]),
        }
    }
}

fn to_array(digest: &digest::Digest) -> [u8; 48] {
    let mut bytes = [0; 48];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_measures_as_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("code");
        let code = vec![9; (1 << 16) + 5];
        std::fs::write(&path, &code).unwrap();
        assert_eq!(measure_file(&path).unwrap(), measure_bytes(&code));
        // FIPS 180-4 example: SHA-384("abc").
        assert!(hex::encode(measure_bytes(b"abc")).starts_with("cb00753f45a35e8bb5a03d699ac65007"));
        let error = measure_file(&dir.path().join("none")).unwrap_err();
        assert!(error.to_string().starts_with("cannot measure "), "{error}");
    }
}
