//! Whatever parses prints the same again; nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seal_token::{K3sToken, Limits, Proof, TokenRecord, verify};

fuzz_target!(|text: &str| {
    if let Ok(proof) = text.parse::<Proof>() {
        assert_eq!(proof.to_string(), text);
        let record = TokenRecord {
            token_id: proof.claims.token_id,
            public_key: proof.claims.seal,
            seal: proof.claims.seal,
            expires_ms: u64::MAX,
            revoked: false,
            stake_covers_tier: true,
        };
        let limits = Limits { max_window_ms: u64::MAX, max_clock_skew_ms: 0 };
        let now_ms = proof.claims.not_before_ms;
        let _ = verify(&proof, &proof.claims.audience, Some(&record), now_ms, &limits);
    }
    if let Ok(token) = text.parse::<K3sToken>() {
        assert_eq!(token.to_string(), text);
    }
});
