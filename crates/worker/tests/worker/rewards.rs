//! What the worker shows of the stake's rewards.

use api::{RewardProof, RewardState, RewardStatus, ShardOfEpoch};
use worker::{Epoch, ObjectId};

use crate::support::{Bench, Fault};

fn share(number: u64) -> RewardProof {
    RewardProof {
        number,
        epoch: ObjectId([0xe9; 32]).to_string(),
        stake: ObjectId([0x57; 32]).to_string(),
        owner: ObjectId([0x0e; 32]).to_string(),
        weight: 3,
        index: 5,
        proof: Vec::new(),
        shard: ShardOfEpoch { index: 0, weight: 3, root: "00".repeat(32), proof: Vec::new(), opened: None },
    }
}

fn rewards(fits: impl Fn(&RewardStatus) -> bool) -> impl Fn(&api::WorkerStatus) -> bool {
    move |status| status.rewards.as_ref().is_some_and(&fits)
}

#[tokio::test]
async fn shares_are_shown_as_master_and_chain_have_them() {
    let (mut bench, _running) = Bench::start(|config, _, _, _| config.clone(), Fault::None).await;
    let none = bench.wait("looked", rewards(|rewards| rewards.checked_ms.is_some())).await;
    let RewardStatus { epoch, mist, state, problem, .. } = none.rewards.unwrap();
    assert_eq!((epoch, mist, state, problem), (None, None, None, None));
    let (_, text) = bench.get("/metrics").await;
    assert!(text.contains("k3s_daas_worker_reward_checked_timestamp_seconds{} "), "{text}");
    assert!(!text.contains("\nk3s_daas_worker_reward_mist{"), "what is not known is not zero: {text}");

    // Three epochs; the node was down in the last one.
    let epoch = Epoch { budget: 1_000, weight: 6, deadline_ms: u64::MAX, claimed: false };
    *bench.chain.epoch.lock() = Some(epoch);
    *bench.gateway.rewards.lock() = vec![(2, Some(share(2))), (3, Some(share(3))), (4, None)];
    let paid = bench.wait("a share", rewards(|rewards| rewards.epoch == Some(3))).await.rewards.unwrap();
    assert_eq!((paid.mist, paid.state), (Some(500), Some(RewardState::Claimable)));
    let (_, text) = bench.get("/metrics").await;
    for line in [
        "k3s_daas_worker_reward_epoch{} 3",
        "k3s_daas_worker_reward_mist{} 500",
        "k3s_daas_worker_reward_state{state=\"claimable\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }

    // Somebody opens the shard, and the share is claimed.
    let shard = ObjectId([0x5d; 32]);
    let mut opened = share(3);
    opened.shard.opened = Some(shard.to_string());
    *bench.gateway.rewards.lock() = vec![(3, Some(opened)), (4, None)];
    *bench.chain.epoch.lock() = Some(Epoch { claimed: true, ..epoch });
    bench.wait("claimed", rewards(|rewards| rewards.state == Some(RewardState::Claimed))).await;
    let asked = bench.chain.asked.lock().clone().unwrap();
    assert_eq!((asked.number, asked.shard, asked.index), (3, Some(shard.into()), 5));

    // A look that fails says so, and what is known stays.
    *bench.chain.up.lock() = false;
    let old = bench.wait("failed", rewards(|rewards| rewards.problem.is_some())).await.rewards.unwrap();
    assert_eq!((old.epoch, old.state), (Some(3), Some(RewardState::Claimed)));
    assert_eq!(old.problem.unwrap().reason, "chain_unreachable");
    *bench.chain.up.lock() = true;
    bench.wait("well again", rewards(|rewards| rewards.problem.is_none())).await;
    // A master that tells of somebody else's share is not believed.
    let mut other = share(5);
    other.stake = ObjectId([0x57; 32]).to_string();
    other.epoch = "nonsense".to_owned();
    *bench.gateway.rewards.lock() = vec![(5, Some(other))];
    let bad = bench.wait("refused", rewards(|rewards| rewards.problem.is_some())).await.rewards.unwrap();
    assert_eq!(bad.problem.unwrap().reason, "bad_reward_proof");
    bench.stop().await;
}
