//! Runs Kubernetes: PKI, control plane and node processes.
