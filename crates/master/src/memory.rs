/// Whether this process's memory is locked, so that keys in it are not written to swap; `None` when that is not known.
pub(crate) fn locked() -> Option<bool> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmLck:"))?;
    let kilobytes: u64 = kilobytes.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes > 0)
}
