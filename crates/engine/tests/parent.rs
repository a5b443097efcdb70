//! Children end with a parent that was killed. A process that was started without `supervise` shows beside it
//! that this is nobody else's doing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::supervise::{Child, Program};
use tokio::process::Command;
use tokio::time::sleep;

const DIR: &str = "ENGINE_TEST_PARENT_DIR";

#[tokio::test]
async fn children_die_with_a_parent_that_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "parent", "--ignored"])
        .env(DIR, dir.path())
        .spawn()
        .unwrap();
    let ours = process(&dir.path().join("ours")).await;
    let plain = process(&dir.path().join("plain")).await;
    assert!(ours.exists() && plain.exists());
    parent.kill().await.unwrap();
    for _ in 0..250 {
        if !ours.exists() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    assert!(!ours.exists(), "the child outlived its parent");
    assert!(plain.exists(), "what was not asked to end with its parent has ended too");
    let pid = plain.file_name().unwrap().to_str().unwrap().parse().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
}

/// The parent of the test above; alone it does nothing.
#[tokio::test]
#[ignore = "started by the other test"]
async fn parent() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let script =
        |name: &str| format!("echo $$ > {0}.new && mv {0}.new {0}; exec sleep 60", dir.join(name).display());
    let _ours = Child::start(Program::new("ours", "/bin/sh", &dir).args(["-c", &script("ours")]));
    let mut plain = Command::new("/bin/sh").args(["-c", &script("plain")]).spawn().unwrap();
    plain.wait().await.unwrap();
}

/// The directory in /proc of the process that wrote its id to this file.
async fn process(file: &Path) -> PathBuf {
    for _ in 0..500 {
        if let Ok(pid) = std::fs::read_to_string(file) {
            return Path::new("/proc").join(pid.trim());
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("{} was never written", file.display());
}
