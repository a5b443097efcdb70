//! A TPM 2.0 in software, with its state in a directory: a chip that can be taken to another machine.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tee::TpmAddress;

pub(crate) struct SoftwareTpm {
    process: Child,
    pub(crate) address: TpmAddress,
}

impl SoftwareTpm {
    /// Powers on the chip whose non-volatile memory is in `chip`.
    #[expect(clippy::disallowed_methods, reason = "no executor in these tests")]
    pub(crate) fn power_on(chip: &Path) -> Self {
        std::fs::create_dir_all(chip).expect("a directory for the TPM");
        let socket = chip.join("socket");
        let _ = std::fs::remove_file(&socket);
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate"])
            .arg(format!("dir={}", chip.display()))
            .arg("--server")
            .arg(format!("type=unixio,path={}", socket.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("swtpm is installed by deploy/setup/apt.sh");
        let started = Instant::now();
        // It is there before anybody listens at it; a connection that ends at once changes nothing.
        while UnixStream::connect(&socket).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "swtpm does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, address: TpmAddress::Unix(socket) }
    }
}

impl Drop for SoftwareTpm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
