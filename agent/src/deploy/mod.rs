//! Deployments: bringing this host to a revision by its appspec.

use crate::context::TaskContext;
use pipelines::protocol::poll::Installed;
use pipelines::protocol::report::{ErrorCode, Outcome, TaskError};
use pipelines::protocol::task::{Deploy, Task};
use std::path::Path;

/// Runs one deployment task to its end. `resume`: the agent was started again while it ran.
pub async fn run(_task: &Task, _deploy: &Deploy, ctx: &TaskContext, _resume: bool) -> Outcome {
    ctx.log.say("this agent cannot deploy yet").await;
    let message = "this agent cannot deploy yet".to_owned();
    let code = ErrorCode::AgentError;
    let error = TaskError { code, message, step: None, command: None, touched: false };
    Outcome::Failed { steps: Vec::new(), error, artifacts: Vec::new() }
}

/// What each group has on this host.
#[must_use]
pub fn installed(_state: &Path) -> Vec<Installed> {
    Vec::new()
}
