//! The plan: frozen when a deployment starts, and the whole truth about what it may touch.

use crate::ids::{AgentId, DeploymentId};
use crate::protocol::task::{Purpose, Revision};
use crate::spec::appspec::FileExists;
use crate::spec::group::Health;
use crate::time::Millis;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub deployment: DeploymentId,
    pub group: String,
    pub application: String,
    pub revision: Revision,
    pub purpose: Purpose,
    /// In the order they are worked on; every host of `steps` is here exactly once.
    pub hosts: Vec<PlanHost>,
    pub steps: Vec<Step>,
    pub limits: Limits,
    pub rollback: RollbackOn,
    pub host: HostSettings,
    /// The strategy in words, for people.
    pub strategy: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanHost {
    pub id: AgentId,
    pub name: String,
    /// The last revision a successful deployment left here: the rollback target.
    pub prior: Option<Revision>,
    /// It served `prior` (or anything validated) when the plan was made.
    pub serving: bool,
}

/// One step. New kinds (provision, shift, hold, analyse, approve, retire) are new variants; a new
/// strategy is not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Bring these hosts to the revision, all hooks and checks included. The next step starts when
    /// every one of them serves it.
    Install { hosts: Vec<AgentId> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Hosts that must stay in service at every instant.
    pub min_healthy: u32,
    /// The same while rolling back: what the group asks for, or one host. A floor nobody asked for must
    /// not keep a good host from returning to its good revision.
    pub rollback_min_healthy: u32,
    /// Hosts worked on at once while rolling back.
    pub rollback_width: u32,
}

/// What makes a deployment undo itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackOn {
    pub failure: bool,
    pub alarm: bool,
    pub stop: bool,
}

impl RollbackOn {
    pub const NEVER: RollbackOn = RollbackOn { failure: false, alarm: false, stop: false };
}

/// Settings every host task of the deployment shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostSettings {
    pub timeout: Millis,
    pub ignore_stop_failures: bool,
    pub file_exists_behavior: Option<FileExists>,
    pub keep_releases: u32,
    pub health: Option<Health>,
}

impl Plan {
    #[must_use]
    pub fn host(&self, id: AgentId) -> Option<&PlanHost> {
        self.hosts.iter().find(|host| host.id == id)
    }

    /// The host's name, or its id when it is not in the plan.
    #[must_use]
    pub fn host_name(&self, id: AgentId) -> String {
        self.host(id).map_or_else(|| id.to_string(), |host| host.name.clone())
    }
}

impl Step {
    #[must_use]
    pub fn hosts(&self) -> &[AgentId] {
        match self {
            Step::Install { hosts } => hosts,
        }
    }

    /// `update host-1, host-2`, for the step rail.
    #[must_use]
    pub fn sentence(&self, plan: &Plan) -> String {
        match self {
            Step::Install { hosts } if hosts.len() > 6 => format!("update {} hosts", hosts.len()),
            Step::Install { hosts } => {
                let names: Vec<String> = hosts.iter().map(|id| plan.host_name(*id)).collect();
                format!("update {}", names.join(", "))
            }
        }
    }
}
