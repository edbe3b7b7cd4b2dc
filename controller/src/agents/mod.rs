//! The agents' side of the port: joining, the held poll, logs, artifacts, reports.

mod auth;
mod clean;
mod content;
mod join;
mod poll;
mod report;
pub mod seen;
mod whoami;

use crate::state::Controller;
use anyhow::Result;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};
use pipelines::deploy::{self, HostOutcome, RouteOutcome};
use pipelines::ids::{AgentId, TaskId};
use pipelines::protocol::answer::Answer;
use pipelines::protocol::report::Outcome;
use pipelines::protocol::route::Traffic;
use pipelines::protocol::task::{TaskKey, Work};
use pipelines::run::{self, event::BuildOutcome};
use store::tasks::Owner;
use store::{PgConnection, artifacts, inbox, instances, tasks};

/// Steps and messages of a large build; logs and artifacts have limits of their own.
const MESSAGE_MAX: usize = 4 << 20;

pub fn router() -> Router<Controller> {
    let messages = Router::new()
        .route("/agent/v1/join", post(join::join))
        .route("/agent/v1/poll", post(poll::poll))
        .route("/agent/v1/whoami", get(whoami::whoami))
        .route("/agent/v1/leave", post(whoami::leave))
        .route("/agent/v1/tasks/{id}/log", post(report::log))
        .route("/agent/v1/tasks/{id}/report", post(report::report))
        .layer(DefaultBodyLimit::max(MESSAGE_MAX));
    let content = Router::new()
        .route("/agent/v1/artifacts/{digest}", get(content::fetch))
        .route("/agent/v1/tasks/{id}/artifacts/{digest}", put(content::upload))
        .layer(DefaultBodyLimit::disable());
    messages.merge(content)
}

/// The outcome of a task that was cancelled before any agent had it.
pub fn cancelled_unseen() -> Outcome {
    Outcome::Cancelled { steps: Vec::new(), touched: false }
}

/// Ends a task on our own word and tells whom it concerns.
///
/// # Errors
/// When the database cannot be written.
pub async fn finish_without_agent(
    conn: &mut PgConnection,
    task: TaskId,
    outcome: &Outcome,
) -> Result<()> {
    let attempt = tasks::by_id(conn, task).await?.map_or(0, |row| row.attempt.unsigned_abs());
    if let Some(owner) = tasks::give_up(conn, task, outcome).await? {
        tell_owner(conn, &owner, TaskKey { task, attempt }, outcome).await?;
    }
    Ok(())
}

/// Posts a finished task's result to the run or deployment that waits for it.
pub(crate) async fn tell_owner(
    conn: &mut PgConnection,
    owner: &Owner,
    key: TaskKey,
    outcome: &Outcome,
) -> Result<()> {
    match owner {
        Owner::Run { run, action } => {
            if let Outcome::Succeeded { artifacts: made, .. } = outcome {
                for named in made {
                    artifacts::note(conn, &named.artifact).await?;
                }
            }
            let outcome = match outcome {
                Outcome::Succeeded { artifacts, exported, .. } => BuildOutcome::Succeeded {
                    artifacts: artifacts.clone(),
                    exported: exported.clone(),
                },
                Outcome::Failed { error, .. } => BuildOutcome::Failed(error.clone()),
                Outcome::Cancelled { .. } => BuildOutcome::Cancelled,
            };
            let (action, attempt) = (action.clone(), key.attempt);
            let event = run::Event::BuildFinished { action, attempt, outcome };
            Ok(inbox::post_run(conn, *run, &event).await?)
        }
        Owner::Host { deployment, host } => {
            let outcome = match outcome {
                Outcome::Succeeded { .. } => HostOutcome::Succeeded,
                Outcome::Failed { error, .. } => HostOutcome::Failed(error.clone()),
                Outcome::Cancelled { touched, .. } => HostOutcome::Cancelled { touched: *touched },
            };
            let (host, attempt) = (*host, key.attempt);
            let event = deploy::Event::HostFinished { host, attempt, outcome };
            Ok(inbox::post_deployment(conn, *deployment, &event).await?)
        }
        Owner::Route { deployment } => {
            let outcome = match outcome {
                // The driver reads back before it says so; what it read is in the task.
                Outcome::Succeeded { answer, .. } => {
                    routed(tasks::work(conn, key.task).await?.as_ref(), answer.as_ref())
                }
                Outcome::Failed { error, .. } => RouteOutcome::Failed(error.clone()),
                Outcome::Cancelled { .. } => RouteOutcome::Cancelled,
            };
            let event = deploy::Event::Routed { attempt: key.attempt, outcome };
            Ok(inbox::post_deployment(conn, *deployment, &event).await?)
        }
        Owner::Instance { deployment, host } => {
            note_address(conn, *host, outcome).await?;
            let error = match outcome {
                Outcome::Succeeded { .. } => None,
                Outcome::Failed { error, .. } => Some(error.message.clone()),
                Outcome::Cancelled { .. } => Some("it was cancelled".to_owned()),
            };
            let event = deploy::Event::Instance { host: *host, attempt: key.attempt, error };
            Ok(inbox::post_deployment(conn, *deployment, &event).await?)
        }
        Owner::Question { deployment } => {
            // Whoever waits looks again.
            if let Some(deployment) = deployment {
                inbox::post_deployment(conn, *deployment, &deploy::Event::Tick).await?;
            }
            Ok(())
        }
    }
}

/// Where a host is that was made, if that is what the outcome says.
async fn note_address(conn: &mut PgConnection, host: AgentId, outcome: &Outcome) -> Result<()> {
    if let Outcome::Succeeded { answer: Some(Answer::Launched(launched)), .. } = outcome
        && let Some(address) = &launched.address
    {
        match address.parse() {
            Ok(address) => instances::note_address(conn, host, address).await?,
            Err(_) => tracing::warn!(address, "a provider names what is no IP address"),
        }
    }
    Ok(())
}

/// What the driver read back against what it was told: all of it, or all but servers that were to come
/// in and are out.
fn routed(work: Option<&Work>, answer: Option<&Answer>) -> RouteOutcome {
    let (Some(Work::Route(route)), Some(Answer::Routed(routed))) = (work, answer) else {
        return RouteOutcome::Applied;
    };
    let comes = |traffic: Traffic| matches!(traffic, Traffic::In { .. });
    let wanted =
        |name: &str| route.servers.iter().any(|order| order.name == name && comes(order.traffic));
    let red = routed.servers.iter().filter(|seen| wanted(&seen.name) && !comes(seen.traffic));
    let out: Vec<String> = red.map(|seen| seen.name.clone()).collect();
    if out.is_empty() { RouteOutcome::Applied } else { RouteOutcome::Partly { out } }
}
