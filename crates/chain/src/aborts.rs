use crate::refusal::Abort;

/// Every abort constant of `contracts/sources`, with what to tell a person.
pub(crate) const ABORTS: &[Abort] = &[];
