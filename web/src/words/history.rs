//! What happened, line by line.

use pipelines::deploy::{self, HostOutcome, Plan, RouteOutcome};
use pipelines::run::{self, event::BuildOutcome, event::DeploymentEnd};
use pipelines::time::Timestamp;
use store::history::Row;

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub at: Timestamp,
    pub text: String,
    pub status: String,
}

/// A deployment's history; looks that changed nothing are left out.
pub fn of_deployment(rows: &[Row], plan: Option<&Plan>) -> Vec<Line> {
    lines(rows, |event| match serde_json::from_value::<deploy::Event>(event.clone()) {
        Ok(event) => deployment_event(&event, plan),
        Err(_) => Some(event.to_string()),
    })
}

/// A run's history; looks that changed nothing are left out.
pub fn of_run(rows: &[Row]) -> Vec<Line> {
    lines(rows, |event| match serde_json::from_value::<run::Event>(event.clone()) {
        Ok(event) => run_event(&event),
        Err(_) => Some(event.to_string()),
    })
}

fn lines(rows: &[Row], say: impl Fn(&serde_json::Value) -> Option<String>) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut before = "";
    for row in rows {
        let changed = row.status != before;
        before = &row.status;
        let text = match say(&row.event) {
            Some(text) => text,
            None if changed => row.status.replace('-', " "),
            None => continue,
        };
        lines.push(Line { at: Timestamp(row.at), text, status: row.status.clone() });
    }
    lines
}

fn deployment_event(event: &deploy::Event, plan: Option<&Plan>) -> Option<String> {
    Some(match event {
        deploy::Event::HostFinished { host, outcome, .. } => {
            let name = plan.map_or_else(|| host.to_string(), |plan| plan.host_name(*host));
            match outcome {
                HostOutcome::Succeeded => format!("{name} finished its work"),
                HostOutcome::Failed(error) => {
                    let step = error.step.as_ref().map(|step| format!(" in {step}"));
                    format!("{name} failed{}: {}", step.unwrap_or_default(), error.message)
                }
                HostOutcome::Cancelled { .. } => format!("{name} stopped its work"),
            }
        }
        deploy::Event::Abort { by, reason } => with_reason(format!("stopped by {by}"), reason),
        deploy::Event::Halt { by, reason } => {
            with_reason(format!("the way back halted by {by}"), reason)
        }
        deploy::Event::Pause { by, reason } if reason.is_empty() => format!("paused by {by}"),
        deploy::Event::Pause { by, reason } => format!("paused by {by}: {reason}"),
        deploy::Event::Resume { by } => format!("resumed by {by}"),
        deploy::Event::Supersede { by } => format!("overtaken by {by}"),
        deploy::Event::Routed { outcome, .. } => match outcome {
            RouteOutcome::Applied => "the router did what it was told".to_owned(),
            RouteOutcome::Partly { out } => {
                format!("the router did what it was told, but finds {} bad", out.join(", "))
            }
            RouteOutcome::Failed(error) => format!("the router failed: {}", error.message),
            RouteOutcome::Cancelled => "the router stopped half-way".to_owned(),
        },
        deploy::Event::Instance { host, error, .. } => {
            let name = plan.map_or_else(|| host.to_string(), |plan| plan.host_name(*host));
            match error {
                Some(error) => format!("the instance {name}: {error}"),
                None => format!("the instance {name} is as it was asked to be"),
            }
        }
        deploy::Event::Promote { by, full: false, .. } => format!("promoted by {by}"),
        deploy::Event::Promote { by, full: true, .. } => format!("promoted to the end by {by}"),
        deploy::Event::Decide { by, approve, reason, .. } => {
            let what = if *approve { "approved" } else { "rejected" };
            with_reason(format!("{what} by {by}"), reason)
        }
        deploy::Event::Retry { by, host } => {
            let name = plan.map_or_else(|| host.to_string(), |plan| plan.host_name(*host));
            format!("{name} is tried again by {by}")
        }
        deploy::Event::Exclude { by, host, reason } => {
            let name = plan.map_or_else(|| host.to_string(), |plan| plan.host_name(*host));
            with_reason(format!("{name} was left out by {by}"), reason)
        }
        deploy::Event::Override { by, reason } => {
            with_reason(format!("let through window and freeze by {by}"), reason)
        }
        deploy::Event::Tick => return None,
    })
}

fn run_event(event: &run::Event) -> Option<String> {
    Some(match event {
        run::Event::SourceReady { action, revision, .. } => {
            format!("{action} fetched {}", revision.label())
        }
        run::Event::SourceFailed { action, message, .. }
        | run::Event::DeploymentRefused { action, message, .. } => {
            format!("{action} failed: {message}")
        }
        run::Event::BuildFinished { action, outcome, .. } => match outcome {
            BuildOutcome::Succeeded { .. } => format!("{action} succeeded"),
            BuildOutcome::Failed(error) => format!("{action} failed: {}", error.message),
            BuildOutcome::Cancelled => format!("{action} was stopped"),
        },
        run::Event::BuildLost { action, message, .. } => format!("{action} was lost: {message}"),
        run::Event::DeploymentCreated { action, deployment, .. } => {
            format!("{action} started deployment {deployment}")
        }
        run::Event::DeploymentFinished { action, end, message, .. } => match end {
            DeploymentEnd::Succeeded => format!("{action} succeeded"),
            DeploymentEnd::Failed => with_reason(format!("{action} failed"), message),
            DeploymentEnd::RolledBack => with_reason(format!("{action} was rolled back"), message),
            DeploymentEnd::Cancelled => with_reason(format!("{action} was cancelled"), message),
        },
        run::Event::Decided { action, by, approved, comment } => {
            let word = if *approved { "approved" } else { "rejected" };
            with_reason(format!("{action} {word} by {by}"), comment)
        }
        run::Event::Override { by, reason } => {
            with_reason(format!("let through the freeze by {by}"), reason)
        }
        run::Event::Stop { by, reason, .. } => with_reason(format!("stopped by {by}"), reason),
        run::Event::Tick => return None,
    })
}

fn with_reason(text: String, reason: &str) -> String {
    if reason.is_empty() { text } else { format!("{text}: {reason}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::Json;

    fn row(event: &deploy::Event, status: &str) -> Row {
        Row {
            id: 1,
            at: 1000,
            event: Json(serde_json::to_value(event).unwrap()),
            status: status.to_owned(),
            waiting: Json(Vec::new()),
        }
    }

    #[test]
    fn only_what_changed_something_is_told() {
        let pause = deploy::Event::Pause { by: "ada".to_owned(), reason: "a look".into() };
        let rows = [
            row(&deploy::Event::Tick, "queued"),
            row(&deploy::Event::Tick, "running"),
            row(&deploy::Event::Tick, "running"),
            row(&pause, "running"),
        ];
        let texts: Vec<String> =
            of_deployment(&rows, None).into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["queued", "running", "paused by ada: a look"]);
    }
}
