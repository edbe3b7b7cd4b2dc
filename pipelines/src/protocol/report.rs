//! What an agent says about a task. A report is repeated until it is acknowledged, in order, so the
//! controller must take the same one twice.

use super::answer::Answer;
use super::task::{Artifact, NamedArtifact, TaskKey};
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub key: TaskKey,
    pub boot: String,
    /// Rises by one per report of this attempt.
    pub seq: u64,
    pub body: Body,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// Only the newest matters; may be left out when the agent is behind.
    Progress(Progress),
    /// Final. Sent after all log bytes up to `log_size` are acknowledged.
    Finished { outcome: Outcome, log_size: u64 },
}

/// Everything known so far, not a difference, so that one lost report costs nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Progress {
    pub steps: Vec<Step>,
}

/// A build phase or a lifecycle event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// CodeBuild's phase name or CodeDeploy's event name: `PRE_BUILD`, `ApplicationStop`.
    pub name: String,
    pub status: StepStatus,
    /// Offset from the start of the task.
    pub started: Millis,
    pub took: Option<Millis>,
    /// First byte of this step in the task's log.
    pub log_offset: u64,
    /// Commands of a phase, scripts of an event.
    pub commands: Vec<Command>,
    /// Why it failed or was skipped, in one sentence.
    pub message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepStatus {
    Running,
    Succeeded,
    Failed,
    Skipped,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// The command's first line, masked; the script's location for hooks.
    pub text: String,
    pub exit_code: Option<i32>,
    pub took: Option<Millis>,
    pub log_offset: u64,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Succeeded {
        steps: Vec<Step>,
        /// Builds: one per output that was produced.
        artifacts: Vec<NamedArtifact>,
        /// Builds: `env.exported-variables`.
        exported: BTreeMap<String, String>,
        /// What was asked for, where the task was a question.
        #[serde(default)]
        answer: Option<Answer>,
    },
    Failed {
        steps: Vec<Step>,
        error: TaskError,
        /// Builds: what was still produced.
        artifacts: Vec<NamedArtifact>,
    },
    /// The controller asked for it.
    Cancelled { steps: Vec<Step>, touched: bool },
}

/// A stable code, a sentence, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    pub code: ErrorCode,
    /// One sentence a person can act on, without secrets.
    pub message: String,
    /// Phase or lifecycle event.
    pub step: Option<String>,
    /// Command or script location.
    pub command: Option<String>,
    /// Deploy tasks: the host's application may have been changed. False means it still runs what it
    /// ran before, untouched.
    pub touched: bool,
}

/// CodeDeploy's names where they exist, our own otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorCode {
    ScriptMissing,
    ScriptNotExecutable,
    ScriptTimedOut,
    ScriptFailed,
    /// A script ended but something it started keeps its output open.
    ScriptLeftOutputOpen,
    /// The agent was stopped or died while a hook or a build ran. It is not run again by itself.
    Interrupted,
    /// The controller could not be reached for longer than the lease.
    LeaseLapsed,
    /// A newer controller or deployment has spoken to this agent since.
    Fenced,
    BundleInvalid,
    DigestMismatch,
    AppspecInvalid,
    FileExists,
    MissingSource,
    InstallFailed,
    HealthCheckFailed,
    /// The balancer did not do what it was told, or its own check stayed red.
    RouterFailed,
    BuildspecInvalid,
    CommandFailed,
    ArtifactMissing,
    ImageUnavailable,
    OutOfMemory,
    OutOfDisk,
    TimedOut,
    /// Docker, the network, the disk: not the user's doing.
    AgentError,
}

impl ErrorCode {
    /// Whether doing the same again elsewhere could help.
    #[must_use]
    pub fn is_infrastructure(self) -> bool {
        matches!(self, ErrorCode::AgentError | ErrorCode::LeaseLapsed | ErrorCode::OutOfDisk)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportReply {
    /// False: the attempt is not the current one; the agent drops the task.
    pub current: bool,
}

/// Answer to a piece of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReply {
    /// Bytes stored so far; the next piece starts here. The agent goes back to it after a gap.
    pub size: u64,
    pub current: bool,
}

/// Answer to an uploaded artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadReply {
    pub artifact: Artifact,
}
