use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::rows::{ROWS, Row};
use crate::server::Kind;
use crate::settings::Settings;

/// What was measured in one row, and when.
#[derive(Serialize, Deserialize)]
pub(crate) struct RowResult {
    pub(crate) row: String,
    pub(crate) title: String,
    pub(crate) figures: Vec<Figure>,
    pub(crate) runs: u32,
    /// UTC.
    pub(crate) date: String,
    pub(crate) seconds: f64,
    pub(crate) machine: String,
    pub(crate) versions: Vec<String>,
}

/// One figure of a row, for every server and run.
#[derive(Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) goal: Option<Goal>,
    pub(crate) samples: BTreeMap<Kind, Vec<f64>>,
}

/// What a figure has to be.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Goal {
    /// Ours, divided by etcd's.
    RatioAtLeast(f64),
    RatioAtMost(f64),
    /// Ours alone.
    AtMost(f64),
}

/// The figures of a row while it runs, in the order in which they were first seen.
#[derive(Default)]
pub(crate) struct Measured(Vec<Figure>);

impl Measured {
    pub(crate) fn add(&mut self, kind: Kind, name: &str, unit: &str, goal: Option<Goal>, value: f64) {
        let index = self.0.iter().position(|figure| figure.name == name).unwrap_or_else(|| {
            self.0.push(Figure {
                name: name.to_owned(),
                unit: unit.to_owned(),
                goal,
                samples: BTreeMap::new(),
            });
            self.0.len() - 1
        });
        self.0[index].samples.entry(kind).or_default().push(value);
    }
}

impl RowResult {
    pub(crate) fn new(row: &Row, measured: Measured, settings: &Settings, took: Duration) -> Self {
        let now = time::OffsetDateTime::now_utc();
        Self {
            row: row.name.to_owned(),
            title: row.title.to_owned(),
            figures: measured.0,
            runs: settings.runs,
            date: format!("{} {:02}:{:02}", now.date(), now.hour(), now.minute()),
            seconds: took.as_secs_f64(),
            machine: machine(),
            versions: settings.versions.clone(),
        }
    }

    pub(crate) fn save(&self, directory: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
        let path = directory.join(format!("{}.json", self.row));
        std::fs::write(&path, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("writing {}", path.display()))
    }

    /// What is kept, in the order of the rows.
    pub(crate) fn load_all(directory: &Path) -> anyhow::Result<Vec<Self>> {
        let mut found = Vec::new();
        for row in ROWS {
            let path = directory.join(format!("{}.json", row.name));
            if let Ok(json) = std::fs::read(&path) {
                let result = serde_json::from_slice(&json);
                found.push(result.with_context(|| format!("reading {}", path.display()))?);
            }
        }
        Ok(found)
    }
}

fn machine() -> String {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, label: &str| {
        let line = text.lines().find(|line| line.starts_with(label))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cpu = after(&text("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown CPU".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = after(&text("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let kernel = text("/proc/sys/kernel/osrelease");
    format!("{cores} cores of {cpu}, {memory}, Linux {}", kernel.trim())
}
