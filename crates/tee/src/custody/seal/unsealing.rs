use std::collections::BTreeMap;

use super::{EncryptedObject, IdentityKey, ServerKey};
use crate::custody::polling::{HolderState, Poll, Polling};
use crate::custody::{CustodyError, Step};

/// Collects key servers' keys for an [`EncryptedObject`] until there are enough of them. Without IO: whoever runs it asks the servers that
/// [`Self::step`] names and tells what came of it.
#[derive(Debug)]
pub struct Unsealing {
    object: EncryptedObject,
    full_id: Vec<u8>,
    servers: Vec<KeyServer>,
    polling: Polling,
    keys: BTreeMap<usize, IdentityKey>,
}

/// A key server, as Seal's object on chain has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyServer {
    /// The object.
    pub object: [u8; 32],
    /// For people.
    pub name: String,
    /// Where it answers.
    pub url: String,
    /// By which its keys are verified.
    pub key: ServerKey,
}

impl Unsealing {
    /// Begins now and gives up at `deadline_ms`. `servers` are those of the object, in its order.
    ///
    /// # Errors
    /// [`CustodyError::Committee`] when they are others.
    pub fn new(
        object: EncryptedObject,
        servers: Vec<KeyServer>,
        now_ms: u64,
        deadline_ms: u64,
    ) -> Result<Self, CustodyError> {
        if !object.servers().eq(servers.iter().map(|server| server.object)) {
            return Err(CustodyError::Committee("other key servers than the object's".to_owned()));
        }
        let polling = Polling::new(servers.len(), now_ms, deadline_ms);
        let full_id = object.identity().full();
        Ok(Self { object, full_id, servers, polling, keys: BTreeMap::new() })
    }

    /// What to do now. Servers that it names are taken to be asked.
    pub fn step(&mut self, now_ms: u64) -> Step {
        let threshold = self.object.threshold();
        if self.keys.len() >= threshold {
            return match self.object.open(&self.keys) {
                Ok(secret) => Step::Done(secret),
                Err(error) => Step::Failed(error),
            };
        }
        match self.polling.poll(now_ms, threshold) {
            Poll::Ask(whom) => Step::Ask(whom),
            Poll::Wait(until_ms) => Step::Wait { until_ms },
            Poll::Over => {
                let names = self.servers.iter().map(|server| server.name.as_str());
                let who = self.polling.describe(names, "key");
                Step::Failed(CustodyError::TooFew { good: self.keys.len(), threshold, who })
            }
        }
    }

    /// A server gave `key`; says whether it is the one that its public key makes.
    pub fn gave(&mut self, server: usize, key: IdentityKey) -> bool {
        if !self.polling.is_asked(server) {
            return false;
        }
        let good = self.servers.get(server).is_some_and(|known| key.is_of(&self.full_id, &known.key));
        self.polling.answered(server, if good { HolderState::Gave } else { HolderState::Lies });
        if good {
            self.keys.insert(server, key);
        }
        good
    }

    /// A server answered with something that is no key for us: as good as a wrong one.
    pub fn gave_nonsense(&mut self, server: usize) {
        self.polling.answered(server, HolderState::Lies);
    }

    /// A server could not be reached, or could not answer now; it is asked again later.
    pub fn failed(&mut self, server: usize, why: String, now_ms: u64) {
        self.polling.failed(server, why, now_ms);
    }

    /// A server refused.
    pub fn refused(&mut self, server: usize, why: String) {
        self.polling.answered(server, HolderState::Refuses(why));
    }

    /// The servers, in the object's order.
    #[must_use]
    pub fn servers(&self) -> &[KeyServer] {
        &self.servers
    }

    /// Names of those who gave something else than their key.
    pub fn liars(&self) -> impl Iterator<Item = &str> {
        let all = self.servers.iter().zip(self.polling.holders());
        all.filter(|(_, state)| **state == HolderState::Lies).map(|(server, _)| server.name.as_str())
    }
}
