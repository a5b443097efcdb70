//! The promises of the crate, over random inputs.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use seal_token::{
    Claims, K3sToken, K3sTokenError, Limits, Malformed, PROOF_CHARS, Proof, Refusal, TokenRecord,
};

const LIMITS: Limits = Limits { max_window_ms: 300_000, max_clock_skew_ms: 5_000 };
const NOW: u64 = 1_700_000_000_000;
const AUDIENCE: [u8; 32] = [3; 32];

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn claims() -> Claims {
    Claims {
        version: seal_token::VERSION,
        token_id: [1; 32],
        seal: [2; 32],
        audience: AUDIENCE,
        not_before_ms: NOW,
        not_after_ms: NOW + 60_000,
        nonce: [4; 16],
    }
}

fn record() -> TokenRecord {
    TokenRecord {
        token_id: [1; 32],
        public_key: key().verifying_key().to_bytes(),
        seal: [2; 32],
        expires_ms: NOW + 1_000_000,
        revoked: false,
        stake_covers_tier: true,
    }
}

fn check(claims: Claims, record: &TokenRecord, now_ms: u64) -> Result<(), Refusal> {
    seal_token::verify(&Proof::mint(&key(), claims), &AUDIENCE, Some(record), now_ms, &LIMITS)
}

fn any_claims() -> impl Strategy<Value = Claims> {
    (any::<[[u8; 32]; 3]>(), any::<u64>(), any::<u64>(), any::<[u8; 16]>()).prop_map(
        |([token_id, seal, audience], not_before_ms, not_after_ms, nonce)| Claims {
            version: seal_token::VERSION,
            token_id,
            seal,
            audience,
            not_before_ms,
            not_after_ms,
            nonce,
        },
    )
}

#[test]
fn every_refusal_is_reached_alone_and_has_its_own_reason() {
    let refused = |claims: Claims, record: &TokenRecord, now| check(claims, record, now).unwrap_err();
    let good = claims;
    assert_eq!(check(good(), &record(), NOW), Ok(()));

    let refusals = [
        refused(Claims { version: 2, ..good() }, &record(), NOW),
        seal_token::verify(&Proof::mint(&key(), good()), &AUDIENCE, None, NOW, &LIMITS).unwrap_err(),
        refused(Claims { audience: [9; 32], ..good() }, &record(), NOW),
        refused(good(), &record(), NOW - 5_001),
        refused(good(), &record(), NOW + 65_000),
        refused(Claims { not_after_ms: NOW + 300_001, ..good() }, &record(), NOW),
        refused(good(), &TokenRecord { public_key: [9; 32], ..record() }, NOW),
        refused(good(), &TokenRecord { seal: [9; 32], ..record() }, NOW),
        refused(good(), &TokenRecord { expires_ms: NOW, ..record() }, NOW),
        refused(good(), &TokenRecord { revoked: true, ..record() }, NOW),
        refused(good(), &TokenRecord { stake_covers_tier: false, ..record() }, NOW),
    ];
    let reasons: Vec<_> = refusals.iter().map(Refusal::reason).collect();
    assert_eq!(
        reasons,
        [
            "malformed",
            "unknown_token",
            "wrong_audience",
            "not_yet_valid",
            "expired",
            "window_too_long",
            "bad_signature",
            "seal_mismatch",
            "token_expired",
            "token_revoked",
            "stake_insufficient"
        ]
    );
    let sentences: std::collections::BTreeSet<_> = refusals.iter().map(Refusal::to_string).collect();
    assert_eq!(sentences.len(), refusals.len());

    // The edges of the window, skew included.
    assert_eq!(check(good(), &record(), NOW - 5_000), Ok(()));
    assert_eq!(check(good(), &record(), NOW + 64_999), Ok(()));
    assert_eq!(check(Claims { not_after_ms: NOW + 300_000, ..good() }, &record(), NOW), Ok(()));
    let backwards = Claims { not_after_ms: NOW - 1, ..good() };
    assert_eq!(refused(backwards, &record(), NOW), Malformed::Window.into());
    let of_another = TokenRecord { token_id: [9; 32], ..record() };
    assert_eq!(refused(good(), &of_another, NOW), Refusal::UnknownToken);
}

/// The identity point as a key accepts one signature for many messages, except under strict verification.
#[test]
fn a_small_order_key_signs_nothing() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let proof = Proof { claims: claims(), signature };
    let record = TokenRecord { public_key: identity, ..record() };
    let refusal = seal_token::verify(&proof, &AUDIENCE, Some(&record), NOW, &LIMITS).unwrap_err();
    assert_eq!(refusal, Refusal::BadSignature);
}

#[test]
fn malformed_strings_are_refused_by_kind() {
    let text = Proof::mint(&key(), claims()).to_string();
    assert_eq!(text.len(), PROOF_CHARS);
    let parse = |text: &str| text.parse::<Proof>().unwrap_err();
    let length = |found| Refusal::from(Malformed::Length { found, expected: PROOF_CHARS });
    assert_eq!(parse(""), length(0));
    assert_eq!(parse(&format!("{text}==")), length(PROOF_CHARS + 2));
    assert_eq!(parse(&"é".repeat(PROOF_CHARS / 2)), Malformed::Encoding.into());
    assert_eq!(parse(&text.replacen(&text[..1], "+", 1)), Malformed::Encoding.into());
    // The last character carries two bits: of 64 spellings, four are canonical.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let spelled = |last: char| format!("{}{last}", &text[..PROOF_CHARS - 1]);
    assert_eq!(alphabet.chars().filter(|last| spelled(*last).parse::<Proof>().is_ok()).count(), 4);
    let version_2 = Proof::mint(&key(), Claims { version: 2, ..claims() }).to_string();
    assert_eq!(parse(&version_2), Malformed::Version { found: 2 }.into());
}

#[test]
fn debug_output_is_useless_to_a_thief() {
    let proof = Proof::mint(&key(), claims());
    let token = K3sToken::seal([5; 32], &proof);
    let shown = format!("{proof:?} {token:?}");
    assert!(
        !shown.contains(&token.password) && !shown.contains(&format!("{:?}", proof.signature)),
        "{shown}"
    );
}

#[test]
fn k3s_tokens_are_refused_by_kind_and_never_quoted() {
    let hash = "ab".repeat(32);
    for (text, error) in [
        ("s3cret".to_owned(), K3sTokenError::Prefix),
        (format!("K10{hash}:node:s3cret"), K3sTokenError::CaHash),
        (format!("K10{}::node:s3cret", hash.to_uppercase()), K3sTokenError::CaHash),
        (format!("K10{}::node:s3cret", &hash[2..]), K3sTokenError::CaHash),
        (format!("K10{hash}::s3cret"), K3sTokenError::Credentials),
        (format!("K10{hash}:::s3cret"), K3sTokenError::Credentials),
        (format!("K10{hash}::node:s3 cret"), K3sTokenError::Credentials),
        (format!("K10{hash}::node:{}", "s".repeat(1024)), K3sTokenError::TooLong { found: 1024 + 74 }),
    ] {
        let refused = text.parse::<K3sToken>().unwrap_err();
        assert_eq!(refused, error, "{text}");
        assert!(!refused.to_string().contains("cret"));
    }
    let token: K3sToken = format!("K10{hash}::node:a:b").parse().unwrap();
    assert_eq!((token.username.as_str(), token.password.as_str()), ("node", "a:b"));
}

proptest! {
    #[test]
    fn proofs_round_trip(claims in any_claims(), secret in any::<[u8; 32]>()) {
        let proof = Proof::mint(&SigningKey::from_bytes(&secret), claims);
        prop_assert_eq!(proof.to_string().parse::<Proof>().unwrap(), proof.clone());
        let token = K3sToken::seal([1; 32], &proof);
        prop_assert_eq!(token.to_string().parse::<K3sToken>().unwrap(), token);
    }

    /// There is one string per proof: whatever parses prints the same again.
    #[test]
    fn parsing_never_panics_and_is_canonical(text in ".{0,300}", urlsafe in "[A-Za-z0-9_-]{258}", hash in "[0-9a-f]{64}") {
        for text in [&text, &urlsafe] {
            if let Ok(proof) = text.parse::<Proof>() {
                prop_assert_eq!(&proof.to_string(), text);
            }
        }
        for text in [text.clone(), format!("K10{text}"), format!("K10{hash}::{text}")] {
            if let Ok(token) = text.parse::<K3sToken>() {
                prop_assert_eq!(token.to_string(), text);
            }
        }
    }

    #[test]
    fn any_flipped_bit_of_the_string_is_refused(at in 0..PROOF_CHARS, bit in 0u8..8) {
        let mut bytes = Proof::mint(&key(), claims()).to_string().into_bytes();
        bytes[at] ^= 1 << bit;
        let accepted = String::from_utf8(bytes).ok().and_then(|text| text.parse::<Proof>().ok()).is_some_and(
            |proof| seal_token::verify(&proof, &AUDIENCE, Some(&record()), NOW, &LIMITS).is_ok(),
        );
        prop_assert!(!accepted);
    }

    #[test]
    fn only_the_key_on_chain_signs(secret in any::<[u8; 32]>(), other in any::<[u8; 32]>()) {
        let public_key = SigningKey::from_bytes(&other).verifying_key().to_bytes();
        let proof = Proof::mint(&SigningKey::from_bytes(&secret), claims());
        let record = TokenRecord { public_key, ..record() };
        let accepted = seal_token::verify(&proof, &AUDIENCE, Some(&record), NOW, &LIMITS).is_ok();
        prop_assert_eq!(accepted, secret == other);
    }

    /// No clock, window or limit, however extreme, panics or is accepted outside its window.
    #[test]
    fn extreme_times_are_decided(
        not_before_ms in prop_oneof![Just(0), Just(u64::MAX), any::<u64>()],
        not_after_ms in prop_oneof![Just(0), Just(u64::MAX), any::<u64>()],
        now_ms in prop_oneof![Just(0), Just(u64::MAX), any::<u64>()],
        skew in prop_oneof![Just(0), Just(u64::MAX), any::<u64>()],
    ) {
        let proof = Proof::mint(&key(), Claims { not_before_ms, not_after_ms, ..claims() });
        let record = TokenRecord { expires_ms: u64::MAX, ..record() };
        let limits = Limits { max_window_ms: u64::MAX, max_clock_skew_ms: skew };
        let accepted = seal_token::verify(&proof, &AUDIENCE, Some(&record), now_ms, &limits).is_ok();
        let (now, skew) = (i128::from(now_ms), i128::from(skew));
        let open = i128::from(not_before_ms) - skew <= now && now < i128::from(not_after_ms) + skew;
        // Additions saturate at the end of time, where nothing is accepted.
        if now_ms < u64::MAX {
            prop_assert_eq!(accepted, open && not_before_ms <= not_after_ms);
        } else {
            prop_assert!(!accepted || open);
        }
    }
}
