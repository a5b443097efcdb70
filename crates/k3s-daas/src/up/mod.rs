//! What `up` does besides talking: puts the cluster on chain, runs the parts, shows that it works.

pub(crate) mod demo;
pub(crate) mod kubectl;
pub(crate) mod on_chain;
pub(crate) mod parts;
pub(crate) mod record;
