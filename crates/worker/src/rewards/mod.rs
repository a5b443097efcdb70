//! What the stake has earned: asked of the master for the proof, and of the chain for what that is worth and whether it was claimed.

mod watch;

use std::time::Duration;

use api::{RewardProof, RewardState, RewardStatus};
use tokio_util::sync::CancellationToken;

use crate::agent::Failure;
use crate::chain_source::{Epoch, PostedShare};
use crate::clock;
use crate::gateway::Attested;
use crate::shell::Shell;

pub(crate) use watch::Watch;

/// How often is looked whether it is time.
const LOOK: Duration = Duration::from_secs(1);
/// So many epochs are asked about, the newest first: a node that was down for all of the last ones has a share further back, if at all.
const EPOCHS: usize = 3;

/// Looks every now and then, until `shutdown`. Nothing waits for it.
pub(crate) async fn keep_looking(shell: &Shell, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        if !shell.rewards.lock().is_due(clock::now_ms()) {
            continue;
        }
        // Before there is a master that is trusted, there is nobody to ask.
        let (Some(gateway), Some(stake)) = (shell.trusted(), shell.stake()) else { continue };
        let found = look(shell, &gateway, &stake.to_string()).await;
        if let Err(failure) = &found {
            tracing::debug!(reason = failure.reason, "cannot look at the rewards: {}", failure.message);
        }
        let found =
            found.map_err(|failure| api::ErrorBody { reason: failure.reason, message: failure.message });
        shell.rewards.lock().looked(clock::now_ms(), found);
    }
}

async fn look(shell: &Shell, gateway: &Attested, stake: &str) -> Result<RewardStatus, Failure> {
    let mut numbers = gateway.reward_epochs().await?;
    numbers.sort_unstable();
    for number in numbers.into_iter().rev().take(EPOCHS) {
        if let Some(proof) = gateway.reward_proof(number, stake).await? {
            let share = posted(&proof, stake)?;
            let epoch = shell.chain.epoch(&share).await?;
            return Ok(status(&share, epoch.as_ref(), clock::now_ms()));
        }
    }
    Ok(RewardStatus::default())
}

/// What of a proof leads to the objects on chain. That it is right is checked there, when it is claimed.
fn posted(proof: &RewardProof, stake: &str) -> Result<PostedShare, Failure> {
    let malformed = |what: &str| Failure {
        kind: crate::agent::FailureKind::Failed,
        reason: "bad_reward_proof".to_owned(),
        message: format!("the master's proof of a reward has no usable {what}"),
    };
    if proof.stake != stake {
        return Err(malformed("stake"));
    }
    let shard = proof.shard.opened.as_ref().map(|id| id.parse()).transpose();
    Ok(PostedShare {
        number: proof.number,
        epoch: proof.epoch.parse().map_err(|_| malformed("epoch"))?,
        shard: shard.map_err(|_| malformed("shard"))?,
        weight: proof.weight,
        index: proof.index,
    })
}

/// What the chain says of it at `now_ms`; an epoch that is not there any more was swept after its deadline.
fn status(share: &PostedShare, epoch: Option<&Epoch>, now_ms: u64) -> RewardStatus {
    let state = match epoch {
        Some(epoch) if epoch.claimed => RewardState::Claimed,
        Some(epoch) if now_ms < epoch.deadline_ms => RewardState::Claimable,
        _ => RewardState::Lapsed,
    };
    RewardStatus {
        epoch: Some(share.number),
        mist: epoch.map(|epoch| part(epoch.budget, share.weight, epoch.weight)),
        state: Some(state),
        claim_until_ms: epoch.map(|epoch| epoch.deadline_ms),
        ..RewardStatus::default()
    }
}

/// As `rewards::part` of the contracts.
fn part(budget: u64, weight: u64, total: u64) -> u64 {
    let part = u128::from(budget) * u128::from(weight) / u128::from(total.max(1));
    u64::try_from(part).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_what_the_chain_says() {
        let share = PostedShare { number: 4, epoch: chain::Address::ZERO, shard: None, weight: 3, index: 0 };
        let epoch = Epoch { budget: 1_000, weight: 7, deadline_ms: 50, claimed: false };
        let of = |epoch: Option<&Epoch>, now_ms| {
            let status = status(&share, epoch, now_ms);
            (status.epoch, status.mist, status.state.unwrap())
        };
        assert_eq!(of(Some(&epoch), 49), (Some(4), Some(428), RewardState::Claimable));
        assert_eq!(of(Some(&epoch), 50), (Some(4), Some(428), RewardState::Lapsed));
        let claimed = Epoch { claimed: true, ..epoch };
        assert_eq!(of(Some(&claimed), 60), (Some(4), Some(428), RewardState::Claimed));
        assert_eq!(of(None, 0), (Some(4), None, RewardState::Lapsed));
        assert_eq!(part(u64::MAX, u64::MAX, 1), u64::MAX);
        assert_eq!(part(1, 1, 0), 1);
    }
}
