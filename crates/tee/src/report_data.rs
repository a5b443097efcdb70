use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};

use crate::TeeError;

/// Keeps these 64 bytes from meaning anything in another protocol.
const DOMAIN: &[u8] = b"k3s-daas/report-data/v1\0";

/// The 64 bytes that a master's evidence is bound to: SHA-512 over a domain prefix, the verifier's fresh
/// `nonce`, the enclave's ed25519 `public_key` and `ca_hash`, the SHA-256 of the cluster CA in DER.
///
/// So evidence cannot be replayed to another verifier, nor shown for another key or another cluster.
pub fn report_data(nonce: &[u8; 32], public_key: &[u8; 32], ca_hash: &[u8; 32]) -> [u8; 64] {
    hash([DOMAIN, nonce, public_key, ca_hash])
}

fn hash<const N: usize>(parts: [&[u8]; N]) -> [u8; 64] {
    let mut context = digest::Context::new(&digest::SHA512);
    for part in parts {
        context.update(part);
    }
    let mut bytes = [0; 64];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

/// Evidence of nodes is never mistaken for that of masters.
const NODE_DOMAIN: &[u8] = b"k3s-daas/node-attestation/v1\0";

/// The 64 bytes that a node's evidence is bound to: SHA-512 over a domain prefix, the master's `nonce`, the ids of `cluster`
/// and seal `token`, and `key`, the SHA-256 of the node's TLS key (SubjectPublicKeyInfo in DER).
///
/// So evidence counts once, for one node of one cluster, and only for whoever holds that key.
pub fn node_report_data(nonce: &[u8; 32], cluster: &[u8; 32], token: &[u8; 32], key: &[u8; 32]) -> [u8; 64] {
    hash([NODE_DOMAIN, nonce, cluster, token, key])
}

/// 32 random bytes that nobody has seen before.
///
/// # Errors
/// [`TeeError::Random`].
pub fn fresh_nonce() -> Result<[u8; 32], TeeError> {
    let mut nonce = [0; 32];
    SystemRandom::new().fill(&mut nonce).map_err(|_| TeeError::Random)?;
    Ok(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nodes_data_is_its_own() {
        let of = |at: usize| {
            let mut parts = [[1; 32], [2; 32], [3; 32], [4; 32]];
            if let Some(part) = parts.get_mut(at) {
                part[31] ^= 1;
            }
            let [nonce, cluster, token, key] = parts;
            node_report_data(&nonce, &cluster, &token, &key)
        };
        let all: std::collections::BTreeSet<_> = (0..5).map(of).collect();
        assert_eq!(all.len(), 5);
        assert!(!all.contains(&report_data(&[1; 32], &[2; 32], &[3; 32])));
    }

    #[test]
    fn every_input_counts() {
        let base = report_data(&[1; 32], &[2; 32], &[3; 32]);
        assert_eq!(base, report_data(&[1; 32], &[2; 32], &[3; 32]));
        assert_ne!(base, report_data(&[9; 32], &[2; 32], &[3; 32]));
        assert_ne!(base, report_data(&[1; 32], &[9; 32], &[3; 32]));
        assert_ne!(base, report_data(&[1; 32], &[2; 32], &[9; 32]));
        assert_ne!(base, report_data(&[2; 32], &[1; 32], &[3; 32]));
    }
}
