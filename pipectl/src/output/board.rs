//! What a command shows while it waits: on a terminal a few lines that change in place, in a pipe a
//! line for everything new.

use super::Output;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::time::Duration;

/// Lines on a terminal at most; hosts beyond them are counted in the sentence anyway.
const LINES_MAX: usize = 24;

pub struct Board {
    mode: Mode,
}

enum Mode {
    Terminal { all: MultiProgress, lines: Vec<ProgressBar> },
    Plain { shown: Vec<String> },
    Silent,
}

impl Board {
    pub fn new(output: &Output) -> Board {
        let mode = if output.is_json() {
            Mode::Silent
        } else if output.terminal {
            Mode::Terminal { all: MultiProgress::new(), lines: Vec::new() }
        } else {
            Mode::Plain { shown: Vec::new() }
        };
        Board { mode }
    }

    /// Shows the state of things. The first line has a clock on a terminal.
    pub fn show(&mut self, output: &Output, state: &[String]) {
        match &mut self.mode {
            Mode::Terminal { all, lines } => {
                for (index, text) in state.iter().take(LINES_MAX).enumerate() {
                    if lines.len() <= index {
                        lines.push(all.add(line(index == 0)));
                    }
                    lines[index].set_message(text.clone());
                }
                while lines.len() > state.len() {
                    if let Some(gone) = lines.pop() {
                        gone.finish_and_clear();
                    }
                }
            }
            Mode::Plain { shown } => {
                for text in state.iter().filter(|text| !shown.contains(*text)) {
                    output.line(text);
                }
                *shown = state.to_vec();
            }
            Mode::Silent => {}
        }
    }

    /// A remark that stays.
    pub fn note(&self, output: &Output, text: &str) {
        match &self.mode {
            // Printing through the board keeps its lines whole.
            Mode::Terminal { all, .. } => all.suspend(|| output.note(text)),
            Mode::Plain { .. } | Mode::Silent => output.note(text),
        }
    }

    /// Leaves the last state on the terminal.
    pub fn finish(self) {
        if let Mode::Terminal { lines, .. } = self.mode {
            for line in lines {
                line.abandon();
            }
        }
    }
}

fn line(is_first: bool) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    let template = if is_first { "{spinner} {wide_msg} {elapsed}" } else { "  {wide_msg}" };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.tick_strings(&["●", "○", " "]));
    }
    if is_first {
        bar.enable_steady_tick(Duration::from_millis(400));
    }
    bar
}
