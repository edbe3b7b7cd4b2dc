//! Why a deployment ended before its end.

use pipelines::protocol::report::ErrorCode;
use serde::{Deserialize, Serialize};
use std::io;

/// What stopped a step.
#[derive(Debug)]
pub enum Stop {
    Fault(Fault),
    /// The task was told to stop; the reason is in its context.
    Told,
}

/// A failure, for people and for the controller. Where it happened is added by who knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub code: ErrorCode,
    pub message: String,
    /// The script, when one is to blame.
    pub script: Option<String>,
}

impl Fault {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Fault {
        Fault { code, message: message.into(), script: None }
    }

    pub fn of_script(code: ErrorCode, script: &str, message: impl Into<String>) -> Fault {
        Fault { code, message: message.into(), script: Some(script.to_owned()) }
    }

    /// A file operation that failed, while doing `what`.
    pub fn disk(what: impl std::fmt::Display, error: &io::Error) -> Fault {
        let full =
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let code = if full { ErrorCode::OutOfDisk } else { ErrorCode::AgentError };
        Fault::new(code, format!("{what}: {error}"))
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault)
    }
}
