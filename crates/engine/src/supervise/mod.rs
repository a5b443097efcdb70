//! Child processes: started again with backoff when they end, their output prefixed with their name, gone when
//! we are gone.

mod backoff;
mod child;
mod leftovers;
mod log;
mod program;
mod spawner;
mod status;

pub use child::Child;
pub use leftovers::{Leftover, leftovers, stop_all};
pub(crate) use program::absolute;
pub use program::{MARKER, Program};
pub use status::{ChildState, ChildStatus};
