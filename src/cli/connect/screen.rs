//! What the user sees: the program's output as it is, and few words about it in another color.

use std::io::{self, IsTerminal, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Stdout and stderr, and where they stand.
pub(super) struct Screen {
    /// Whether stderr may be colored.
    colors: bool,
    /// Whether the last thing written ended its line.
    at_line_start: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self {
            colors: io::stderr().is_terminal(),
            at_line_start: true,
        }
    }

    /// Passes an `output` event on, byte for byte.
    ///
    /// # Errors
    /// When stdout is closed, so that nobody reads it any more.
    pub(super) fn output(&mut self, event: &Value) -> io::Result<()> {
        let bytes = match (event["text"].as_str(), event["base64"].as_str()) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(base64)) => STANDARD.decode(base64).unwrap_or_default(),
            (None, None) => return Ok(()),
        };
        let Some(last) = bytes.last() else {
            return Ok(());
        };
        self.at_line_start = *last == b'\n';
        if event["stream"] == "stderr" {
            self.stderr(RED, &bytes);
            Ok(())
        } else {
            stdout(&bytes)
        }
    }

    /// Shows the value of a turn, on a line of its own.
    ///
    /// # Errors
    /// As for `output`.
    pub(super) fn result(&mut self, text: &str) -> io::Result<()> {
        self.fresh_line();
        stdout(format!("{text}\n").as_bytes())
    }

    /// Says what went wrong, on a line of its own.
    pub(super) fn error(&mut self, text: &str) {
        self.line(RED, text);
    }

    /// Says something about the session, on a line of its own.
    pub(super) fn note(&mut self, text: &str) {
        self.line(DIM, text);
    }

    /// Ends a line that the program left open.
    pub(super) fn fresh_line(&mut self) {
        if !std::mem::replace(&mut self.at_line_start, true) {
            self.stderr(PLAIN, b"\n");
        }
    }

    /// The user ended a line that the program left open.
    pub(super) fn answered(&mut self) {
        self.at_line_start = true;
    }

    /// Takes back the prompt's last line, so that something else can stand there.
    pub(super) fn erase_prompt(&mut self) {
        self.at_line_start = true;
        self.stderr(PLAIN, b"\r\x1b[K");
    }

    fn line(&mut self, color: &str, text: &str) {
        self.fresh_line();
        self.stderr(color, format!("{text}\n").as_bytes());
    }

    /// Where errors cannot be shown, the session goes on.
    fn stderr(&self, color: &str, bytes: &[u8]) {
        let mut stderr = io::stderr().lock();
        let _ = if self.colors && color != PLAIN {
            stderr
                .write_all(color.as_bytes())
                .and_then(|()| stderr.write_all(bytes))
                .and_then(|()| stderr.write_all(PLAIN.as_bytes()))
        } else {
            stderr.write_all(bytes)
        };
    }
}

fn stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// What a `display` event shows, in words.
pub(super) fn describe(event: &Value) -> String {
    let Some(data) = event["data"].as_object() else {
        return "a display of nothing".into();
    };
    let kinds: Vec<_> = data
        .iter()
        .filter(|(kind, _)| *kind != "text/plain" || data.len() == 1)
        .map(|(kind, content)| {
            let content = content.as_str().unwrap_or_default();
            let bytes = match kind.starts_with("image/") && kind != "image/svg+xml" {
                true => content.len() / 4 * 3,
                false => content.len(),
            };
            let size = &event["metadata"][kind];
            let size = match (size["width"].as_u64(), size["height"].as_u64()) {
                (Some(width), Some(height)) => format!(" {width}x{height}"),
                _ => String::new(),
            };
            format!("{kind}{size}, {} kB", bytes.div_ceil(1000))
        })
        .collect();
    format!("[{}]", kinds.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_figure_is_told_by_its_kind_and_size() {
        let event = json!({
            "type": "display",
            "data": {"image/png": "A".repeat(4000), "text/plain": "<Figure>"},
            "metadata": {"image/png": {"width": 640, "height": 480}},
        });
        assert_eq!(describe(&event), "[image/png 640x480, 3 kB]");
        let event = json!({"data": {"text/plain": "abc"}});
        assert_eq!(describe(&event), "[text/plain, 1 kB]");
        assert_eq!(describe(&json!({})), "a display of nothing");
    }
}
