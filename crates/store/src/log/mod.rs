//! The log on disk: which files there are, how they are written, and what is made of them at start.
//!
//! `<number>.log` are segments, `<sequence>.snap` is the snapshot that the oldest needed segment continues. Files
//! get their name only when they are whole and durable.

mod directory;
mod frame_text;
mod identity;
mod recover;
mod requests;
mod segments;

pub(crate) use directory::Directory;
pub(crate) use frame_text::{read_commands, write_command};
pub(crate) use identity::Identity;
pub(crate) use recover::{Recovered, look, recover, unreadable};
pub use requests::logged_requests;
pub(crate) use segments::{Inventory, Segments};
