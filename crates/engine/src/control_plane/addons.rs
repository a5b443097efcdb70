//! What runs beside the control plane for users: metrics-server, and the controllers that K3s brings.

use super::LIFETIME_SECONDS;
use super::config::ControlPlaneConfig;
use super::error::ControlPlaneError;
use super::programs::{file, kubelet_address_types, with_kubeconfig};
use crate::batteries::Battery;
use crate::node::BUSYBOX_IMAGE;
use crate::pki::{ClusterPki, Profile};
use crate::supervise::Program;

/// The user as whom the add-on controllers speak to kube-apiserver.
pub const CONTROLLERS_USER: &str = "k3s-daas:addon-controllers";
/// The user as whom metrics-server speaks to kube-apiserver and kubelets.
pub const METRICS_USER: &str = "k3s-daas:metrics-server";
/// The name in metrics-server's certificate: its service's.
pub const METRICS_SERVER_NAME: &str = "metrics-server.kube-system.svc";

/// Those that are on.
pub(crate) fn programs(
    config: &ControlPlaneConfig,
    pki: &ClusterPki,
    now_ms: u64,
) -> Result<Vec<Program>, ControlPlaneError> {
    let mut programs = Vec::new();
    let controllers: Vec<&str> = [Battery::Servicelb, Battery::LocalStorage]
        .into_iter()
        .filter(|battery| config.disabled.leaves(*battery))
        .map(Battery::as_str)
        .collect();
    if !controllers.is_empty() {
        programs.push(self::controllers(config, pki, now_ms, &controllers.join(","))?);
    }
    if config.disabled.leaves(Battery::MetricsServer) {
        programs.push(metrics_server(config, pki, now_ms)?);
    }
    Ok(programs)
}

fn controllers(
    config: &ControlPlaneConfig,
    pki: &ClusterPki,
    now_ms: u64,
    which: &str,
) -> Result<Program, ControlPlaneError> {
    let (program, kubeconfig) = with_kubeconfig(config, pki, now_ms, "addon-controllers", CONTROLLERS_USER)?;
    let mut reserved = config.reserved_ports.clone();
    reserved.push(config.listen.port());
    let reserved: Vec<String> = reserved.iter().map(u16::to_string).collect();
    Ok(program.args([
        format!("--kubeconfig={kubeconfig}"),
        format!("--controllers={which}"),
        format!("--reserved-ports={}", reserved.join(",")),
        format!("--local-path-root={}", config.storage_root.display()),
        format!("--helper-image={BUSYBOX_IMAGE}"),
    ]))
}

fn metrics_server(
    config: &ControlPlaneConfig,
    pki: &ClusterPki,
    now_ms: u64,
) -> Result<Program, ControlPlaneError> {
    let names = [METRICS_SERVER_NAME.to_owned(), "localhost".to_owned()];
    let serving = Profile::server("metrics-server", &names, &[], LIFETIME_SECONDS);
    let serving = pki.issue(&serving, now_ms)?;
    let to_kubelets = pki.issue(&Profile::client(METRICS_USER, &[], LIFETIME_SECONDS), now_ms)?;
    let (mut program, kubeconfig) = with_kubeconfig(config, pki, now_ms, "metrics-server", METRICS_USER)?;
    let serving_key = program.secret(serving.key.as_bytes());
    let kubelet_key = program.secret(to_kubelets.key.as_bytes());
    let mut program = program.args([
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", config.metrics_port),
        format!("--tls-cert-file={}", file(config, "metrics-server.crt", &serving.certificate)?),
        format!("--tls-private-key-file={serving_key}"),
        format!("--kubelet-certificate-authority={}", file(config, "kubelet-ca.crt", pki.kubelet_ca_pem())?),
        format!(
            "--kubelet-client-certificate={}",
            file(config, "metrics-client.crt", &to_kubelets.certificate)?
        ),
        format!("--kubelet-client-key={kubelet_key}"),
        "--kubelet-use-node-status-port".to_owned(),
        format!("--kubelet-preferred-address-types={}", kubelet_address_types(config)),
        "--metric-resolution=15s".to_owned(),
    ]);
    if let Some(socket) = &config.kubelet_egress {
        program = program.arg(format!("--egress-socket={}", socket.display()));
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batteries::Disabled;

    #[test]
    fn what_is_switched_off_does_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let pki = ClusterPki::generate(1_800_000_000_000).unwrap();
        let names = |off: &[&str]| -> Vec<String> {
            let mut config =
                ControlPlaneConfig::new("k".into(), dir.path().to_owned(), "unix:///x".into(), 6443);
            let off: Vec<String> = off.iter().map(|name| (*name).to_owned()).collect();
            config.disabled = Disabled::try_from(off).unwrap();
            let programs = programs(&config, &pki, 1_800_000_000_000).unwrap();
            programs.into_iter().map(|program| program.name).collect()
        };
        assert_eq!(names(&[]), ["addon-controllers", "metrics-server"]);
        assert_eq!(names(&["servicelb"]), ["addon-controllers", "metrics-server"]);
        assert_eq!(names(&["servicelb", "local-storage"]), ["metrics-server"]);
        assert!(names(&["servicelb", "local-storage", "metrics-server"]).is_empty());
    }
}
