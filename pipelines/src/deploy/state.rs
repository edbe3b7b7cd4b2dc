//! What a deployment has done so far. Everything else is derived from this and the plan.

use super::host::{App, Host, HostStatus, Lane};
use super::plan::Plan;
use crate::ids::AgentId;
use crate::protocol::report::TaskError;
use crate::protocol::route::Traffic;
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
    /// Since when it is that step's turn.
    pub step_since: Timestamp,
    pub hosts: BTreeMap<AgentId, Host>,
    /// Changes the balancer was told and has not answered yet.
    pub routes: Vec<RouteOrder>,
    /// Changes of traffic handed out so far.
    pub route_attempt: u32,
    /// What the balancer answered last to moves of several hosts, if it failed; a few are tried again.
    pub route_trouble: Option<RouteTrouble>,
    /// Hosts that failed one after the other, in the order in which they ended.
    pub failures_in_a_row: u32,
    pub promoted: Promoted,
    /// Who agreed to the step in progress.
    pub approved_by: Option<String>,
    pub paused: Option<Pause>,
    /// Who let it start outside the group's windows or in a freeze.
    #[serde(default)]
    pub overridden: Option<Overridden>,
    /// Monitors that failed already when it started: they are not this deployment's doing until they
    /// were well once, and must not keep a mend from going out.
    pub ailing: Vec<String>,
    /// Who stopped it turning back.
    #[serde(default)]
    pub halt: Option<Halt>,
    /// Why it turned back or ended badly.
    pub cause: Option<Cause>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub rollback_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// What the balancer was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteOrder {
    pub attempt: u32,
    pub orders: Vec<(AgentId, Traffic)>,
    /// Those of them that get the requests of the cohorts as well.
    #[serde(default)]
    pub cohort: Vec<AgentId>,
    pub since: Timestamp,
    pub cancelling: bool,
}

impl RouteOrder {
    #[must_use]
    pub fn is_about(&self, host: AgentId) -> bool {
        self.orders.iter().any(|(id, _)| *id == host)
    }
}

/// Failures in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTrouble {
    pub times: u32,
    pub error: TaskError,
}

/// How far holds are skipped by somebody's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promoted {
    #[default]
    No,
    /// The hold of this step.
    Step(usize),
    All,
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

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub by: String,
    pub since: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overridden {
    pub by: String,
    pub reason: String,
    pub at: Timestamp,
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
    /// Every host on the new revision failed or fell silent before it was given traffic.
    NobodyNew,
    Stopped {
        by: String,
        reason: String,
    },
    /// A monitor left its bounds.
    Alarm {
        monitor: String,
        reason: String,
    },
    /// The comparison of new and old hosts decided against the new ones, or could not decide in time.
    Analysis {
        reason: String,
    },
    Rejected {
        by: String,
        reason: String,
    },
    /// Nobody decided in time.
    ApprovalExpired,
    /// The balancer could not be brought to do its part.
    Router {
        error: TaskError,
    },
    Superseded {
        by: String,
    },
    /// The group cannot be deployed to as it is now.
    Refused {
        reason: String,
    },
}

/// Somebody's word that nothing more is to be brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    pub by: String,
    pub reason: String,
    pub at: Timestamp,
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
        State {
            phase: Phase::Queued,
            generation: 0,
            step: 0,
            step_since: now,
            hosts: plan.hosts.iter().map(|planned| (planned.id, Host::new(planned))).collect(),
            routes: Vec::new(),
            route_attempt: 0,
            route_trouble: None,
            failures_in_a_row: 0,
            promoted: Promoted::No,
            approved_by: None,
            paused: None,
            overridden: None,
            ailing: Vec::new(),
            halt: None,
            cause: None,
            created_at: now,
            started_at: None,
            rollback_at: None,
            finished_at: None,
        }
    }

    /// Hosts that serve the deployment's revision, validated.
    #[must_use]
    pub fn updated(&self) -> usize {
        let serves = |host: &&Host| {
            host.app == App::New && matches!(host.lane, Lane::Direct | Lane::In { .. })
        };
        self.hosts.values().filter(serves).count()
    }

    /// A host's standing in one word.
    #[must_use]
    pub fn status(&self, plan: &Plan, id: AgentId) -> HostStatus {
        match (self.hosts.get(&id), plan.host(id)) {
            (Some(host), Some(planned)) => host.status(planned),
            _ => HostStatus::Pending,
        }
    }

    pub(super) fn working(&self) -> impl Iterator<Item = (AgentId, &Host)> {
        self.hosts.iter().filter(|(_, host)| host.work.is_some()).map(|(id, host)| (*id, host))
    }

    /// Whether anything was asked for and not answered yet.
    pub(super) fn is_busy(&self) -> bool {
        !self.routes.is_empty() || self.working().next().is_some()
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
            Cause::NobodyNew => f.write_str(
                "no host on the new revision is left that could be given traffic; look at why they failed",
            ),
            Cause::Stopped { by, reason } if reason.is_empty() => write!(f, "stopped by {by}"),
            Cause::Stopped { by, reason } => write!(f, "stopped by {by}: {reason}"),
            Cause::Alarm { monitor, reason } => write!(f, "monitor {monitor}: {reason}"),
            Cause::Analysis { reason } => f.write_str(reason),
            Cause::Rejected { by, reason } if reason.is_empty() => write!(f, "rejected by {by}"),
            Cause::Rejected { by, reason } => write!(f, "rejected by {by}: {reason}"),
            Cause::ApprovalExpired => f.write_str("nobody approved it in time"),
            Cause::Router { error } => write!(f, "the router: {}", error.message),
            Cause::Superseded { by } => write!(f, "superseded by {by}"),
            Cause::Refused { reason } => f.write_str(reason),
        }
    }
}
