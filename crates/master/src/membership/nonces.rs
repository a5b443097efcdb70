use std::collections::BTreeMap;

use crate::Id;
use crate::membership::Refusal;

/// Remembers which key each proof was used to certify, so that a proof that leaks cannot certify another.
///
/// A worker may repeat a call with the same proof and the same key (its answer got lost); anybody who
/// repeats it with another key is refused. Entries live as long as the proof's window, and each token may hold
/// only [`Nonces::PER_TOKEN`] of them, so memory is bounded by the number of live tokens.
#[derive(Clone, Debug, Default)]
pub struct Nonces {
    tokens: BTreeMap<Id, Vec<Use>>,
}

#[derive(Clone, Debug)]
struct Use {
    nonce: [u8; 16],
    call: &'static str,
    key_hash: [u8; 32],
    forget_ms: u64,
}

impl Nonces {
    /// Certificate calls that one token may have open at once.
    pub const PER_TOKEN: usize = 64;

    /// Ties (`nonce`, `call`) of `token` to the key with hash `key_hash` until `forget_ms`.
    ///
    /// # Errors
    ///
    /// [`Refusal::ProofReplayed`] when it is tied to another key, [`Refusal::TooManyProofs`] when the token
    /// has too many open.
    pub fn tie(
        &mut self,
        token: Id,
        nonce: [u8; 16],
        call: &'static str,
        key_hash: [u8; 32],
        forget_ms: u64,
    ) -> Result<(), Refusal> {
        let uses = self.tokens.entry(token).or_default();
        if let Some(known) = uses.iter().find(|known| known.nonce == nonce && known.call == call) {
            return if known.key_hash == key_hash { Ok(()) } else { Err(Refusal::ProofReplayed) };
        }
        if uses.len() >= Self::PER_TOKEN {
            return Err(Refusal::TooManyProofs);
        }
        uses.push(Use { nonce, call, key_hash, forget_ms });
        Ok(())
    }

    /// Forgets what no proof can be replayed for any more.
    pub fn tick(&mut self, now_ms: u64) {
        self.tokens.retain(|_, uses| {
            uses.retain(|known| known.forget_ms > now_ms);
            !uses.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: Id = Id([1; 32]);

    #[test]
    fn a_proof_certifies_one_key_per_call() {
        let mut nonces = Nonces::default();
        let mut tie = |nonce, call, key| nonces.tie(TOKEN, [nonce; 16], call, [key; 32], 100);
        assert_eq!(tie(1, "kubelet", 7), Ok(()));
        assert_eq!(tie(1, "kubelet", 7), Ok(()), "the answer was lost");
        assert_eq!(tie(1, "kubelet", 8), Err(Refusal::ProofReplayed));
        assert_eq!(tie(1, "kube-proxy", 8), Ok(()), "the next call of the same join");
        assert_eq!(tie(2, "kubelet", 8), Ok(()), "another proof");
    }

    #[test]
    fn is_bounded_per_token_and_forgets() {
        let mut nonces = Nonces::default();
        for nonce in 0..Nonces::PER_TOKEN {
            let nonce = u8::try_from(nonce).unwrap();
            nonces.tie(TOKEN, [nonce; 16], "kubelet", [0; 32], 100).unwrap();
        }
        let one_more = |nonces: &mut Nonces, token| nonces.tie(token, [200; 16], "kubelet", [0; 32], 200);
        assert_eq!(one_more(&mut nonces, TOKEN), Err(Refusal::TooManyProofs));
        assert_eq!(one_more(&mut nonces, Id([2; 32])), Ok(()), "another token is not held up");
        nonces.tick(99);
        assert_eq!(one_more(&mut nonces, TOKEN), Err(Refusal::TooManyProofs));
        nonces.tick(100);
        assert_eq!(one_more(&mut nonces, TOKEN), Ok(()));
        nonces.tick(200);
        assert!(nonces.tokens.is_empty());
    }
}
