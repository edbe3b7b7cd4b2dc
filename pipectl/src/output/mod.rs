//! Printing: text for people, JSON for programs. Text that came from elsewhere is cleaned before a
//! terminal sees it.

mod board;
mod clean;
mod colour;
mod table;
mod time;

pub use board::Board;
pub use clean::{clean, clean_log};
pub use colour::{Painter, status_cell};
pub use table::{list, table};
pub use time::{ago, clock, rough};

use crate::cli::{Format, Global};
use crate::exit::Failure;
use serde_json::Value;
use std::io::{IsTerminal as _, Write as _};

pub struct Output {
    pub format: Format,
    pub painter: Painter,
    /// Standard output is a terminal.
    pub terminal: bool,
}

impl Output {
    pub fn new(global: &Global) -> Output {
        let terminal = std::io::stdout().is_terminal();
        let colours = !global.no_color
            && terminal
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Output { format: global.output, painter: Painter { colours }, terminal }
    }

    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// A line of text.
    pub fn line(&self, text: impl AsRef<str>) {
        // A reader that went away (`| head`) is no reason to fail.
        let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
    }

    pub fn json(&self, value: &Value) {
        self.line(serde_json::to_string_pretty(value).unwrap_or_default());
    }

    pub fn bytes(&self, bytes: &[u8]) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(bytes);
        let _ = out.flush();
    }

    /// A remark beside the answer, on standard error.
    pub fn note(&self, text: impl AsRef<str>) {
        let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
    }

    pub fn failure(&self, failure: &Failure) {
        if self.is_json() {
            let body = serde_json::json!({
                "error": {"message": failure.message, "help": failure.help}
            });
            self.json(&body);
        }
        self.failure_note(failure);
    }

    /// A failure among other answers: on standard error alone.
    pub fn failure_note(&self, failure: &Failure) {
        let colours = self.painter.colours && std::io::stderr().is_terminal();
        let word = Painter { colours }.bad("error");
        self.note(format!("{word}: {}", clean(&failure.message)));
        if !failure.help.is_empty() {
            self.note(format!("  {}", clean(&failure.help)));
        }
    }
}
