//! Problems of a file as people read them, the line they are about underlined.

use crate::output::{Output, clean};
use pipelines::spec::{Problem, Severity};
use std::io::IsTerminal as _;
use std::path::Path;

/// Where problems are printed: they are lint's answer, and a remark beside that of others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Output,
    Error,
}

/// `file:3:5: error[unknown-key]: … — help`, then the line itself on a terminal.
pub fn print_problems(
    output: &Output,
    path: &Path,
    text: &str,
    problems: &[Problem],
    stream: Stream,
) {
    let terminal = match stream {
        Stream::Output => output.terminal,
        Stream::Error => std::io::stderr().is_terminal(),
    };
    let print = |line: String| match stream {
        Stream::Output => output.line(line),
        Stream::Error => output.note(line),
    };
    let painter = match stream {
        Stream::Output => output.painter,
        Stream::Error => output.painter.only_if(terminal),
    };
    let columns = columns();
    for problem in problems {
        let place = clean(&match (problem.line, problem.column) {
            (Some(line), Some(column)) => format!("{}:{line}:{column}:", path.display()),
            _ => format!("{}:", path.display()),
        });
        let paint = |text: &str| match problem.severity {
            Severity::Error => painter.bad(text),
            Severity::Warning => painter.wait(text),
        };
        let word = paint(&format!("{}[{}]", problem.severity, problem.code));
        let help =
            if problem.help.is_empty() { String::new() } else { format!(" — {}", problem.help) };
        let rest = clean(&format!("{}{help}", problem.message));
        print(format!("{} {word}: {rest}", painter.strong(&place)));
        if terminal && let Some(excerpt) = problem.excerpt_within(text, columns) {
            for line in excerpt.lines() {
                match line.rsplit_once('|') {
                    Some((margin, carets)) if carets.trim_start().starts_with('^') => {
                        print(format!("{}{}", painter.dim(&format!("{margin}|")), paint(carets)));
                    }
                    _ => print(painter.dim(&clean(line))),
                }
            }
        }
    }
}

/// How wide the terminal is.
fn columns() -> usize {
    let stated = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let found = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    stated.or_else(found).filter(|columns| *columns > 0).unwrap_or(usize::MAX)
}
