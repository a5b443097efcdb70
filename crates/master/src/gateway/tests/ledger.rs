//! Shares and records, as stakers ask for them, of epochs that were really posted.

use api::{RewardEpochs, RewardProof};
use chain::{Address, ClaimProof, Event, ShardProof, Share, State};
use tee::SealingKey;

use super::*;
use crate::outbox::kills::{SEALING, Scene};
use crate::outbox::{Drawer, Letter, records_key};

/// A gateway, and a chain on which a master has posted two epochs: each with a share of one stake that the other has not.
struct Paid {
    house: House,
    scene: Scene,
    dir: tempfile::TempDir,
    /// The stakes, in the order of the epochs.
    stakes: Vec<Address>,
    numbers: Vec<u64>,
}

impl Paid {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let scene = Scene::start(dir.path()).await;
        let mut stakes = Vec::new();
        for day in 1..=2 {
            let letters = scene.letters(day).await;
            let Letter::Epoch(epoch) = &letters[0] else { panic!("no epoch") };
            stakes.push(epoch.shares[0].stake);
            assert!(scene.child(dir.path(), &letters, u64::MAX));
        }
        let mut numbers: Vec<u64> =
            scene.state().await.money.epochs.values().map(|epoch| epoch.number).collect();
        numbers.sort_unstable();
        let cluster = scene.cluster.id;
        let change = |mut shared: Shared| {
            shared.facts.cluster = cluster;
            shared
        };
        let house = House::built(GatewayLimits::default(), |platform| Arc::new(platform), change).await;
        Self { house, scene, dir, stakes, numbers }
    }

    /// As a master does a moment after its gateway listens.
    fn open_ledger(&self) -> Drawer {
        let drawer = Drawer::open(&self.dir.path().join("ledger"), &SealingKey::from_bytes(SEALING)).unwrap();
        self.house.shared.ledger.get_or_init(|| drawer.clone());
        drawer
    }

    fn ask(&self, path: &str) -> RequestBuilder {
        self.house.client(None).get(self.house.url(path))
    }

    fn share(&self, epoch: usize, stake: usize) -> RequestBuilder {
        self.ask(&format!("/api/v1/rewards/{}/{}", self.numbers[epoch], self.stakes[stake]))
    }

    async fn proof(&self, epoch: usize, stake: usize) -> RewardProof {
        let answer = self.share(epoch, stake).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_found_in_its_epoch_and_paid_by_the_contracts() {
    let paid = Paid::new().await;
    // Before the master knows what it keeps it does not say that it keeps nothing.
    for path in ["/api/v1/rewards".to_owned(), format!("/api/v1/rewards/1/{}", paid.stakes[0])] {
        expect(paid.ask(&path), 503, "starting").await;
    }
    expect(paid.ask(&format!("/api/v1/evidence/{}", "ab".repeat(32))), 503, "starting").await;
    let drawer = paid.open_ledger();

    let epochs: RewardEpochs = paid.ask("/api/v1/rewards").send().await.unwrap().json().await.unwrap();
    assert_eq!(epochs.epochs, paid.numbers);
    let shares: Value =
        paid.ask(&format!("/api/v1/rewards/{}", paid.numbers[0])).send().await.unwrap().json().await.unwrap();
    assert_eq!(shares["shares"][0]["stake"], paid.stakes[0].to_string());

    expect(paid.share(0, 1), 404, "not_kept").await;
    expect(paid.share(1, 0), 404, "not_kept").await;
    let unknown = format!("/api/v1/rewards/77/{}", paid.stakes[0]);
    expect(paid.ask(&unknown), 404, "not_kept").await;
    for bad in [
        "/api/v1/rewards/x/0x01".to_owned(),
        format!("/api/v1/rewards/{}/nobody", paid.numbers[0]),
        format!("/api/v1/rewards/-1/{}", paid.stakes[0]),
        "/api/v1/rewards/18446744073709551616".to_owned(),
        "/api/v1/evidence/zz".to_owned(),
        format!("/api/v1/evidence/{}", "ab".repeat(31)),
    ] {
        let answer = paid.ask(&bad).send().await.unwrap();
        problem(answer, 400, "bad_query").await;
    }

    // What the gateway says is what the contracts take.
    let proof = paid.proof(1, 1).await;
    assert_eq!(proof.shard.opened, None, "nobody has opened it");
    let (shard, claim) = (shard(&proof), claim(&proof));
    let calls = &paid.scene.calls;
    let events =
        paid.scene.run(&paid.scene.staker, &calls.open_shard(proof.epoch.parse().unwrap(), &shard)).await;
    let [Event::ShardOpened(opened)] = &events[..] else { panic!("{events:?}") };
    let state: State = paid.scene.state().await;
    paid.house.shared.note_shards(state.money.shards.values());
    assert_eq!(paid.proof(1, 1).await.shard.opened, Some(opened.shard.to_string()));
    let events = paid.scene.run(&paid.scene.staker, &calls.claim(opened.shard, &claim)).await;
    let [Event::Claimed(claimed)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((claimed.stake, claimed.amount > 0), (paid.stakes[1], true));

    // Records by the digest that evidence on chain names them by.
    let digest = Id([0xd1; 32]);
    drawer.put(&records_key(&digest), b"{\"records\":[]}").unwrap();
    let found = paid.ask(&format!("/api/v1/evidence/{}", "d1".repeat(32))).send().await.unwrap();
    assert_eq!(found.text().await.unwrap(), "{\"records\":[]}");
    expect(paid.ask(&format!("/api/v1/evidence/{}", "d2".repeat(32))), 404, "not_kept").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_everything_does_not_keep_stakers_from_their_proofs() {
    let paid = Paid::new().await;
    paid.open_ledger();
    paid.proof(0, 0).await;
    let now_ms = paid.house.shared.now_ms();
    // Somebody asks for all shares of all epochs, as often as he can.
    while paid.house.shared.ledger_reads.lock().take(now_ms) {}
    expect(paid.ask(&format!("/api/v1/rewards/{}", paid.numbers[0])), 429, "too_many_requests").await;
    paid.proof(0, 0).await;
    let list = paid.ask("/api/v1/rewards").send().await.unwrap();
    assert_eq!(list.status(), 200, "every worker asks for the list of epochs");
    expect(paid.share(1, 1), 429, "too_many_requests").await;
    // Time gives both again, and what was made once is answered from memory.
    paid.house.wait(1_000);
    paid.proof(1, 1).await;
    std::fs::remove_dir_all(paid.dir.path().join("ledger")).unwrap();
    paid.proof(0, 0).await;
    paid.proof(1, 1).await;
    while paid.house.shared.ledger_proofs.lock().take(paid.house.shared.now_ms()) {}
    expect(paid.share(0, 0), 429, "too_many_requests").await;
}

fn bytes(hashes: &[String]) -> Vec<Vec<u8>> {
    hashes.iter().map(|hash| hex::decode(hash).unwrap()).collect()
}

fn shard(proof: &RewardProof) -> ShardProof {
    let shard = &proof.shard;
    let root = hex::decode(&shard.root).unwrap();
    ShardProof { index: shard.index, weight: shard.weight, root, proof: bytes(&shard.proof) }
}

fn claim(proof: &RewardProof) -> ClaimProof {
    let (stake, owner) = (proof.stake.parse().unwrap(), proof.owner.parse().unwrap());
    ClaimProof {
        index: proof.index,
        share: Share { stake, owner, weight: proof.weight },
        proof: bytes(&proof.proof),
    }
}
