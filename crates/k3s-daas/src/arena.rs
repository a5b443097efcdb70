use std::os::unix::process::CommandExt;
use std::process::Command;

/// glibc reads it once, when a process starts.
const ARENAS: &str = "MALLOC_ARENA_MAX";
/// A master has a thread for each processor and serves thousands of connections on all of them; what one thread frees, the arenas of the
/// others do not see. bench/RESULTS-gateway.md has what that takes.
const ONE: &str = "1";

/// Starts this process anew, as the same one, with a single arena of memory for all threads, unless somebody has chosen. Goes on as it is
/// where that cannot be done.
pub(crate) fn one_for_all() {
    if std::env::var_os(ARENAS).is_some() {
        return;
    }
    let error = match std::env::current_exe() {
        Ok(own) => Command::new(own).args(std::env::args_os().skip(1)).env(ARENAS, ONE).exec(),
        Err(error) => error,
    };
    tracing::warn!("the master takes more memory than it has to ({ARENAS}={ONE} could not be set): {error}");
}
