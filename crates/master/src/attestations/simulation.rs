//! The book against a model that remembers everything: a node counts as attested exactly while evidence for its present token
//! was verified less than the maximum age ago, under a policy that still allows the code, and proven again in time after what
//! was demanded, or the node's key, has changed.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tee::{Evidence, Measurements, Platform, PlatformKind, SimulatedPlatform};

use super::*;

const MAX_AGE_MS: u64 = 300_000;

fn measured(number: u8) -> Measurements {
    Measurements::from([("code".to_owned(), vec![number; 48])])
}

/// Allows these codes.
fn policy(codes: &[u8]) -> Policy {
    let allowed = codes.iter().map(|number| (PlatformKind::Simulated, measured(*number))).collect();
    Policy { allowed, allow_simulated: true, max_age_ms: MAX_AGE_MS, ..Policy::default() }
}

/// What verified evidence of code `number` says.
fn claims(number: u8) -> Claims {
    let dir = tempfile::tempdir().unwrap();
    let platform = SimulatedPlatform::open(dir.path(), &measured(number)["code"]).unwrap();
    let evidence: Evidence = platform.attest(&[0; 64], 0).unwrap();
    tee::verify(&evidence, &policy(&[number]), &[0; 64], 0).unwrap()
}

fn name(node: u8) -> String {
    format!("n{node}")
}

fn id(node: u8, holder: u8) -> Id {
    let mut id = [node; 32];
    id[31] = holder;
    Id(id)
}

#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    /// A heartbeat's answer.
    Offer(u8),
    /// Evidence of this code for this key, answering the last nonce that the node was given; or another.
    Show {
        node: u8,
        code: u8,
        key: u8,
        right_nonce: bool,
    },
    Decree(Vec<u8>),
    /// No evidence is taken.
    Silence,
    Certificate {
        node: u8,
        key: u8,
    },
    Revoke(u8),
    /// Another holder of the name.
    Replace(u8),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let node = 0..3u8;
    let event = prop_oneof![
        3 => prop_oneof![0..2_000u64, 10_000..70_000u64, Just(MAX_AGE_MS)].prop_map(Event::Wait),
        6 => node.clone().prop_map(Event::Offer),
        8 => (node.clone(), 0..3u8, 0..2u8, prop::bool::weighted(0.9)).prop_map(
            |(node, code, key, right_nonce)| Event::Show { node, code, key, right_nonce }
        ),
        2 => prop::collection::vec(0..3u8, 0..3).prop_map(Event::Decree),
        1 => Just(Event::Silence),
        2 => (node.clone(), 0..2u8).prop_map(|(node, key)| Event::Certificate { node, key }),
        1 => node.clone().prop_map(Event::Revoke),
        1 => node.prop_map(Event::Replace),
    ];
    prop::collection::vec(event, 1..120)
}

/// One time that evidence was taken, and all that has happened to it since.
#[derive(Clone, Debug)]
struct Taken {
    holder: u8,
    code: u8,
    key: u8,
    at_ms: u64,
    /// When it was first put in question by another policy or another key.
    doubted_ms: Option<u64>,
    retired: bool,
}

#[derive(Default)]
struct Model {
    now_ms: u64,
    policy: Option<Vec<u8>>,
    holders: BTreeMap<u8, Option<u8>>,
    nonces: BTreeMap<u8, [u8; 32]>,
    taken: BTreeMap<u8, Taken>,
    counter: u64,
    tokens: u8,
}

impl Model {
    fn holder(&self, node: u8) -> Option<u8> {
        self.holders.get(&node).copied().unwrap_or(Some(0))
    }

    fn attested(&self, node: u8) -> Option<&Taken> {
        self.taken.get(&node).filter(|taken| {
            let fresh = self.now_ms < taken.at_ms + MAX_AGE_MS;
            let proven = taken.doubted_ms.is_none_or(|doubted_ms| self.now_ms < doubted_ms + RECHECK_MS);
            fresh && proven && !taken.retired && self.holder(node) == Some(taken.holder)
        })
    }

    fn apply(&mut self, book: &mut Book, all: &[Claims], event: &Event) {
        let now_ms = self.now_ms;
        match event {
            Event::Wait(ms) => self.now_ms += ms,
            Event::Offer(node) => {
                let Some(holder) = self.holder(*node) else { return };
                self.counter += 1;
                let mut fresh = [0; 32];
                fresh[..8].copy_from_slice(&self.counter.to_le_bytes());
                let offered = book.offer(&name(*node), id(*node, holder), fresh, now_ms);
                assert!(offered.is_none() || self.policy.is_some(), "wanted though none is taken");
                assert!(offered.is_some() || self.policy.is_none() || self.attested(*node).is_some());
                self.nonces.extend(offered.map(|nonce| (*node, nonce)));
            }
            Event::Show { node, code, key, right_nonce } => {
                let Some(holder) = self.holder(*node) else { return };
                let (name, token) = (name(*node), id(*node, holder));
                if book.admit(&name, token, now_ms).is_err() {
                    return;
                }
                let mut nonce = self.nonces.get(node).copied().unwrap_or([0xee; 32]);
                if !right_nonce {
                    nonce[0] ^= 0x80;
                }
                let Ok(policy) = book.spend(&name, token, &nonce, now_ms) else { return };
                assert!(*right_nonce, "a nonce that nobody gave");
                assert_eq!(self.nonces.remove(node), Some(nonce));
                let allowed = self.policy.as_ref().is_some_and(|codes| codes.contains(code));
                assert_eq!(policy.allowed.contains(&(PlatformKind::Simulated, measured(*code))), allowed);
                if !allowed {
                    return;
                }
                let until = book.record(&name, token, [*key; 32], &all[usize::from(*code)], &policy, now_ms);
                assert_eq!(until, Ok(now_ms + MAX_AGE_MS));
                let taken =
                    Taken { holder, code: *code, key: *key, at_ms: now_ms, doubted_ms: None, retired: false };
                self.taken.insert(*node, taken);
            }
            Event::Decree(codes) => self.decree(book, Some(codes.clone())),
            Event::Silence => self.decree(book, None),
            Event::Certificate { node, key } => {
                let Some(holder) = self.holder(*node) else { return };
                book.certified(&name(*node), id(*node, holder), [*key; 32], now_ms);
                let other =
                    self.taken.get_mut(node).filter(|taken| taken.holder == holder && taken.key != *key);
                if let Some(taken) = other {
                    taken.doubted_ms.get_or_insert(now_ms);
                }
            }
            Event::Revoke(node) => {
                self.holders.insert(*node, None);
            }
            Event::Replace(node) => {
                // Tokens are never issued twice.
                self.tokens += 1;
                self.holders.insert(*node, Some(self.tokens));
                self.nonces.remove(node);
            }
        }
    }

    fn decree(&mut self, book: &mut Book, codes: Option<Vec<u8>>) {
        let same = self.policy == codes;
        let out = book.decree(codes.as_deref().map(policy), self.now_ms);
        if same {
            return assert!(out.is_empty());
        }
        for taken in self.taken.values_mut() {
            taken.doubted_ms.get_or_insert(self.now_ms);
            taken.retired |= !codes.as_ref().is_some_and(|codes| codes.contains(&taken.code));
        }
        self.policy = codes;
    }

    fn check(&self, book: &Book) {
        let view = book.view(self.now_ms);
        for node in 0..3 {
            let expected = self.attested(node);
            let found = view.get(&name(node));
            assert_eq!(found.is_some(), expected.is_some(), "{node} at {}: {expected:?}", self.now_ms);
            let Some(holder) = self.holder(node) else { continue };
            let may = |key: u8| book.may_act(&name(node), id(node, holder), Some(&[key; 32]), self.now_ms);
            match expected {
                Some(taken) => {
                    assert_eq!(found.unwrap().token, id(node, holder));
                    assert!(may(taken.key) && !may(taken.key + 1), "another key speaks for an attested node");
                    assert!(!book.may_act(&name(node), id(node, holder), None, self.now_ms));
                }
                None if book.requires() => {
                    let lapsed =
                        self.taken.get(&node).filter(|taken| taken.holder == holder && !taken.retired);
                    for key in 0..3 {
                        assert!(!may(key) || lapsed.is_some_and(|taken| taken.key == key), "{key} may act");
                    }
                }
                None => assert!(may(0) && may(1)),
            }
        }
    }
}

proptest! {
    #[test]
    fn a_node_counts_as_attested_exactly_while_its_evidence_does(events in events(), require: bool) {
        let all: Vec<Claims> = (0..3).map(claims).collect();
        let (mut book, mut model) = (Book::new(require), Model::default());
        for event in &events {
            model.apply(&mut book, &all, event);
            let is_live = |node: &str, token: Id| {
                (0..3).any(|n| name(n) == node && model.holder(n).is_some_and(|holder| id(n, holder) == token))
            };
            book.tick(is_live, model.now_ms);
            model.check(&book);
        }
    }
}

#[test]
fn a_nonce_is_kept_for_half_a_minute_spent_once_and_dead_after_one() {
    let (mut book, token) = (Book::new(false), id(1, 0));
    assert_eq!(book.offer("n1", token, [1; 32], 0), None, "without a policy no evidence is wanted");
    assert_eq!(book.admit("n1", token, 0), Err(EvidenceRefusal::NotTaken));
    book.decree(Some(policy(&[0])), 0);
    assert_eq!(book.offer("n1", token, [1; 32], 0), Some([1; 32]));
    assert_eq!(book.offer("n1", token, [2; 32], 29_999), Some([1; 32]));
    assert_eq!(book.offer("n1", token, [3; 32], 30_000), Some([3; 32]));
    assert_eq!(book.spend("n1", token, &[1; 32], 30_000), Err(EvidenceRefusal::Stale));
    assert_eq!(book.spend("n2", id(2, 0), &[3; 32], 30_000), Err(EvidenceRefusal::Stale));
    assert_eq!(book.spend("n1", token, &[3; 32], 90_000), Err(EvidenceRefusal::NonceExpired));
    assert_eq!(book.spend("n1", token, &[3; 32], 90_000), Err(EvidenceRefusal::Stale));
    assert_eq!(book.offer("n1", token, [4; 32], 90_000), Some([4; 32]));
    let demanded = book.spend("n1", token, &[4; 32], 149_999).unwrap();
    assert_eq!(book.spend("n1", token, &[4; 32], 149_999), Err(EvidenceRefusal::Stale));
    // Verified under what was demanded before: it has to be shown again.
    book.decree(Some(policy(&[0, 1])), 150_000);
    let recorded = book.record("n1", token, [7; 32], &claims(0), &demanded, 150_000);
    assert_eq!(recorded, Err(EvidenceRefusal::Stale));
}

#[test]
fn six_tries_a_minute_and_no_more() {
    let (mut book, token) = (Book::new(false), id(1, 0));
    book.decree(Some(policy(&[0])), 0);
    for _ in 0..6 {
        assert_eq!(book.admit("n1", token, 1_000), Ok(()));
    }
    assert_eq!(book.admit("n1", token, 60_999), Err(EvidenceRefusal::Flooding));
    assert_eq!(book.admit("n2", id(2, 0), 60_999), Ok(()), "one node's flood is not another's");
    assert_eq!(book.admit("n1", token, 61_000), Ok(()));
}

#[test]
fn a_master_that_starts_takes_nothing_away_for_a_while_but_what_it_has_seen_lapse() {
    let mut book = Book::new(true);
    book.decree(None, 5_000);
    assert!(!book.is_settling(5_000), "nobody can be attested");
    book.decree(Some(policy(&[0])), 30_000);
    assert!(book.is_settling(49_999) && !book.is_settling(50_000));

    let token = id(1, 0);
    let nonce = book.offer("n1", token, [1; 32], 30_000).unwrap();
    let demanded = book.spend("n1", token, &nonce, 30_000).unwrap();
    book.record("n1", token, [7; 32], &claims(0), &demanded, 30_000).unwrap();
    assert!(book.lapsed(30_000).is_empty());
    book.decree(Some(policy(&[1])), 31_000);
    assert!(
        book.is_settling(31_000) && book.lapsed(31_000).contains("n1"),
        "it was seen, and its code is retired"
    );
}
