use std::fs;
use std::io;
use std::path::Path;

/// Processor time since boot, in clock ticks summed over all processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTicks {
    busy: u64,
    total: u64,
}

impl CpuTicks {
    /// Processor time used since boot. Ticks are hundredths of a second on every Linux that Rust runs on.
    pub(crate) fn busy_seconds(self) -> f64 {
        self.busy as f64 / 100.0
    }
}

/// Measures this machine from `/proc` and the file system that holds `state_dir`, since the sample `last`.
///
/// Returns the sample for the next call too. Blocks for a few file reads.
pub(crate) fn measure(
    proc: &Path,
    state_dir: &Path,
    last: CpuTicks,
    pods: u32,
) -> io::Result<(api::NodeMetrics, CpuTicks)> {
    let (ticks, cores) = parse_stat(&fs::read_to_string(proc.join("stat"))?)
        .ok_or_else(|| io::Error::other("/proc/stat is not understood"))?;
    let (memory_bytes, available_bytes) = parse_meminfo(&fs::read_to_string(proc.join("meminfo"))?)
        .ok_or_else(|| io::Error::other("/proc/meminfo is not understood"))?;
    let disk = rustix::fs::statvfs(state_dir)?;
    let metrics = api::NodeMetrics {
        cpu_cores: cores,
        cpu_used_millis: used_millis(last, ticks, cores),
        memory_bytes,
        memory_used_bytes: memory_bytes.saturating_sub(available_bytes),
        disk_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
        disk_used_bytes: disk.f_blocks.saturating_sub(disk.f_bfree).saturating_mul(disk.f_frsize),
        pods,
    };
    Ok((metrics, ticks))
}

/// Busy share of the time between two samples, in thousandths of a core.
fn used_millis(last: CpuTicks, now: CpuTicks, cores: u32) -> u64 {
    let total = u128::from(now.total.saturating_sub(last.total));
    let busy = u128::from(now.busy.saturating_sub(last.busy)).min(total);
    let millis = (busy * 1000 * u128::from(cores)).checked_div(total).unwrap_or(0);
    u64::try_from(millis).unwrap_or(u64::MAX)
}

/// The `cpu` line of proc(5)'s stat: user, nice, system, idle, iowait, irq, softirq, steal; and the number of
/// `cpuN` lines.
fn parse_stat(text: &str) -> Option<(CpuTicks, u32)> {
    let mut lines = text.lines();
    let mut fields = lines.next()?.split_ascii_whitespace();
    if fields.next()? != "cpu" {
        return None;
    }
    let ticks: Vec<u64> = fields.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    if ticks.len() < 4 {
        return None;
    }
    let total = ticks.iter().fold(0u64, |sum, ticks| sum.saturating_add(*ticks));
    let idle = ticks[3].saturating_add(ticks.get(4).copied().unwrap_or(0));
    let cores = lines.take_while(|line| line.starts_with("cpu")).count();
    Some((CpuTicks { busy: total.saturating_sub(idle), total }, u32::try_from(cores).ok()?))
}

/// `MemTotal` and `MemAvailable` of proc(5)'s meminfo, in bytes.
fn parse_meminfo(text: &str) -> Option<(u64, u64)> {
    let field = |name: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    };
    Some((field("MemTotal")?, field("MemAvailable")?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_kernels_own_words() {
        let stat = "cpu  100 5 50 800 20 1 2 3 0 0\ncpu0 50 0 0 0\ncpu1 50 0 0 0\nintr 1 2\n";
        assert_eq!(parse_stat(stat), Some((CpuTicks { busy: 161, total: 981 }, 2)));
        let meminfo = "MemTotal:        2048 kB\nMemFree:  1 kB\nMemAvailable:    512 kB\n";
        assert_eq!(parse_meminfo(meminfo), Some((2048 * 1024, 512 * 1024)));
        // Half of the time of both processors.
        let later = CpuTicks { busy: 161 + 50, total: 981 + 100 };
        assert_eq!(used_millis(CpuTicks { busy: 161, total: 981 }, later, 2), 1000);
        assert_eq!(used_millis(later, later, 2), 0);
    }

    #[test]
    fn measures_this_machine() {
        let dir = tempfile::tempdir().unwrap();
        let (first, ticks) = measure(Path::new("/proc"), dir.path(), CpuTicks::default(), 3).unwrap();
        assert!(first.cpu_cores >= 1 && first.memory_used_bytes > 0 && first.disk_bytes > 0);
        assert!(first.memory_used_bytes < first.memory_bytes && first.disk_used_bytes <= first.disk_bytes);
        assert!(first.cpu_used_millis <= u64::from(first.cpu_cores) * 1000);
        assert!(first.pods == 3 && ticks.total > 0);
        assert!(measure(dir.path(), dir.path(), ticks, 0).is_err());
    }

    proptest! {
        #[test]
        fn nothing_in_proc_panics(text in "(cpu|MemTotal:|MemAvailable:|[0-9 \nkB]|.){0,60}") {
            let _ = parse_stat(&text);
            let _ = parse_stat(&format!("cpu {text}"));
            let _ = parse_meminfo(&text);
        }

        #[test]
        fn use_is_never_more_than_the_cores(a in any::<[u64; 4]>(), cores in 1u32..512) {
            let (last, now) = (CpuTicks { busy: a[0], total: a[1] }, CpuTicks { busy: a[2], total: a[3] });
            prop_assert!(used_millis(last, now, cores) <= u64::from(cores) * 1000);
        }
    }
}
