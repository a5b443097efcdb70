use std::net::IpAddr;
use std::path::PathBuf;

use super::Call;

/// What `k3s agent` runs with, to join a gateway of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct K3sAgent {
    /// Folder for its state.
    pub data_dir: PathBuf,
    /// URL of the gateway, which speaks K3s' join protocol.
    pub gateway: String,
    /// File with the token, `K10<hash>::seal:<proof>`.
    pub token_file: String,
    /// Name of the node, pinned on chain.
    pub node_name: String,
    /// Its address.
    pub node_ip: IpAddr,
}

impl K3sAgent {
    /// Arguments and environment of `k3s`.
    pub fn call(&self) -> Call {
        let mut call = Call::new("agent");
        call.flag("data-dir", self.data_dir.display());
        call.flag("node-name", &self.node_name);
        call.flag("node-ip", self.node_ip);
        call.env("K3S_URL", &self.gateway);
        call.env("K3S_TOKEN_FILE", &self.token_file);
        call
    }
}
