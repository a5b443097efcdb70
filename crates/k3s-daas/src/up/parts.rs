use std::path::PathBuf;
use std::time::Duration;

use engine::supervise::{Child, Program};

use crate::commands::Context;
use crate::failure::{Context as _, Result};

const GRACE: Duration = Duration::from_secs(45);

/// The parts that `up` runs, each a process of this very binary.
#[derive(Default)]
pub(crate) struct Parts {
    children: Vec<Child>,
}

impl Parts {
    /// Starts `k3s-daas NAME ARGS…` on this state directory.
    pub(crate) fn start(&mut self, context: &Context, name: &str, args: &[&str]) -> Result<()> {
        let own = std::env::current_exe().context("finding this binary")?;
        let state = context.state.root();
        let mut program = Program::new(name, own, state).arg("--state-dir").arg(state);
        if let Some(config) = &context.global.config {
            let config = std::path::absolute(config).context("resolving --config")?;
            program = program.arg("--config").arg(config);
        }
        if let Some(chain) = context.settings.remote_chain() {
            program = program.arg("--chain").arg(chain);
        }
        program = program.arg("--log-level").arg(&context.global.log_level).arg(name).args(args);
        self.children.push(Child::start(program.log_to(log_file(context))));
        Ok(())
    }

    pub(crate) fn processes(&self) -> Vec<super::record::Process> {
        self.children.iter().map(|child| child.status().into()).collect()
    }

    /// Stops the parts, the last one first.
    pub(crate) async fn stop(self) {
        for child in self.children.into_iter().rev() {
            child.stop(GRACE).await;
        }
    }
}

/// Where everything that runs in the background writes what it has to say.
pub(crate) fn log_file(context: &Context) -> PathBuf {
    context.state.path("up.log")
}
