//! stdout is data, stderr is talk.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use serde::Serialize;

use crate::cli::Output;
use crate::failure::{Context, Failure, Result};

/// Prints `value` as JSON, or `text` for people.
pub(crate) fn print<T: Serialize>(output: Output, value: &T, text: impl FnOnce(&T) -> String) -> Result<()> {
    let mut line = match output {
        Output::Json => serde_json::to_string_pretty(value).context("encoding the answer")?,
        Output::Text => text(value),
    };
    if !line.ends_with('\n') {
        line.push('\n');
    }
    match std::io::stdout().write_all(line.as_bytes()) {
        // A closed pipe is the reader's choice, not an error.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("writing to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Rows under headings, columns padded with two spaces between them, as kubectl prints them.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = headings.iter().map(|heading| heading.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (cell, width) in cells.zip(&widths) {
            text.push_str(&format!("{cell:<width$}  "));
        }
        text.trim_end().to_owned() + "\n"
    };
    let mut text = line(&mut headings.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// Words on stderr.
pub(crate) fn say(text: impl std::fmt::Display) {
    // Nobody can be told when stderr is gone.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// One step of something slow: announced at once, closed with its time.
pub(crate) struct Step {
    name: String,
    started: Instant,
}

impl Step {
    pub(crate) fn start(name: impl Into<String>) -> Self {
        let name = name.into();
        say(format_args!("{} {name} …", paint("36", "·")));
        Self { name, started: Instant::now() }
    }

    pub(crate) fn done(self, what: impl std::fmt::Display) {
        let seconds = self.started.elapsed().as_secs_f64();
        say(format_args!("{} {}: {what} ({seconds:.1} s)", paint("32", "√"), self.name));
    }
}

pub(crate) fn paint(colour: &str, text: &str) -> String {
    if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{colour}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_aligns_its_columns() {
        let rows = vec![vec!["worker-1".to_owned(), "Ready".to_owned()], vec!["n".into(), "Down".into()]];
        assert_eq!(table(&["NAME", "STATE"], &rows), "NAME      STATE\nworker-1  Ready\nn         Down\n");
    }
}
