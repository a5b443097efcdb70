//! `rewards` and `anchor`.

use chain::{
    Address, ClaimProof, Event, Migrating, Point, RewardTree, Sealing, ShardProof, Share, Shares, Unanchored,
};

use super::scene::Scene;
use crate::{DAY_MS, HOUR_MS, Probe};

const MONTH_MS: u64 = 30 * DAY_MS;

pub(crate) async fn rewards(p: &Probe) {
    let s = Scene::new(p).await;
    let (calls, cluster, admin) = (&p.world.calls, &p.world.cluster, p.world.admin);
    let operator = &p.world.operator;
    p.advance(2 * DAY_MS).await;
    let share = |stake: u8, weight| Share { stake: Address::new([stake; 32]), owner: Address::ZERO, weight };
    // The first two claims are tiny, so that one rounds to nothing.
    let tree = RewardTree::new(cluster.id, 1, vec![share(1, 1), share(2, 600), share(3, 999_399)]).unwrap();
    let day = Shares {
        cluster: cluster.id,
        number: 1,
        from_ms: s.start_ms,
        to_ms: s.start_ms + DAY_MS,
        weight: tree.weight(),
        root: tree.root(),
    };
    let post_with = |pool, shares: &Shares| {
        calls.post_epoch(pool, admin.governance, cluster.registry, &s.stated(shares.clone()))
    };
    let post = |shares: &Shares| post_with(cluster.pool, shares);
    p.refused(operator, &calls.fund(cluster.pool, 0), "rewards::EBadAmount").await;
    p.refused(operator, &post(&day), "rewards::ENothingToPay").await;
    p.world.run(operator, &calls.fund(cluster.pool, 10_000)).await;
    p.refused(operator, &post_with(p.other.pool, &day), "rewards::EWrongCluster").await;
    p.refused(operator, &post(&Shares { number: 2, ..day.clone() }), "rewards::EWrongEpoch").await;
    for (from_ms, to_ms) in
        [(s.start_ms, s.start_ms), (s.start_ms, s.start_ms + DAY_MS - 1), (s.start_ms, p.now() + HOUR_MS)]
    {
        let shares = Shares { from_ms, to_ms, ..day.clone() };
        p.refused(operator, &post(&shares), "rewards::EBadPeriod").await;
    }
    p.refused(operator, &post(&Shares { weight: 0, ..day.clone() }), "rewards::EBadWeight").await;
    p.refused(operator, &post(&Shares { root: vec![1; 31], ..day.clone() }), "rewards::EBadHash").await;
    let migrate = calls.migrate(Migrating::Pool(cluster.pool), admin.governance);
    p.refused(operator, &migrate, "rewards::EWrongVersion").await;

    let (_, events) = p.world.run(operator, &post(&day)).await;
    let epoch = events.iter().find_map(|event| match event {
        Event::EpochPosted(posted) => Some(posted.epoch),
        _ => None,
    });
    let epoch = epoch.unwrap();
    let overlapping = Shares { number: 2, from_ms: s.start_ms + 1, to_ms: s.start_ms + 1 + DAY_MS, ..day };
    p.refused(operator, &post(&overlapping), "rewards::EBadPeriod").await;

    let shard = tree.shard(0).unwrap();
    let open = |shard: &ShardProof| calls.open_shard(epoch, shard);
    let wrong = |change: fn(&mut ShardProof)| {
        let mut shard = shard.clone();
        change(&mut shard);
        shard
    };
    p.refused(operator, &open(&wrong(|shard| shard.root = vec![1; 31])), "rewards::EBadHash").await;
    for bad in [
        wrong(|shard| shard.index = 1),
        wrong(|shard| shard.weight -= 1),
        wrong(|shard| shard.root = vec![1; 32]),
        wrong(|shard| shard.proof.push(vec![1; 32])),
        wrong(|shard| shard.proof.push(vec![1; 31])),
        wrong(|shard| shard.proof = vec![vec![1; 32]; 9]),
    ] {
        p.refused(operator, &open(&bad), "rewards::EBadProof").await;
    }
    let (_, events) = p.world.run(operator, &open(&shard)).await;
    let [Event::ShardOpened(opened)] = &events[..] else { panic!("{events:?}") };
    p.refused(operator, &open(&shard), "rewards::EClaimed").await;

    let claim_of = |stake: u8| tree.claim(Address::new([stake; 32])).unwrap().1;
    let claim = |claim: &ClaimProof| calls.claim(opened.shard, claim);
    p.refused(operator, &claim(&claim_of(1)), "rewards::ENothingToPay").await;
    let greedy = ClaimProof { share: Share { weight: 601, ..claim_of(2).share }, ..claim_of(2) };
    p.refused(operator, &claim(&greedy), "rewards::EBadProof").await;
    p.world.run(operator, &claim(&claim_of(2))).await;
    p.refused(operator, &claim(&claim_of(2)), "rewards::EClaimed").await;
    p.refused(operator, &calls.sweep_shard(opened.shard, cluster.pool), "rewards::ETooEarly").await;
    p.refused(operator, &calls.sweep_epoch(epoch, cluster.pool), "rewards::ETooEarly").await;
    overdrawn(p, &s).await;
    p.advance(MONTH_MS).await;
    p.refused(operator, &claim(&claim_of(3)), "rewards::ETooLate").await;
    p.refused(operator, &open(&shard), "rewards::ETooLate").await;
    p.refused(operator, &calls.sweep_shard(opened.shard, p.other.pool), "rewards::EWrongCluster").await;
    p.world.run(operator, &calls.sweep_shard(opened.shard, cluster.pool)).await;
}

/// An enclave that signs weights which do not add up takes nothing from others.
async fn overdrawn(p: &Probe, s: &Scene<'_>) {
    let (calls, cluster, admin) = (&p.world.calls, &p.world.cluster, p.world.admin);
    let operator = &p.world.operator;
    p.world.run(operator, &calls.fund(cluster.pool, 10_000)).await;
    let share = Share { stake: s.stake, owner: Address::ZERO, weight: 10 };
    let tree = RewardTree::new(cluster.id, 2, vec![share]).unwrap();
    // The shard's leaf says less than its claim has: its budget does not pay for it.
    let honest = tree.shard(0).unwrap();
    let lied = ShardProof { weight: 1, ..honest.clone() };
    let leaf = |shard: &ShardProof| {
        let leaf = (0u8, cluster.id, 2u64, shard.weight, shard.root.as_slice());
        blake2b256(&bcs::to_bytes(&leaf).unwrap())
    };
    // A second shard has more weight than the first has left of the epoch.
    let heavy = ShardProof { weight: 10, ..honest };
    let pair = [vec![2], leaf(&lied), leaf(&heavy)].concat();
    let shares = Shares {
        cluster: cluster.id,
        number: 2,
        from_ms: s.start_ms + DAY_MS,
        to_ms: s.start_ms + 2 * DAY_MS,
        weight: 10,
        root: blake2b256(&pair),
    };
    let draft = calls.post_epoch(cluster.pool, admin.governance, cluster.registry, &s.stated(shares));
    let (_, events) = p.world.run(operator, &draft).await;
    let epoch = events.iter().find_map(|event| match event {
        Event::EpochPosted(posted) => Some(posted.epoch),
        _ => None,
    });
    let heavy = ShardProof { index: 1, proof: vec![leaf(&lied)], ..heavy };
    let lied = ShardProof { proof: vec![leaf(&heavy)], ..lied };
    let (_, events) = p.world.run(operator, &calls.open_shard(epoch.unwrap(), &lied)).await;
    let [Event::ShardOpened(opened)] = &events[..] else { panic!("{events:?}") };
    p.refused(operator, &calls.open_shard(epoch.unwrap(), &heavy), "rewards::EBadWeight").await;
    let claim = tree.claim(s.stake).unwrap().1;
    p.refused(operator, &calls.claim(opened.shard, &claim), "rewards::EOverdrawn").await;
}

fn blake2b256(bytes: &[u8]) -> Vec<u8> {
    let mut hasher = chain::sui::hash::Hasher::new();
    hasher.update(bytes);
    hasher.finalize().inner().to_vec()
}

pub(crate) async fn anchor(p: &Probe) {
    let s = Scene::new(p).await;
    let (calls, cluster, admin) = (&p.world.calls, &p.world.cluster, p.world.admin);
    let operator = &p.world.operator;
    let point = |revision, key_epoch| Point {
        cluster: cluster.id,
        revision,
        state_root: vec![1; 32],
        log_hash: vec![2; 32],
        blob: b"blob".to_vec(),
        key_epoch,
    };
    let record_at = |anchor, point: Point| calls.record(anchor, cluster.registry, &s.stated(point));
    let record = |point| record_at(cluster.anchor, point);
    p.refused(operator, &record(point(0, 0)), "anchor::ENotNewer").await;
    let short = Point { state_root: vec![1; 31], ..point(1, 0) };
    p.refused(operator, &record(short), "anchor::EBadHash").await;
    let long = Point { blob: vec![1; 65], ..point(1, 0) };
    p.refused(operator, &record(long), "anchor::EBadBlob").await;
    p.refused(operator, &record_at(p.other.anchor, point(1, 0)), "anchor::EWrongCluster").await;
    p.world.run(operator, &record(point(5, 2))).await;
    p.advance(1).await;
    p.refused(operator, &record(point(5, 2)), "anchor::ENotNewer").await;
    p.refused(operator, &record(point(4, 2)), "anchor::ENotNewer").await;
    p.refused(operator, &record(point(6, 1)), "anchor::EOldKey").await;
    let opened = Unanchored { cluster: cluster.id, revision: 1, state_root: vec![1; 32], opened_ms: 0 };
    let elsewhere = calls.declare_unanchored(p.other.anchor, cluster.registry, &s.stated(opened));
    p.refused(operator, &elsewhere, "anchor::EWrongCluster").await;
    let sealing = |object: &[u8]| s.stated(Sealing { cluster: cluster.id, object: object.to_vec() });
    let seal = |anchor, object: &[u8]| calls.seal(anchor, cluster.registry, &sealing(object));
    p.refused(operator, &seal(p.other.anchor, b"object"), "seal_policy::EWrongCluster").await;
    for wrong in [&[][..], &[1; 4097]] {
        p.refused(operator, &seal(cluster.anchor, wrong), "seal_policy::EBadObject").await;
    }
    let approve = |id: Address| calls.seal_approve(id.inner(), s.enclave, cluster.registry);
    p.refused(operator, &approve(p.other.id), "seal_policy::EWrongIdentity").await;
    p.refused(operator, &approve(cluster.id), "seal_policy::ENotEnclave").await;
    let client = &p.world.client;
    assert_eq!(client.sealed(calls.package(), cluster.anchor).await.unwrap(), None);
    p.world.run(operator, &seal(cluster.anchor, b"object")).await;
    p.advance(1).await;
    p.world.run(operator, &seal(cluster.anchor, b"another")).await;
    let sealed = client.sealed(calls.package(), cluster.anchor).await.unwrap().unwrap();
    assert_eq!((&sealed.object[..], sealed.enclave), (&b"another"[..], s.enclave));
    let migrate = calls.migrate(Migrating::Anchor(cluster.anchor), admin.governance);
    p.refused(operator, &migrate, "anchor::EWrongVersion").await;
}
