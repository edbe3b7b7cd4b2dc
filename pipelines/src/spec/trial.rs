//! Comparing what reading a text reports with what it should.

use crate::spec::{Kind, Severity, lint};

/// `E unknown-key 3:5` for each problem, in the order of the file.
pub(crate) fn found(kind: Kind, text: &str) -> Vec<String> {
    let line = |problem: &crate::spec::Problem| {
        let letter = match problem.severity {
            Severity::Error => 'E',
            Severity::Warning => 'W',
        };
        let (line, column) = (problem.line.unwrap_or(0), problem.column.unwrap_or(0));
        assert!(!problem.message.is_empty() && !problem.help.is_empty(), "{problem}");
        format!("{letter} {} {line}:{column}", problem.code)
    };
    lint(kind, text).iter().map(line).collect()
}

#[track_caller]
pub(crate) fn check(kind: Kind, text: &str, expected: &[&str]) {
    let problems = lint(kind, text);
    assert_eq!(found(kind, text), expected, "\n{text}\n{problems:#?}");
}
