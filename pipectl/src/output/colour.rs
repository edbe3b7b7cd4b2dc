//! Colours, where they are wanted. Words and glyphs say the same without.

use owo_colors::OwoColorize as _;

#[derive(Debug, Clone, Copy)]
pub struct Painter {
    pub colours: bool,
}

impl Painter {
    /// The same, without colours where `wanted` is not true.
    pub fn only_if(self, wanted: bool) -> Painter {
        Painter { colours: self.colours && wanted }
    }

    pub fn good(self, text: &str) -> String {
        if self.colours { text.green().to_string() } else { text.to_owned() }
    }

    pub fn bad(self, text: &str) -> String {
        if self.colours { text.red().to_string() } else { text.to_owned() }
    }

    pub fn wait(self, text: &str) -> String {
        if self.colours { text.yellow().to_string() } else { text.to_owned() }
    }

    pub fn busy(self, text: &str) -> String {
        if self.colours { text.blue().to_string() } else { text.to_owned() }
    }

    pub fn dim(self, text: &str) -> String {
        if self.colours { text.dimmed().to_string() } else { text.to_owned() }
    }

    pub fn strong(self, text: &str) -> String {
        if self.colours { text.bold().to_string() } else { text.to_owned() }
    }

    /// A status word with its glyph, `✓ succeeded`.
    pub fn status(self, word: &str) -> String {
        let text = status_cell(word);
        match word {
            "succeeded" | "updated" | "done" | "active" => self.good(&text),
            "failed" | "rollback-failed" | "lost" | "rolled-back" | "revoked" | "stuck" => {
                self.bad(&text)
            }
            "running" | "updating" | "rolling-back" | "failing" | "stopping" | "now" => {
                self.busy(&text)
            }
            "waiting" | "queued" | "drained" => self.wait(&text),
            _ => self.dim(&text),
        }
    }
}

/// The same without colour, for a table's cell.
pub fn status_cell(word: &str) -> String {
    format!("{} {}", glyph(word), word.replace('-', " "))
}

fn glyph(word: &str) -> &'static str {
    match word {
        "succeeded" | "updated" | "done" | "active" => "✓",
        "running" | "updating" | "rolling-back" | "failing" | "stopping" | "now" => "●",
        "waiting" | "queued" | "drained" => "‖",
        "failed" | "rollback-failed" | "lost" | "revoked" | "stuck" => "✗",
        "rolled-back" => "↶",
        "skipped" | "stopped" | "superseded" | "cancelled" => "–",
        _ => "○",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_readable_without_colour() {
        let plain = Painter { colours: false };
        assert_eq!(plain.status("rolled-back"), "↶ rolled back");
        assert_eq!(plain.status("updating"), "● updating");
        assert!(Painter { colours: true }.status("failed").contains("✗ failed"));
    }
}
