//! Tasks as parts of runs and deployments.

use super::shared;
use crate::words;
use pipelines::protocol::report::{Step, TaskError};
use pipelines::time::Millis;
use serde::Serialize;
use store::tasks::Row;

#[derive(Debug, Serialize)]
pub struct TaskBody {
    id: String,
    attempt: i32,
    state: &'static str,
    agent: Option<String>,
    created_at: String,
    claimed_at: Option<String>,
    /// Since when its host works on it: what it waited there for others is not its own time.
    started_at: Option<String>,
    finished_at: Option<String>,
    error: Option<ErrorBody>,
    steps: Vec<StepBody>,
}

#[derive(Debug, Serialize)]
pub struct ErrorBody {
    code: String,
    message: String,
    step: Option<String>,
    command: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct StepBody {
    name: String,
    status: &'static str,
    seconds: Option<f64>,
    log_offset: u64,
    message: Option<String>,
    commands: Vec<CommandBody>,
}

#[derive(Debug, Serialize)]
pub struct CommandBody {
    text: String,
    exit_code: Option<i32>,
    seconds: Option<f64>,
}

impl From<&Row> for TaskBody {
    fn from(row: &Row) -> TaskBody {
        TaskBody {
            id: row.key().task.to_string(),
            attempt: row.attempt,
            state: words::task::state(row),
            agent: row.agent.clone(),
            created_at: shared::at(row.created_at),
            claimed_at: row.claimed_at.map(shared::at),
            started_at: row.started_at.map(shared::at),
            finished_at: row.finished_at.map(shared::at),
            error: words::task::error(row).map(ErrorBody::from),
            steps: words::task::steps(row).iter().map(StepBody::from).collect(),
        }
    }
}

impl From<&TaskError> for ErrorBody {
    fn from(error: &TaskError) -> ErrorBody {
        let TaskError { code, message, step, command, touched: _ } = error;
        ErrorBody {
            code: format!("{code:?}"),
            message: message.clone(),
            step: step.clone(),
            command: command.clone(),
        }
    }
}

impl From<&Step> for StepBody {
    fn from(step: &Step) -> StepBody {
        let Step { name, status, started: _, took, log_offset, commands, message } = step;
        let commands = commands.iter().map(|command| CommandBody {
            text: command.text.clone(),
            exit_code: command.exit_code,
            seconds: command.took.map(seconds),
        });
        StepBody {
            name: name.clone(),
            status: words::task::step_status(*status),
            seconds: took.map(seconds),
            log_offset: *log_offset,
            message: message.clone(),
            commands: commands.collect(),
        }
    }
}

fn seconds(length: Millis) -> f64 {
    length.to_std().as_secs_f64()
}
