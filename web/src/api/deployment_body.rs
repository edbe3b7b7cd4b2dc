//! A deployment in JSON.

use super::monitors::{MonitorBody, VerdictBody};
use super::shared::{self, RevisionBody, WaitingBody};
use super::tasks::{ErrorBody, TaskBody};
use crate::intent::approving::{self, Seen};
use crate::words;
use crate::words::monitor::Watch;
use pipelines::deploy::{Fault, Phase, Plan, State};
use pipelines::ids::RunId;
use serde::Serialize;
use store::deployments::Row;
use store::{history, tasks};

/// A line of a list.
#[derive(Debug, Serialize)]
pub struct DeploymentSummary {
    id: String,
    group: String,
    /// forward, rollback
    purpose: String,
    status: String,
    sentence: String,
    revision: RevisionBody,
    waiting: Vec<WaitingBody>,
    hosts_total: usize,
    hosts_updated: usize,
    run: Option<String>,
    action: Option<String>,
    created_by: String,
    created_at: String,
    finished_at: Option<String>,
    /// A defect keeps the engine from deciding; the text says which.
    stuck: Option<String>,
}

impl From<&Row> for DeploymentSummary {
    fn from(row: &Row) -> DeploymentSummary {
        DeploymentSummary {
            id: row.id().to_string(),
            group: row.group_name.clone(),
            purpose: row.purpose.clone(),
            status: row.status.clone(),
            sentence: words::deployment::sentence(row),
            revision: RevisionBody::from(&row.revision.0),
            waiting: shared::all(&row.waiting),
            hosts_total: row.plan.as_ref().map_or(0, |plan| plan.hosts.len()),
            hosts_updated: row.state.as_ref().map_or(0, |state| state.updated()),
            run: row.run_id.map(|id| RunId(id).to_string()),
            action: row.action.clone(),
            created_by: row.created_by.clone(),
            created_at: shared::at(row.created_at),
            finished_at: row.finished_at.map(shared::at),
            stuck: row.stuck.clone(),
        }
    }
}

/// All of one deployment.
#[derive(Debug, Serialize)]
pub struct DeploymentBody {
    #[serde(flatten)]
    summary: DeploymentSummary,
    application: Option<String>,
    strategy: Option<String>,
    /// Why it turned back or ended badly.
    cause: Option<String>,
    /// What somebody can do about it, with the commands.
    next: Option<String>,
    paused: Option<PauseBody>,
    /// The step it is at while it goes forward, for whoever wants to promote that one and no other.
    at: Option<AtBody>,
    /// What there is to approve or reject now. An answer carries what it is about, except `next`.
    approval: Option<ApprovalBody>,
    /// Who let it start outside the group's windows or in a freeze.
    overridden: Option<OverriddenBody>,
    started_at: Option<String>,
    rollback_at: Option<String>,
    steps: Vec<StepBody>,
    hosts: Vec<HostBody>,
    monitors: Vec<MonitorBody>,
    /// The judge's last word about a step.
    analysis: Option<VerdictBody>,
    history: Vec<HistoryBody>,
}

#[derive(Debug, Serialize)]
struct PauseBody {
    by: String,
    since: String,
}

#[derive(Debug, Serialize)]
struct AtBody {
    /// Counted from 1.
    step: usize,
    generation: u64,
}

#[derive(Debug, Serialize)]
struct ApprovalBody {
    #[serde(flatten)]
    asked: Seen,
    /// What the plan does once it is approved, step by step.
    next: Vec<String>,
}

#[derive(Debug, Serialize)]
struct OverriddenBody {
    by: String,
    reason: String,
    at: String,
}

#[derive(Debug, Serialize)]
struct StepBody {
    number: usize,
    sentence: String,
    /// done, now, next
    state: &'static str,
    hosts: Vec<String>,
}

#[derive(Debug, Serialize)]
struct HostBody {
    id: String,
    name: String,
    /// pending, updating, updated, failed, lost, rolling-back, rolled-back, rollback-failed
    state: &'static str,
    message: Option<String>,
    error: Option<ErrorBody>,
    /// What it is known to serve, as far as this deployment knows.
    revision: Option<String>,
    /// What runs there and whether it gets traffic, in words.
    runs: String,
    /// What a rollback returns it to.
    prior: Option<String>,
    attempt: u32,
    tasks: Vec<TaskBody>,
}

#[derive(Debug, Serialize)]
struct HistoryBody {
    at: String,
    text: String,
    status: String,
}

impl DeploymentBody {
    pub fn new(row: &Row, tasks: &[tasks::Row], history: &[history::Row]) -> DeploymentBody {
        let (plan, state) =
            (row.plan.as_ref().map(|plan| &plan.0), row.state.as_ref().map(|state| &state.0));
        let lines = words::history::of_deployment(history, plan).into_iter();
        let history = lines.map(|line| HistoryBody {
            at: words::time::rfc3339(line.at),
            text: line.text,
            status: line.status,
        });
        let (steps, hosts) = match (plan, state) {
            (Some(plan), Some(state)) => (steps(plan, state), hosts(plan, state, tasks)),
            _ => (Vec::new(), Vec::new()),
        };
        let paused = state.and_then(|state| state.paused.as_ref());
        DeploymentBody {
            summary: DeploymentSummary::from(row),
            application: plan.map(|plan| plan.application.clone()),
            strategy: plan.map(|plan| plan.strategy.clone()),
            cause: state.and_then(|state| state.cause.as_ref()).map(ToString::to_string),
            next: words::next::next(row),
            paused: paused.map(|pause| PauseBody {
                by: pause.by.clone(),
                since: words::time::rfc3339(pause.since),
            }),
            at: state
                .filter(|state| state.phase == Phase::Running)
                .map(|state| AtBody { step: state.step + 1, generation: state.generation }),
            approval: approving::asked(row).zip(plan.zip(state)).map(|(asked, (plan, state))| {
                ApprovalBody { asked, next: approving::next(plan, state) }
            }),
            overridden: state.and_then(|state| state.overridden.as_ref()).map(|overridden| {
                OverriddenBody {
                    by: overridden.by.clone(),
                    reason: overridden.reason.clone(),
                    at: words::time::rfc3339(overridden.at),
                }
            }),
            started_at: state.and_then(|state| shared::at_opt(state.started_at)),
            rollback_at: state.and_then(|state| shared::at_opt(state.rollback_at)),
            steps,
            hosts,
            monitors: Vec::new(),
            analysis: None,
            history: history.collect(),
        }
    }

    pub fn with_watch(self, watch: &Watch) -> DeploymentBody {
        let monitors = watch.monitors.iter().map(MonitorBody::from).collect();
        let analysis = watch.verdict.as_ref().map(VerdictBody::from);
        DeploymentBody { monitors, analysis, ..self }
    }
}

fn steps(plan: &Plan, state: &State) -> Vec<StepBody> {
    let steps = plan.steps.iter().enumerate().map(|(index, step)| StepBody {
        number: index + 1,
        sentence: step.sentence(plan),
        state: words::deployment::step_state(plan, state, index),
        hosts: step.hosts().iter().map(|id| plan.host_name(*id)).collect(),
    });
    steps.collect()
}

fn hosts(plan: &Plan, state: &State, tasks: &[tasks::Row]) -> Vec<HostBody> {
    let hosts = plan.hosts.iter().filter_map(|planned| {
        let host = state.hosts.get(&planned.id)?;
        let own = tasks.iter().filter(|task| task.agent_id == Some(planned.id.0));
        let error = match &host.fault {
            Some(Fault::Failed { error }) => Some(error),
            Some(Fault::Lost { .. } | Fault::Stuck { .. }) | None => None,
        };
        Some(HostBody {
            id: planned.id.to_string(),
            name: planned.name.clone(),
            state: host.status(planned).as_str(),
            message: words::deployment::host_message(host),
            error: error.map(ErrorBody::from),
            revision: words::deployment::host_revision(plan, planned, host)
                .map(|revision| revision.label.clone()),
            runs: words::deployment::host_runs(plan, planned, host),
            prior: planned.prior.as_ref().map(|revision| revision.label.clone()),
            attempt: host.attempt,
            tasks: own.map(TaskBody::from).collect(),
        })
    });
    hosts.collect()
}
