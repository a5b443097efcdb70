use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::containers::{self, Container};
use crate::machine::{self, CpuTicks};

/// What this machine and the containers of its node use, measured when it is asked for.
#[derive(Clone)]
pub(crate) struct Usage {
    /// File system of the worker's state.
    pub(crate) state_dir: PathBuf,
    /// The cgroup below which the node's containers are, when there is one.
    pub(crate) cgroup: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ContainerLabels {
    pod_uid: String,
    container_id: String,
}

impl Usage {
    /// As OpenMetrics text, without its end. Blocks for file reads.
    pub(crate) fn text(&self) -> String {
        let machine = machine::measure(Path::new("/proc"), &self.state_dir, CpuTicks::default(), 0).ok();
        let containers = self.cgroup.as_deref().map(containers::containers).unwrap_or_default();
        render(machine, &containers)
    }
}

fn render(machine: Option<(api::NodeMetrics, CpuTicks)>, containers: &[Container]) -> String {
    let mut registry = Registry::with_prefix("k3s_daas_worker");
    if let Some((machine, ticks)) = machine {
        let cpu = Counter::<f64, AtomicU64>::default();
        cpu.inc_by(ticks.busy_seconds());
        registry.register_with_unit("machine_cpu", "Processor time used since boot", Unit::Seconds, cpu);
        let bytes = [
            ("machine_memory", "Physical memory", machine.memory_bytes),
            ("machine_memory_used", "Memory in use without reclaimable cache", machine.memory_used_bytes),
            ("machine_disk", "Size of the file system of the worker's state", machine.disk_bytes),
            ("machine_disk_used", "Used part of it", machine.disk_used_bytes),
        ];
        for (name, help, value) in bytes {
            registry.register_with_unit(name, help, Unit::Bytes, gauge(value));
        }
        registry.register("machine_cpus", "Processors", gauge(machine.cpu_cores.into()));
    }
    let cpu = Family::<ContainerLabels, Counter<f64, AtomicU64>>::default();
    let memory = Family::<ContainerLabels, Gauge>::default();
    for container in containers {
        let labels = ContainerLabels { pod_uid: container.pod.clone(), container_id: container.id.clone() };
        cpu.get_or_create(&labels).inc_by(container.cpu_seconds);
        memory.get_or_create(&labels).set(i64::try_from(container.memory_bytes).unwrap_or(i64::MAX));
    }
    registry.register_with_unit("container_cpu", "Processor time of a container", Unit::Seconds, cpu);
    registry.register_with_unit("container_memory", "Memory of a container", Unit::Bytes, memory);
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => text.trim_end_matches("# EOF\n").to_owned(),
        Err(_) => String::new(),
    }
}

fn gauge(value: u64) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    gauge
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_machine_and_containers() {
        let dir = tempfile::tempdir().unwrap();
        let text = Usage { state_dir: dir.path().to_owned(), cgroup: None }.text();
        for name in [
            "machine_cpu_seconds_total ",
            "machine_memory_bytes ",
            "machine_disk_used_bytes ",
            "machine_cpus ",
        ] {
            let line = text.lines().find(|line| line.starts_with(&format!("k3s_daas_worker_{name}")));
            let value: f64 = line.and_then(|line| line.rsplit(' ').next()).unwrap().parse().unwrap();
            assert!(value > 0.0, "{name}: {text}");
        }
        assert!(!text.contains("# EOF"));
        let container =
            Container { pod: "0b2f".into(), id: "abab".into(), cpu_seconds: 1.5, memory_bytes: 4096 };
        let text = render(None, &[container]);
        let labels = "{pod_uid=\"0b2f\",container_id=\"abab\"}";
        assert!(
            text.contains(&format!("k3s_daas_worker_container_cpu_seconds_total{labels} 1.5\n")),
            "{text}"
        );
        assert!(text.contains(&format!("k3s_daas_worker_container_memory_bytes{labels} 4096\n")), "{text}");
    }
}
