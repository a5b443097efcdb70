use std::fs::File;
use std::io::Read;
use std::path::Path;

use ring::digest;

use crate::{Measurements, TeeError};

/// The name under which the running program itself is measured.
pub(crate) const CODE: &str = "code";

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

/// Measures files by name: the program itself as `code`, and what else it runs. Each digest is what `sha384sum` prints, so that
/// whoever has the same files computes the same measurement.
///
/// What is measured is what lies on disk now; it has to be a disk that only the measured code writes.
///
/// # Errors
/// The first file that cannot be read.
pub fn measure_files(files: &[(&str, &Path)]) -> Result<Measurements, TeeError> {
    files.iter().map(|(name, path)| Ok(((*name).to_owned(), measure_file(path)?.to_vec()))).collect()
}

/// All digests as one byte string: the code's alone when there is no other, else every name and digest with its length. What a TPM's
/// register is extended with, and what [`crate::TpmPlatform::open`] takes.
#[must_use]
pub fn measured_as_one(measured: &Measurements) -> Vec<u8> {
    if let (Some(code), 1) = (measured.get(CODE), measured.len()) {
        return code.clone();
    }
    let mut bytes = Vec::new();
    for part in measured.iter().flat_map(|(name, digest)| [name.as_bytes(), digest]) {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
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
    fn no_two_sets_of_digests_are_the_same_bytes() {
        let one = |pairs: &[(&str, &[u8])]| {
            let measured = pairs.iter().map(|(name, digest)| ((*name).to_owned(), digest.to_vec()));
            measured_as_one(&measured.collect())
        };
        assert_eq!(one(&[("code", b"abc")]), b"abc");
        let sets = [
            one(&[("code", b"abc")]),
            one(&[("code", b"ab"), ("kubernetes", b"c")]),
            one(&[("code", b"a"), ("kubernetes", b"bc")]),
            one(&[("codea", b""), ("kubernetes", b"bc")]),
        ];
        for (at, set) in sets.iter().enumerate() {
            assert!(!sets[..at].contains(set), "{set:?}");
        }
    }

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
