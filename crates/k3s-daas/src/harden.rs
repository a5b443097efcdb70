//! What keeps keys out of core dumps, of other processes' hands and of swap.

use engine::check::Finding;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};

/// No core dumps, of this process and of those that it starts: keys would lie in them.
pub(crate) fn no_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!("core dumps cannot be switched off: {error}");
    }
}

/// For processes that hold a cluster's keys: nobody without privileges traces them or reads their memory, and their memory, in
/// which the cluster's state lies in clear, is kept out of swap where that is allowed.
pub(crate) fn keep_memory() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!("other processes of this user may read this one's memory: {error}");
    }
    if let Err(why) = lock_memory() {
        tracing::warn!("keys in memory may be written to swap: {why}");
    }
}

/// What `check` says about it.
pub(crate) fn check() -> Finding {
    let name = "memory lock";
    match may_lock() {
        Ok(()) => Finding::good(name, "allowed: keys in memory stay out of swap"),
        Err(_) if !swaps() => Finding::good(name, "not allowed, but this machine has no swap"),
        Err(why) => Finding::warning(
            name,
            why,
            "run it with CAP_IPC_LOCK or an unlimited memlock (LimitMEMLOCK=infinity), or switch swap off",
        ),
    }
}

/// Everything at once: what the store holds in memory is as secret as the keys, and no page of it is known beforehand.
fn lock_memory() -> Result<(), String> {
    may_lock()?;
    // As pages come into use: what is only reserved (stacks of threads) stays free.
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    mlockall(flags).map_err(|error| format!("memory cannot be locked: {error}"))
}

/// With a limit, locking would succeed now and make allocations fail later.
fn may_lock() -> Result<(), String> {
    let privileged = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    match getrlimit(Resource::Memlock).current {
        _ if privileged => Ok(()),
        None => Ok(()),
        Some(bytes) => Err(format!("this process may lock {} KiB of memory only", bytes / 1024)),
    }
}

fn swaps() -> bool {
    // A heading, then one line for each; what cannot be read is taken for swap.
    std::fs::read_to_string("/proc/swaps").map_or(true, |text| text.lines().count() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_core_is_dumped_and_memory_is_not_read_by_others() {
        no_core_dumps();
        keep_memory();
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
        assert_eq!(rustix::process::dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
        let kilobytes: u64 = locked.trim().trim_end_matches(" kB").parse().unwrap();
        assert_eq!(kilobytes > 0, may_lock().is_ok(), "{locked}");
    }
}
