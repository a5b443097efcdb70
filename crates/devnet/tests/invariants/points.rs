//! What enclaves say of the cluster, where it is and how far its state is, and what governance grants in it.

use rand::Rng;
use sui_sdk_types::Address;

use crate::objects;
use crate::world::{Arg, MINUTE_MS, actor, clock, key, pure, sign};
use crate::{Expect, Play};

const INTENT_PLACE: u8 = 1;
const INTENT_ANCHOR: u8 = 3;
const INTENT_UNANCHORED: u8 = 7;
const INTENT_SEALING: u8 = 8;

/// What the cluster's objects have to say.
#[derive(Default)]
pub(crate) struct Points {
    ca_hash: Vec<u8>,
    revision: u64,
    key_epoch: u64,
    pub(crate) grants: Vec<Address>,
}

pub(crate) fn step(play: &mut Play) {
    match play.dice.random_range(0..9) {
        0..2 => place(play),
        2..5 => anchor(play),
        5 => unanchored(play),
        6 => seal(play),
        7 => grant(play),
        _ => revoke_grant(play),
    }
}

/// A time of now, or one that is used up, in the past or in the future.
fn time(play: &mut Play, latest_ms: u64) -> u64 {
    let now = play.world.now;
    match play.dice.random_range(0..10) {
        0 => latest_ms,
        1 => now - 5 * MINUTE_MS - 1,
        2 => now + 5 * MINUTE_MS + 1,
        _ => now,
    }
}

fn place(play: &mut Play) {
    let Some(by) = play.some_enclave() else { return };
    let caller = play.actor();
    let latest_ms = play.enclaves[by].latest_ms.get(&INTENT_PLACE).copied().unwrap_or_default();
    let timestamp_ms = time(play, latest_ms);
    let length = if play.chance(90) { 32 } else { 31 };
    let ca_hash = vec![play.dice.random_range(1..=u8::MAX); length];
    let (gateway, apiserver) = ("https://127.0.0.1:9345", "https://127.0.0.1:6443");
    let enclave = &play.enclaves[by];
    let stated = (INTENT_PLACE, timestamp_ms, enclave.id, play.world.cluster, gateway, apiserver, &ca_hash);
    let signature = sign(&key(enclave.key), &stated);
    let arguments = vec![
        Arg::Object(play.world.cluster),
        Arg::Read(play.world.registry),
        Arg::Object(enclave.id),
        pure(&gateway),
        pure(&apiserver),
        pure(&ca_hash),
        pure(&timestamp_ms),
        pure(&signature),
        clock(),
    ];
    let news = enclave.is_news(INTENT_PLACE, timestamp_ms, play.world.now);
    let expect = Expect::when(play.stands(by) && news && length == 32);
    let done = play.world.call(caller, "k8s_gateway", "set_place", arguments);
    play.judge(&format!("enclave {by} says where the cluster is, at {timestamp_ms}"), expect, &done);
    if done.ok() {
        play.points.ca_hash = ca_hash;
        play.enclaves[by].latest_ms.insert(INTENT_PLACE, timestamp_ms);
    }
}

fn anchor(play: &mut Play) {
    let Some(by) = play.some_enclave() else { return };
    let caller = play.actor();
    let latest_ms = play.enclaves[by].latest_ms.get(&INTENT_ANCHOR).copied().unwrap_or_default();
    let timestamp_ms = time(play, latest_ms);
    // Forward, mostly; or the same again, or back.
    let revision = match play.dice.random_range(0..6) {
        0 => play.points.revision,
        1 => play.points.revision.saturating_sub(1),
        _ => play.points.revision + play.dice.random_range(1..100),
    };
    let key_epoch = match play.dice.random_range(0..6) {
        0 => play.points.key_epoch.saturating_sub(1),
        1 => play.points.key_epoch + 1,
        _ => play.points.key_epoch,
    };
    let (state_root, log_hash, blob) = (vec![1u8; 32], vec![2u8; 32], vec![3u8; 32]);
    let enclave = &play.enclaves[by];
    let stated = (
        (INTENT_ANCHOR, timestamp_ms, enclave.id, play.world.cluster),
        (revision, &state_root, &log_hash, &blob, key_epoch),
    );
    let signature = sign(&key(enclave.key), &stated);
    let arguments = vec![
        Arg::Object(play.world.anchor),
        Arg::Read(play.world.registry),
        Arg::Object(enclave.id),
        pure(&revision),
        pure(&state_root),
        pure(&log_hash),
        pure(&blob),
        pure(&key_epoch),
        pure(&timestamp_ms),
        pure(&signature),
        clock(),
    ];
    let forward = revision > play.points.revision && key_epoch >= play.points.key_epoch;
    let news = enclave.is_news(INTENT_ANCHOR, timestamp_ms, play.world.now);
    let expect = Expect::when(play.stands(by) && news && forward);
    let before = play.points.revision;
    let done = play.world.call(caller, "anchor", "record", arguments);
    play.judge(&format!("enclave {by} anchors {revision} after {before}"), expect, &done);
    if done.ok() {
        (play.points.revision, play.points.key_epoch) = (revision, key_epoch);
        play.enclaves[by].latest_ms.insert(INTENT_ANCHOR, timestamp_ms);
    }
}

fn unanchored(play: &mut Play) {
    let Some(by) = play.some_enclave() else { return };
    let caller = play.actor();
    let latest_ms = play.enclaves[by].latest_ms.get(&INTENT_UNANCHORED).copied().unwrap_or_default();
    let timestamp_ms = time(play, latest_ms);
    let (revision, opened_ms) = (play.dice.random_range(0..100u64), play.world.now);
    let state_root = vec![1u8; if play.chance(90) { 32 } else { 31 }];
    let enclave = &play.enclaves[by];
    let stated =
        (INTENT_UNANCHORED, timestamp_ms, enclave.id, play.world.cluster, revision, &state_root, opened_ms);
    let signature = sign(&key(enclave.key), &stated);
    let arguments = vec![
        Arg::Read(play.world.anchor),
        Arg::Read(play.world.registry),
        Arg::Object(enclave.id),
        pure(&revision),
        pure(&state_root),
        pure(&opened_ms),
        pure(&timestamp_ms),
        pure(&signature),
        clock(),
    ];
    let news = enclave.is_news(INTENT_UNANCHORED, timestamp_ms, play.world.now);
    let expect = Expect::when(play.stands(by) && news && state_root.len() == 32);
    let done = play.world.call(caller, "anchor", "declare_unanchored", arguments);
    play.judge(&format!("enclave {by} declares that it went without the anchor"), expect, &done);
    if done.ok() {
        play.enclaves[by].latest_ms.insert(INTENT_UNANCHORED, timestamp_ms);
    }
}

fn seal(play: &mut Play) {
    let Some(by) = play.some_enclave() else { return };
    let caller = play.actor();
    let latest_ms = play.enclaves[by].latest_ms.get(&INTENT_SEALING).copied().unwrap_or_default();
    let timestamp_ms = time(play, latest_ms);
    let object = vec![play.dice.random::<u8>(); if play.chance(90) { 446 } else { 4097 }];
    let enclave = &play.enclaves[by];
    let stated = (INTENT_SEALING, timestamp_ms, enclave.id, play.world.cluster, &object);
    let signature = sign(&key(enclave.key), &stated);
    let arguments = vec![
        Arg::Object(play.world.anchor),
        Arg::Read(play.world.registry),
        Arg::Object(enclave.id),
        pure(&object),
        pure(&timestamp_ms),
        pure(&signature),
        clock(),
    ];
    let news = enclave.is_news(INTENT_SEALING, timestamp_ms, play.world.now);
    let expect = Expect::when(play.stands(by) && news && object.len() == 446);
    let done = play.world.call(caller, "seal_policy", "seal", arguments);
    play.judge(&format!("enclave {by} seals the secret"), expect, &done);
    if done.ok() {
        play.enclaves[by].latest_ms.insert(INTENT_SEALING, timestamp_ms);
    }
}

fn grant(play: &mut Play) {
    let (cap, caller) = play.any_cap();
    let grantee = play.actor();
    let namespace = ["", "web", "Web"][play.dice.random_range(0..3)];
    let role = ["view", "edit", "admin", "cluster-admin", "root"][play.dice.random_range(0..5)];
    let arguments = vec![
        Arg::Read(play.world.cluster),
        Arg::Read(play.world.governance),
        Arg::Object(play.caps[cap].id),
        pure(&actor(grantee)),
        pure(&namespace),
        pure(&role),
        clock(),
    ];
    let sound = namespace != "Web" && role != "root" && (role != "cluster-admin" || namespace.is_empty());
    let expect = Expect::when(play.caps[cap].works(caller, play.world.now) && sound);
    let done = play.world.call(caller, "k8s_gateway", "grant", arguments);
    play.judge(&format!("{caller} grants {role} in {namespace:?} to {grantee}"), expect, &done);
    if done.ok() {
        play.points.grants.push(done.made_id("k8s_gateway", "Grant"));
    }
}

fn revoke_grant(play: &mut Play) {
    let Some(at) = play.pick(play.points.grants.len()) else { return grant(play) };
    let (cap, caller) = play.any_cap();
    let arguments = vec![
        Arg::Object(play.points.grants[at]),
        Arg::Read(play.world.governance),
        Arg::Object(play.caps[cap].id),
        clock(),
    ];
    let expect = Expect::when(play.caps[cap].works(caller, play.world.now));
    let done = play.world.call(caller, "k8s_gateway", "revoke_grant", arguments);
    play.judge(&format!("{caller} takes grant {at} back"), expect, &done);
    if done.ok() {
        play.points.grants.swap_remove(at);
    }
}

/// The chain says what was said last and granted, and an anchor never goes back.
pub(crate) fn check(play: &Play) {
    let cluster: objects::Cluster = play.world.read(play.world.cluster).unwrap();
    assert_eq!(cluster.ca_hash, play.points.ca_hash);
    let anchor: objects::Anchor = play.world.read(play.world.anchor).unwrap();
    assert_eq!((anchor.revision, anchor.key_epoch), (play.points.revision, play.points.key_epoch));
    let grants = play.world.all::<objects::Grant>("k8s_gateway", "Grant");
    assert_eq!(grants.len(), play.points.grants.len());
    assert!(grants.iter().all(|grant| play.points.grants.contains(&grant.id)));
}
