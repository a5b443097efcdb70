//! The worker's end of its tunnel: opened to the attested master, kept open, and leading to this node's kubelet and pods
//! only. The master reaches nothing else of this machine or its network through it.

mod counts;
mod door;
mod keeper;

pub(crate) use counts::TunnelCounts;
pub use door::{Pods, Reach};
pub(crate) use keeper::{TunnelKeeper, TunnelTarget};
