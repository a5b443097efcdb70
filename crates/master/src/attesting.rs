use std::sync::Arc;

use tee::{Evidence, Platform, TeeError};
use tokio::sync::Semaphore;

use crate::shared::Clock;

/// Threads that attest. Hardware does it one after the other anyhow; the second prepares meanwhile.
const AT_ONCE: usize = 2;
/// Who waits for a turn: half of the connections from other machines, so that others are still heard.
const WAITING: usize = 1_024;

/// Fresh evidence for whoever asks, each for its own report data, made by few threads: who waits holds no thread, and when too
/// many wait the next is sent away at once.
pub(crate) struct Attester {
    platform: Arc<dyn Platform>,
    clock: Clock,
    turns: Arc<Semaphore>,
    places: Semaphore,
}

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttestError {
    /// Too many wait already.
    #[error("{WAITING} wait for evidence already")]
    Busy,
    /// The platform gave none.
    #[error("the platform gave no evidence")]
    Platform(#[source] TeeError),
    /// The thread ended.
    #[error("attesting broke off")]
    BrokeOff,
}

impl Attester {
    pub(crate) fn new(platform: Arc<dyn Platform>, clock: Clock) -> Self {
        Self { platform, clock, turns: Arc::new(Semaphore::new(AT_ONCE)), places: Semaphore::new(WAITING) }
    }

    /// Evidence over `report_data`, made after this call.
    pub(crate) async fn attest(&self, report_data: [u8; 64]) -> Result<Evidence, AttestError> {
        let _place = self.places.try_acquire().map_err(|_| AttestError::Busy)?;
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| AttestError::BrokeOff)?;
        let (platform, now_ms) = (self.platform.clone(), (self.clock)());
        // The turn goes with the work: who no longer waits for the answer does not make room for a third thread.
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            platform.attest(&report_data, now_ms)
        });
        made.await.map_err(|_| AttestError::BrokeOff)?.map_err(AttestError::Platform)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tee::{KeyPolicy, Measurements, PlatformKind, SealingKey};

    use super::*;

    /// Counts who attests at once; each takes until `gate` has a permit for it.
    struct Slow {
        now: AtomicUsize,
        most: AtomicUsize,
        gate: std::sync::Mutex<std::sync::mpsc::Receiver<()>>,
    }

    impl Platform for Slow {
        fn kind(&self) -> PlatformKind {
            PlatformKind::Tpm
        }

        fn measurement(&self) -> Measurements {
            Measurements::new()
        }

        fn attest(&self, report_data: &[u8; 64], _: u64) -> Result<Evidence, TeeError> {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            let opened = self.gate.lock().unwrap().recv();
            self.now.fetch_sub(1, Ordering::SeqCst);
            let part = ("quote".to_owned(), report_data.to_vec());
            opened.map_err(|_| TeeError::Random)?;
            Ok(Evidence::new(PlatformKind::Tpm, [part].into()))
        }

        fn sealing_key(&self, _: KeyPolicy) -> Result<SealingKey, TeeError> {
            Err(TeeError::NoLocalSealing { kind: PlatformKind::Tpm })
        }
    }

    #[tokio::test]
    async fn few_attest_at_once_each_for_its_own_data_and_a_crowd_is_sent_away() {
        let (open, gate) = std::sync::mpsc::channel();
        let slow = Arc::new(Slow { now: 0.into(), most: 0.into(), gate: gate.into() });
        let attester = Arc::new(Attester::new(slow.clone(), Arc::new(|| 0)));
        let ask = |number: usize| {
            let attester = attester.clone();
            let mut report_data = [0; 64];
            report_data[..8].copy_from_slice(&number.to_le_bytes());
            tokio::spawn(async move { (report_data, attester.attest(report_data).await) })
        };
        let asked: Vec<_> = (0..WAITING).map(ask).collect();
        while slow.now.load(Ordering::SeqCst) < AT_ONCE {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(matches!(ask(WAITING).await.unwrap().1, Err(AttestError::Busy)));

        // Whoever gives up makes room for another to wait, not for another thread.
        for given_up in &asked[..10] {
            given_up.abort();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(slow.most.load(Ordering::SeqCst), AT_ONCE);
        let late: Vec<_> = (0..5).map(|number| ask(WAITING + 1 + number)).collect();

        for _ in 0..WAITING + 5 {
            open.send(()).unwrap();
        }
        for asked in asked.into_iter().skip(10).chain(late) {
            let (report_data, made) = asked.await.unwrap();
            assert_eq!(made.unwrap().part("quote"), Some(&report_data[..]));
        }
        assert_eq!(slow.most.load(Ordering::SeqCst), AT_ONCE);
    }
}
