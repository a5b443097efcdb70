use chain::{Address, NodeStatement};
use ring::rand::{SecureRandom, SystemRandom};

use crate::agent::{Failure, FailureKind};
use crate::{HolderKey, clock};

/// Signs what this node says of itself, never two things about one time: that would be a contradiction, which
/// costs stake.
pub(crate) struct Statements {
    cluster: Address,
    token: Address,
    last_ms: u64,
}

impl Statements {
    pub(crate) fn new(cluster: Address, token: Address) -> Self {
        Self { cluster, token, last_ms: 0 }
    }

    /// Gives the heartbeat with its signature, a little later than its time when one was signed for that already.
    pub(crate) fn sign(
        &mut self,
        key: &HolderKey,
        mut beat: api::Heartbeat,
    ) -> Result<api::Heartbeat, Failure> {
        beat.timestamp_ms = beat.timestamp_ms.max(self.last_ms.saturating_add(1));
        self.last_ms = beat.timestamp_ms;
        let statement = NodeStatement {
            cluster: self.cluster,
            token: self.token,
            subject: beat.subject(),
            sequence: beat.timestamp_ms,
            digest: beat.digest().to_vec(),
        };
        let message = statement.message(beat.timestamp_ms).map_err(|error| Failure {
            kind: FailureKind::Failed,
            reason: "statement".to_owned(),
            message: error.to_string(),
        })?;
        beat.signature = Some(hex::encode(key.sign(&message)));
        Ok(beat)
    }
}

/// Who this process is.
pub(crate) fn instance() -> Result<api::Instance, crate::HolderKeyError> {
    let mut id = [0; 16];
    SystemRandom::new().fill(&mut id).map_err(|_| crate::HolderKeyError::Random)?;
    Ok(api::Instance { id: hex::encode(id), started_ms: clock::now_ms() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_signed_twice_for_one_time_also_when_the_clock_goes_back() {
        let dir = tempfile::tempdir().unwrap();
        let key = HolderKey::open_or_create(&dir.path().join("k")).unwrap();
        let mut statements = Statements::new(Address::ZERO, Address::ZERO);
        let beat = |timestamp_ms, ready| api::Heartbeat {
            node_name: "n".into(),
            timestamp_ms,
            ready,
            reason: None,
            metrics: api::NodeMetrics::default(),
            instance: api::Instance { id: "00".repeat(16), started_ms: 1 },
            signature: None,
        };
        let mut times = Vec::new();
        for (time, ready) in [(100, true), (100, false), (50, true)] {
            let signed = statements.sign(&key, beat(time, ready)).unwrap();
            assert_eq!(signed.digest(), api::Heartbeat { signature: None, ..signed.clone() }.digest());
            times.push(signed.timestamp_ms);
        }
        assert_eq!(times, [100, 101, 102]);
    }
}
