use std::sync::Arc;

use tokio::sync::Semaphore;

/// Who waits for a turn: half of the connections from other machines that a small master has, so that others are still heard.
pub(crate) const WAITING: usize = 1_024;

/// Few threads for work that takes a processor or a device for milliseconds: who waits holds no thread, and when too many wait
/// the next is sent away at once.
pub(crate) struct Turns {
    turns: Arc<Semaphore>,
    places: Semaphore,
}

/// Why work was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TurnError {
    /// Too many wait already.
    #[error("{WAITING} wait for a turn already")]
    Busy,
    /// The thread ended.
    #[error("the work broke off")]
    BrokeOff,
}

impl Turns {
    /// So many threads at once.
    pub(crate) fn new(at_once: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(at_once)), places: Semaphore::new(WAITING) }
    }

    /// Does `work` on one of the threads, after this call.
    pub(crate) async fn take<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, TurnError> {
        let _place = self.places.try_acquire().map_err(|_| TurnError::Busy)?;
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| TurnError::BrokeOff)?;
        // The turn goes with the work: who no longer waits for the answer does not make room for one more thread.
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        made.await.map_err(|_| TurnError::BrokeOff)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::Receiver;
    use std::time::Duration;

    use super::*;

    const AT_ONCE: usize = 2;

    /// Counts who works at once; each takes until `gate` has a permit for it.
    struct Slow {
        now: AtomicUsize,
        most: AtomicUsize,
        gate: std::sync::Mutex<Receiver<()>>,
    }

    impl Slow {
        fn work(&self, number: usize) -> usize {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            self.gate.lock().unwrap().recv().unwrap();
            self.now.fetch_sub(1, Ordering::SeqCst);
            number
        }
    }

    #[tokio::test]
    async fn few_work_at_once_each_for_itself_and_a_crowd_is_sent_away() {
        let (open, gate) = std::sync::mpsc::channel();
        let slow = Arc::new(Slow { now: 0.into(), most: 0.into(), gate: gate.into() });
        let turns = Arc::new(Turns::new(AT_ONCE));
        let ask = |number: usize| {
            let (turns, slow) = (turns.clone(), slow.clone());
            tokio::spawn(async move { (number, turns.take(move || slow.work(number)).await) })
        };
        let asked: Vec<_> = (0..WAITING).map(ask).collect();
        while slow.now.load(Ordering::SeqCst) < AT_ONCE {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(ask(WAITING).await.unwrap().1, Err(TurnError::Busy));

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
            let (number, made) = asked.await.unwrap();
            assert_eq!(made, Ok(number));
        }
        assert_eq!(slow.most.load(Ordering::SeqCst), AT_ONCE);
    }
}
