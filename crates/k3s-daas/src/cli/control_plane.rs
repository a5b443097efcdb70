use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

/// What `up` and `master` say about the control plane alike.
#[derive(Clone, Debug, Args)]
pub(crate) struct ControlPlaneFlags {
    /// Leave one of these out: coredns, servicelb, local-storage, metrics-server
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) disable: Vec<String>,
    /// Whose control plane runs
    #[arg(long, value_enum, value_name = "ENGINE")]
    pub(crate) engine: Option<ControlPlaneEngine>,
    /// The k3s binary for --engine k3s, when it is not in PATH
    #[arg(long, value_name = "FILE")]
    pub(crate) k3s_binary: Option<PathBuf>,
    /// Serve though the chain cannot be reached, which alone knows whether this is the latest state
    #[arg(long)]
    pub(crate) accept_unanchored: bool,
}

/// Whose control plane runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ControlPlaneEngine {
    /// kube-apiserver, kube-controller-manager and kube-scheduler of bin/kubernetes
    #[value(alias = "builtin")]
    Kubernetes,
    /// `k3s server` on the same sealed store, of a binary that you provide
    K3s,
}

impl ControlPlaneEngine {
    /// As the configuration says it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::K3s => "k3s",
        }
    }
}

impl ControlPlaneFlags {
    /// The same for a `master` that is started with them.
    pub(crate) fn passed_on(&self) -> Vec<String> {
        let mut flags = Vec::new();
        let mut flag = |name: &str, value: String| flags.extend([name.to_owned(), value]);
        if !self.disable.is_empty() {
            flag("--disable", self.disable.join(","));
        }
        if let Some(engine) = self.engine {
            flag("--engine", engine.as_str().to_owned());
        }
        if let Some(binary) = &self.k3s_binary {
            flag("--k3s-binary", absolute(binary).to_string_lossy().into_owned());
        }
        if self.accept_unanchored {
            flags.push("--accept-unanchored".to_owned());
        }
        flags
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
