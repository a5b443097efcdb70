use std::time::Duration;

/// Decides how one signed transaction is driven to a certain outcome. No IO, no clock of its own.
///
/// The digest of a signed transaction is fixed, and Sui executes a digest at most once. So the same
/// bytes may be sent any number of times, and only one thing is dangerous: to build *another* transaction
/// for the same purpose while the first may still be executed. [`Step::Reject`] is the only step that
/// permits it, and it is reached only with proof:
///
/// - the very first send was refused outright,
/// - the chain is in an epoch after the transaction's expiration and does not know its digest, or
/// - another transaction has consumed the version of the coin that this one pays with.
#[derive(Debug)]
pub(crate) struct Submission {
    /// A send may have reached the chain without our knowing its outcome.
    doubtful: bool,
    /// The last epoch in which the transaction can be executed.
    expires_epoch: u64,
    deadline_ms: u64,
    backoff: Duration,
    last: String,
}

const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send the signed bytes.
    Send,
    /// Ask for the digest.
    Lookup,
    /// Wait, then send.
    WaitAndSend(Duration),
    /// It was executed.
    Finish,
    /// It was not and never will be executed.
    Reject(String),
    /// Time is up and nothing is proven.
    GiveUp(String),
}

/// What came of a send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Effects came back.
    Executed,
    /// A definite refusal before execution.
    Refused(String),
    /// Anything else: timeout, dropped connection, overload.
    Doubtful(String),
}

/// What came of a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Looked {
    /// The chain has effects for the digest.
    Executed,
    /// The chain does not know the digest, and is in this epoch.
    Absent {
        /// The chain's epoch, read before the lookup; see [`Submission::looked`].
        epoch: u64,
        /// Whether another transaction is known to have consumed one of its inputs.
        consumed: bool,
    },
    /// No answer.
    Silent(String),
}

impl Submission {
    /// Starts with a transaction. `sent_before` is true when it was signed by an earlier run, which may
    /// have sent it.
    pub(crate) fn new(
        expires_epoch: u64,
        sent_before: bool,
        now_ms: u64,
        patience: Duration,
    ) -> (Submission, Step) {
        let submission = Submission {
            doubtful: sent_before,
            expires_epoch,
            deadline_ms: now_ms.saturating_add(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX)),
            backoff: FIRST_BACKOFF,
            last: "it was signed by an earlier run".to_owned(),
        };
        let step = if sent_before { Step::Lookup } else { Step::Send };
        (submission, step)
    }

    /// After [`Step::Send`] or [`Step::WaitAndSend`].
    pub(crate) fn sent(&mut self, outcome: Sent) -> Step {
        match outcome {
            Sent::Executed => Step::Finish,
            Sent::Refused(reason) if !self.doubtful => Step::Reject(reason),
            // An earlier send may have been executed, which is itself a reason to refuse this one.
            Sent::Refused(reason) | Sent::Doubtful(reason) => {
                self.doubtful = true;
                self.last = reason;
                Step::Lookup
            }
        }
    }

    /// After [`Step::Lookup`]. The epoch must have been read *before* the lookup: only then does an
    /// absent digest prove that it was not executed by the end of the epochs before.
    pub(crate) fn looked(&mut self, outcome: Looked, now_ms: u64) -> Step {
        match outcome {
            Looked::Executed => return Step::Finish,
            Looked::Absent { epoch, .. } if epoch > self.expires_epoch => {
                return Step::Reject(format!(
                    "it expired with epoch {} and was not executed",
                    self.expires_epoch
                ));
            }
            Looked::Absent { consumed: true, .. } => {
                return Step::Reject("another transaction has used the coin that it pays with".to_owned());
            }
            Looked::Absent { .. } => {}
            Looked::Silent(reason) => self.last = reason,
        }
        if now_ms >= self.deadline_ms {
            return Step::GiveUp(self.last.clone());
        }
        let wait = self.backoff;
        self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
        Step::WaitAndSend(wait)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn refused() -> Sent {
        Sent::Refused("stale".into())
    }

    fn doubtful() -> Sent {
        Sent::Doubtful("timeout".into())
    }

    #[test]
    fn a_first_refusal_is_proof() {
        let (mut submission, step) = Submission::new(1, false, 0, PATIENCE);
        assert_eq!(step, Step::Send);
        assert_eq!(submission.sent(refused()), Step::Reject("stale".into()));
    }

    #[test]
    fn a_refusal_after_doubt_is_not() {
        let (mut submission, _) = Submission::new(1, false, 0, PATIENCE);
        assert_eq!(submission.sent(doubtful()), Step::Lookup);
        assert!(matches!(
            submission.looked(Looked::Absent { epoch: 1, consumed: false }, 1),
            Step::WaitAndSend(_)
        ));
        assert_eq!(submission.sent(refused()), Step::Lookup);
        assert_eq!(
            submission.looked(Looked::Absent { epoch: 1, consumed: false }, 10_000),
            Step::GiveUp("stale".into())
        );
    }

    #[test]
    fn a_consumed_coin_is_proof() {
        let (mut submission, _) = Submission::new(4, true, 0, PATIENCE);
        assert!(matches!(submission.looked(Looked::Absent { epoch: 4, consumed: true }, 0), Step::Reject(_)));
    }

    #[test]
    fn expiry_is_proof() {
        let (mut submission, step) = Submission::new(4, true, 0, PATIENCE);
        assert_eq!(step, Step::Lookup);
        assert!(matches!(
            submission.looked(Looked::Absent { epoch: 5, consumed: false }, 0),
            Step::Reject(_)
        ));
    }

    #[test]
    fn a_transaction_of_an_earlier_run_is_looked_up_before_it_is_sent() {
        let (mut submission, step) = Submission::new(4, true, 0, PATIENCE);
        assert_eq!(step, Step::Lookup);
        assert_eq!(submission.looked(Looked::Executed, 0), Step::Finish);
    }

    /// A chain with one gas coin: a transaction executes only on the coin's present version and at most once.
    struct Chain {
        coin_version: u64,
        executed: Vec<u64>,
        epoch: u64,
    }

    /// One signed transaction: the coin version it was built on is its digest.
    fn arrive(chain: &mut Chain, digest: u64, built_on: u64, expires: u64) -> Sent {
        if chain.executed.contains(&digest) {
            return Sent::Executed;
        }
        if built_on != chain.coin_version || chain.epoch > expires {
            return refused();
        }
        chain.executed.push(digest);
        chain.coin_version += 1;
        Sent::Executed
    }

    #[derive(Clone, Debug)]
    enum Weather {
        Fine,
        RequestLost,
        ReplyLost,
        /// The request is lost for us and arrives only now: before the next send.
        Late,
        StrangerUsesCoin,
        EpochEnds,
        /// A node refuses although it has no reason to.
        NodeIsWrong,
    }

    fn weather() -> impl Strategy<Value = Weather> {
        prop_oneof![
            Just(Weather::Fine),
            Just(Weather::RequestLost),
            Just(Weather::ReplyLost),
            Just(Weather::Late),
            Just(Weather::StrangerUsesCoin),
            Just(Weather::EpochEnds),
            Just(Weather::NodeIsWrong),
        ]
    }

    proptest! {
        /// The caller rebuilds after every `Reject`. However bad the network, one purpose never takes effect
        /// twice, and `Finish` is only said when it did take effect.
        #[test]
        fn one_purpose_takes_effect_at_most_once(mut sky in proptest::collection::vec(weather(), 0..60)) {
            let mut chain = Chain { coin_version: 0, executed: vec![], epoch: 0 };
            let mut now = 0;
            let mut in_transit: Vec<(u64, u64, u64)> = vec![];
            let mut finished = false;
            'rebuild: for digest in 0..20u64 {
                let (built_on, expires) = (chain.coin_version, chain.epoch + 1);
                let (mut submission, mut step) = Submission::new(expires, false, now, PATIENCE);
                loop {
                    step = match step {
                        Step::Send | Step::WaitAndSend(_) => {
                            if let Step::WaitAndSend(wait) = step { now += wait.as_millis() as u64; }
                            for (d, b, e) in std::mem::take(&mut in_transit) {
                                arrive(&mut chain, d, b, e);
                            }
                            match sky.pop().unwrap_or(Weather::Fine) {
                                Weather::Fine => submission.sent(arrive(&mut chain, digest, built_on, expires)),
                                Weather::RequestLost => submission.sent(doubtful()),
                                Weather::ReplyLost => {
                                    arrive(&mut chain, digest, built_on, expires);
                                    submission.sent(doubtful())
                                }
                                Weather::Late => {
                                    in_transit.push((digest, built_on, expires));
                                    submission.sent(doubtful())
                                }
                                Weather::StrangerUsesCoin => {
                                    chain.coin_version += 1;
                                    submission.sent(arrive(&mut chain, digest, built_on, expires))
                                }
                                Weather::NodeIsWrong => submission.sent(refused()),
                                Weather::EpochEnds => {
                                    chain.epoch += 1;
                                    submission.sent(arrive(&mut chain, digest, built_on, expires))
                                }
                            }
                        }
                        Step::Lookup => match sky.pop().unwrap_or(Weather::Fine) {
                            Weather::RequestLost | Weather::ReplyLost => {
                                now += 1000;
                                submission.looked(Looked::Silent("timeout".into()), now)
                            }
                            _ if chain.executed.contains(&digest) => submission.looked(Looked::Executed, now),
                            _ => {
                                let consumed = chain.coin_version != built_on;
                                submission.looked(Looked::Absent { epoch: chain.epoch, consumed }, now)
                            }
                        },
                        Step::Finish => {
                            prop_assert!(chain.executed.contains(&digest));
                            finished = true;
                            break 'rebuild;
                        }
                        Step::Reject(_) => continue 'rebuild,
                        Step::GiveUp(_) => break 'rebuild,
                    };
                }
            }
            for (d, b, e) in in_transit {
                arrive(&mut chain, d, b, e);
            }
            prop_assert!(chain.executed.len() <= 1, "executed {:?}", chain.executed);
            prop_assert!(!finished || chain.executed.len() == 1);
        }
    }
}
