use hmac::{Hmac, Mac};
use sha3::Sha3_256;
use zeroize::Zeroizing;

const ENCRYPT: &[u8] = b"HMAC-CTR-ENC";
const AUTHENTICATE: &[u8] = b"HMAC-CTR-MAC";
const BLOCK: usize = 32;

/// Seal's `Hmac256Ctr`, one way or the other: each block is masked by HMAC-SHA3-256 of its number.
pub(super) fn mask(key: &[u8; 32], text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut masked = Zeroizing::new(text.to_vec());
    for (number, block) in masked.chunks_mut(BLOCK).enumerate() {
        let stream = keyed(key, &[ENCRYPT, &(number as u64).to_le_bytes()]).finalize().into_bytes();
        block.iter_mut().zip(stream).for_each(|(byte, mask)| *byte ^= mask);
    }
    masked
}

/// The authenticator of a masked text and of what belongs to it.
pub(super) fn authenticate(key: &[u8; 32], aad: &[u8], masked: &[u8]) -> [u8; 32] {
    authenticator(key, aad, masked).finalize().into_bytes().into()
}

/// Whether `mac` is that, compared in constant time.
pub(super) fn is_authentic(key: &[u8; 32], aad: &[u8], masked: &[u8], mac: &[u8; 32]) -> bool {
    authenticator(key, aad, masked).verify_slice(mac).is_ok()
}

fn authenticator(key: &[u8; 32], aad: &[u8], masked: &[u8]) -> Hmac<Sha3_256> {
    keyed(key, &[AUTHENTICATE, &(aad.len() as u64).to_le_bytes(), aad, masked])
}

fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> Hmac<Sha3_256> {
    // HMAC pads a key to its block, so that none has a wrong length.
    let mut padded = Zeroizing::new([0; 136]);
    padded[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha3_256>::new(padded[..].into());
    parts.iter().for_each(|part| mac.update(part));
    mac
}
