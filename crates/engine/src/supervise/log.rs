use std::io::Write;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// Longer lines are cut, bytes.
const MAX_LINE: u64 = 8 * 1024;

/// Copies a child's output to stderr line by line, each with the child's name before it.
pub(crate) async fn forward(name: String, output: impl AsyncRead + Unpin, quiet: bool) {
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if quiet {
            tracing::debug!(child = name, "{text}");
        } else {
            // Nobody can be told when stderr is gone.
            let _ = writeln!(std::io::stderr(), "{name}: {text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn endless_lines_and_bytes_that_are_no_text_end() {
        let mut bytes = vec![b'x'; 100_000];
        bytes.extend([0xff, 0xfe, b'\n', b'a']);
        forward("test".to_owned(), bytes.as_slice(), true).await;
    }
}
