//! What is wrong with a file, where, and what to write instead.

use crate::spec::codes::{self, Code};
use crate::spec::yaml::Mark;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// Whether a file can be used in spite of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// One mistake. `line` and `column` count from 1 and are absent only where nothing in the file is
/// to blame. `code` is stable and listed in `docs/reference/problems.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub severity: Severity,
    pub code: Cow<'static, str>,
    pub message: String,
    pub help: String,
    pub line: Option<u32>,
    pub column: Option<u32>,
}

impl Problem {
    pub(crate) fn new(
        severity: Severity,
        at: Option<Mark>,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            code: Cow::Borrowed(code.0),
            message: message.into(),
            help: help.into(),
            line: at.map(|mark| mark.line),
            column: at.map(|mark| mark.column),
        }
    }

    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// `3:5: error[unknown-key]: message — help`, so that `file:` put before it is clickable.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "{line}:{column}: ")?;
        }
        write!(f, "{}[{}]: {}", self.severity, self.code, self.message)?;
        if self.help.is_empty() { Ok(()) } else { write!(f, " — {}", self.help) }
    }
}

/// What reading a file gave. `value` is there exactly when no problem is an error.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed<T> {
    pub value: Option<T>,
    pub problems: Vec<Problem>,
}

impl<T> Parsed<T> {
    /// The value with its warnings, or everything that was wrong.
    ///
    /// # Errors
    /// All problems, warnings included, when at least one is an error.
    pub fn into_result(self) -> Result<(T, Vec<Problem>), Vec<Problem>> {
        match self.value {
            Some(value) => Ok((value, self.problems)),
            None => Err(self.problems),
        }
    }

    /// The same problems with the value made into another.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Parsed<U> {
        Parsed { value: self.value.map(make), problems: self.problems }
    }

    pub(crate) fn new(value: Option<T>, mut problems: Vec<Problem>) -> Self {
        // Stable: two problems at one place stay in the order in which they were found. Problems
        // of no place come first where they are about the whole file, and the count of the unsaid
        // ones, which is there at most once, is last.
        let unsaid = |problem: &Problem| problem.code == codes::MORE.0;
        problems.sort_by_key(|problem| (unsaid(problem), problem.line, problem.column));
        let failed = problems.iter().any(Problem::is_error);
        assert!(failed || value.is_some(), "a file was refused without saying why");
        Self { value: if failed { None } else { value }, problems }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_place_kind_message_and_help() {
        let at = Mark { line: 3, column: 5 };
        let problem =
            Problem::new(Severity::Error, Some(at), codes::UNKNOWN_KEY, "no key 'x'", "write 'y'");
        assert_eq!(problem.to_string(), "3:5: error[unknown-key]: no key 'x' — write 'y'");
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["severity"], "error");
        assert_eq!(serde_json::from_value::<Problem>(json).unwrap(), problem);
    }

    #[test]
    fn a_value_with_an_error_is_withheld() {
        let problem = |severity| {
            vec![Problem::new(severity, None, codes::UNKNOWN_KEY, String::new(), String::new())]
        };
        assert!(Parsed::new(Some(1), problem(Severity::Error)).into_result().is_err());
        assert!(Parsed::new(Some(1), problem(Severity::Warning)).into_result().is_ok());
    }
}
