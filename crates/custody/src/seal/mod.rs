//! Key servers of Seal over their documented HTTP API: `GET /v1/service` and `POST /v1/fetch_key`, JSON. What is encrypted to them, and
//! who of them gave what, is [`tee::custody::seal`].

mod asking;
mod key_server;
mod session;
mod wire;

pub use asking::KeyServers;
pub use key_server::{KeyServerError, check_possession, read_key_servers};
