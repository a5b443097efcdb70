//! Kubernetes as the master drives it: what is there, one change at a time, and what has to be there from
//! the start. The decisions are [`crate::membership::plan`]'s.

mod addons;
mod bootstrap;
mod client;
mod nodes;
mod objects;
mod policies;
mod reconcile;

pub(crate) use client::Kubernetes;
pub(crate) use reconcile::Reconciler;
