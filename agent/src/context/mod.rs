//! What a task's body is given: its log, its progress, its content, its journal, its directories,
//! and the word to stop. A body knows nothing of the link to the controller.

mod cache;
mod cancel;
mod content;
mod journal;
mod log;
mod progress;

pub use cache::{Cache, measure};
pub use cancel::{Cancel, Reason};
pub use content::{Content, ContentError, free_bytes};
pub use journal::TaskJournal;
pub use log::{LogWriter, SIZE_MAX as LOG_SIZE_MAX, Spool};
pub use progress::ProgressSender;

use pipelines::protocol::report::{ErrorCode, Outcome, Step, TaskError};
use pipelines::protocol::task::TaskKey;
use pipelines::time::Millis;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Everything a build or a deployment may use while it runs.
#[derive(Clone)]
pub struct TaskContext {
    pub key: TaskKey,
    pub log: LogWriter,
    pub progress: ProgressSender,
    pub cancel: Cancel,
    pub content: Content,
    pub dirs: Dirs,
    pub journal: TaskJournal,
    pub settings: Arc<Settings>,
    pub since: Since,
}

/// What the operator of this agent chose; the same for all tasks.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub agent_name: String,
    /// Where Docker listens; None: what the environment says.
    pub docker_host: Option<String>,
    /// What builds are allowed here.
    pub build: crate::build::policy::Policy,
    /// How nginx is called, where it is this host's balancer; None: `nginx`.
    pub nginx: Option<String>,
}

/// Where things are on this host. All of them exist.
#[derive(Debug, Clone)]
pub struct Dirs {
    /// The agent's state directory.
    pub state: PathBuf,
    /// The task's own, gone once the controller has acknowledged the task's end.
    pub task: PathBuf,
    /// Scratch space inside the task's directory.
    pub work: PathBuf,
}

/// The task's own stopwatch. After a restart of the agent it goes on from where it was.
#[derive(Debug, Clone, Copy)]
pub struct Since {
    start: Instant,
    before: Duration,
}

impl Since {
    #[must_use]
    pub fn now_after(before: Duration) -> Since {
        Since { start: Instant::now(), before }
    }

    #[must_use]
    pub fn elapsed(&self) -> Millis {
        let whole = self.start.elapsed() + self.before;
        Millis(u64::try_from(whole.as_millis()).unwrap_or(u64::MAX))
    }
}

impl TaskContext {
    /// The outcome of a task that was told to stop, by the reason it was given.
    #[must_use]
    pub fn stopped(&self, steps: Vec<Step>, step: Option<String>, touched: bool) -> Outcome {
        let (code, message) = match self.cancel.reason() {
            Some(Reason::Controller) | None => return Outcome::Cancelled { steps, touched },
            Some(Reason::TimedOut) => (ErrorCode::TimedOut, "the task ran into its time limit"),
            Some(Reason::LeaseLapsed) => (
                ErrorCode::LeaseLapsed,
                "the controller was out of reach for longer than the lease, so the agent stopped",
            ),
            Some(Reason::Shutdown) => {
                (ErrorCode::Interrupted, "the agent was stopped while the task ran")
            }
        };
        let error = TaskError { code, message: message.to_owned(), step, command: None, touched };
        Outcome::Failed { steps, error, artifacts: Vec::new() }
    }
}
