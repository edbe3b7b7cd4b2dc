//! What a task is doing.

use pipelines::protocol::report::{Outcome, Step, StepStatus, TaskError};
use store::tasks::Row;

pub fn state(row: &Row) -> &'static str {
    match (&row.outcome, row.claimed_at, row.finished_at) {
        (Some(outcome), ..) => match outcome.0 {
            Outcome::Succeeded { .. } => "succeeded",
            Outcome::Failed { .. } => "failed",
            Outcome::Cancelled { .. } => "cancelled",
        },
        (None, _, Some(_)) => "cancelled",
        // Its host works on one task at a time, and this one may have to wait there.
        (None, Some(_), None) if row.kind == "host" && row.started_at.is_none() => "queued",
        (None, Some(_), None) => "running",
        (None, None, None) => "queued",
    }
}

/// Phases or lifecycle events: as they ended, else as last heard.
pub fn steps(row: &Row) -> &[Step] {
    match (&row.outcome, &row.progress) {
        (Some(outcome), _) => match &outcome.0 {
            Outcome::Succeeded { steps, .. }
            | Outcome::Failed { steps, .. }
            | Outcome::Cancelled { steps, .. } => steps,
        },
        (None, Some(progress)) => &progress.steps,
        (None, None) => &[],
    }
}

pub fn error(row: &Row) -> Option<&TaskError> {
    match row.outcome.as_ref().map(|outcome| &outcome.0) {
        Some(Outcome::Failed { error, .. }) => Some(error),
        _ => None,
    }
}

pub fn step_status(status: StepStatus) -> &'static str {
    match status {
        StepStatus::Running => "running",
        StepStatus::Succeeded => "succeeded",
        StepStatus::Failed => "failed",
        StepStatus::Skipped => "skipped",
    }
}
