//! What a deployment has done so far. Everything else is derived from this and the plan.

use super::event::Facts;
use super::plan::Plan;
use crate::command::Waiting;
use crate::ids::AgentId;
use crate::protocol::report::TaskError;
use crate::protocol::task::Purpose;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub phase: Phase,
    /// Rises whenever what agents were told before must no longer count.
    pub generation: u64,
    /// Index of the plan's step in progress.
    pub step: usize,
    pub hosts: BTreeMap<AgentId, Host>,
    pub paused: Option<Pause>,
    /// Why it turned back or ended badly.
    pub cause: Option<Cause>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub rollback_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Another deployment of the group is unfinished.
    Queued,
    Running,
    /// It failed and no rollback was asked for; running work is being stopped.
    Failing,
    RollingBack,
    Succeeded,
    /// Ended without rollback: hosts may differ, `hosts` says how.
    Failed,
    RolledBack,
    RollbackFailed,
    Cancelled,
    Superseded,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Host {
    pub state: HostState,
    /// The application on it may have been changed by this deployment.
    pub touched: bool,
    /// Tasks handed out so far; the current one has this number.
    pub attempt: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostState {
    Pending,
    Working {
        purpose: Purpose,
        since: Timestamp,
        cancelling: bool,
    },
    /// Serves the deployment's revision, validated.
    Updated,
    Failed {
        error: TaskError,
    },
    /// Its agent fell silent while it mattered.
    Lost {
        since: Timestamp,
    },
    /// Serves its earlier revision again, validated.
    RolledBack,
    /// Could not be brought back; it is out of service or in the state the text says.
    RollbackFailed {
        message: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub by: String,
    pub since: Timestamp,
}

/// The first thing that went wrong, or who stopped it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    HostFailed {
        host: AgentId,
        name: String,
        error: TaskError,
    },
    HostLost {
        host: AgentId,
        name: String,
        since: Timestamp,
    },
    /// Going on would leave fewer than `min_healthy` hosts in service.
    HealthConstraints {
        available: u32,
        min_healthy: u32,
    },
    Stopped {
        by: String,
        reason: String,
    },
    Superseded {
        by: String,
    },
    /// The group cannot be deployed to as it is now.
    Refused {
        reason: String,
    },
}

impl Phase {
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Phase::Queued | Phase::Running | Phase::Failing | Phase::RollingBack => false,
            Phase::Succeeded
            | Phase::Failed
            | Phase::RolledBack
            | Phase::RollbackFailed
            | Phase::Cancelled
            | Phase::Superseded => true,
        }
    }

    /// The word used everywhere: SQL, JSON, pages, CLI.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Queued => "queued",
            Phase::Running => "running",
            Phase::Failing => "failing",
            Phase::RollingBack => "rolling-back",
            Phase::Succeeded => "succeeded",
            Phase::Failed => "failed",
            Phase::RolledBack => "rolled-back",
            Phase::RollbackFailed => "rollback-failed",
            Phase::Cancelled => "cancelled",
            Phase::Superseded => "superseded",
        }
    }
}

impl State {
    /// A deployment that waits for its group.
    #[must_use]
    pub fn new(plan: &Plan, now: Timestamp) -> State {
        let fresh = Host { state: HostState::Pending, touched: false, attempt: 0 };
        State {
            phase: Phase::Queued,
            generation: 0,
            step: 0,
            hosts: plan.hosts.iter().map(|host| (host.id, fresh.clone())).collect(),
            paused: None,
            cause: None,
            created_at: now,
            started_at: None,
            rollback_at: None,
            finished_at: None,
        }
    }

    /// Hosts on the deployment's revision, validated.
    #[must_use]
    pub fn updated(&self) -> usize {
        self.hosts.values().filter(|host| host.state == HostState::Updated).count()
    }

    pub(super) fn working(&self) -> impl Iterator<Item = (AgentId, &Host)> {
        self.hosts
            .iter()
            .filter(|(_, host)| matches!(host.state, HostState::Working { .. }))
            .map(|(id, host)| (*id, host))
    }
}

impl HostState {
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            HostState::Pending => "pending",
            HostState::Working { purpose: Purpose::Forward, .. } => "updating",
            HostState::Working { purpose: Purpose::Rollback, .. } => "rolling-back",
            HostState::Updated => "updated",
            HostState::Failed { .. } => "failed",
            HostState::Lost { .. } => "lost",
            HostState::RolledBack => "rolled-back",
            HostState::RollbackFailed { .. } => "rollback-failed",
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cause::HostFailed { name, error, .. } => {
                write!(f, "{name} failed")?;
                if let Some(step) = &error.step {
                    write!(f, " in {step}")?;
                }
                write!(f, ": {}", error.message)
            }
            Cause::HostLost { name, .. } => write!(f, "the agent on {name} fell silent"),
            Cause::HealthConstraints { available, min_healthy } => write!(
                f,
                "{available} hosts are in service and the group asks for at least {min_healthy}, so \
                 none may be taken out; bring hosts back or lower min-healthy"
            ),
            Cause::Stopped { by, reason } if reason.is_empty() => write!(f, "stopped by {by}"),
            Cause::Stopped { by, reason } => write!(f, "stopped by {by}: {reason}"),
            Cause::Superseded { by } => write!(f, "superseded by {by}"),
            Cause::Refused { reason } => f.write_str(reason),
        }
    }
}

/// What an unfinished deployment waits for; never empty for one.
pub(super) fn waiting(plan: &Plan, state: &State, facts: &Facts) -> Vec<Waiting> {
    if state.phase.is_final() {
        return Vec::new();
    }
    let mut waiting = Vec::new();
    let mut add = |what: String, whom: String, since, until, person| {
        waiting.push(Waiting { what, whom, since, until, person });
    };
    if let Some(pause) = &state.paused {
        let what = format!("paused by {}; resume or abort it", pause.by);
        add(what, "a person".to_owned(), pause.since, None, true);
    }
    if state.phase == Phase::Queued {
        let holder = facts.held_by.clone().unwrap_or_else(|| "the group".to_owned());
        let what = format!("{holder} is unfinished in this group; one deployment runs at a time");
        add(what, holder, state.created_at, None, false);
    }
    for (id, host) in state.working() {
        let HostState::Working { purpose, since, cancelling } = host.state else { continue };
        let name = plan.host_name(id);
        let what = match (cancelling, purpose) {
            (true, _) => format!("{name} is stopping its work"),
            (false, Purpose::Forward) => format!("{name} is running its update"),
            (false, Purpose::Rollback) => format!("{name} is returning to its earlier revision"),
        };
        add(what, name, since, super::advance::overdue_at(plan, host), false);
    }
    waiting
}
