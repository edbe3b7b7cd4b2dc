//! How a command ends: the exit codes are a promise, see `pipectl --help`.

use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    RolledBack = 3,
    /// Superseded, stopped or cancelled.
    Cancelled = 4,
    /// Only a person can move it on, and we were told not to wait.
    WaitsForPerson = 5,
    Unreachable = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl Exit {
    /// By the word a run or a deployment ended with; None while it is unfinished.
    pub fn of_status(status: &str) -> Option<Exit> {
        match status {
            "succeeded" => Some(Exit::Done),
            "failed" | "rollback-failed" => Some(Exit::Failed),
            "rolled-back" => Some(Exit::RolledBack),
            "stopped" | "superseded" | "cancelled" => Some(Exit::Cancelled),
            _ => None,
        }
    }
}

/// Why a command ended without doing what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>, help: impl Into<String>) -> Failure {
        Failure { exit, message: message.into(), help: help.into() }
    }

    pub fn failed(message: impl Into<String>, help: impl Into<String>) -> Failure {
        Failure::new(Exit::Failed, message, help)
    }

    pub fn usage(message: impl Into<String>, help: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, message, help)
    }
}

pub type Result<T, E = Failure> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_exit_code() {
        let cases = [
            ("succeeded", Some(0)),
            ("failed", Some(1)),
            ("rollback-failed", Some(1)),
            ("rolled-back", Some(3)),
            ("superseded", Some(4)),
            ("stopped", Some(4)),
            ("running", None),
            ("rolling-back", None),
        ];
        for (status, expected) in cases {
            assert_eq!(Exit::of_status(status).map(|exit| exit as u8), expected, "{status}");
        }
    }
}
