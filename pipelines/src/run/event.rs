//! What a run hears, and what it may look at.

use crate::ids::{DeploymentId, RunId};
use crate::protocol::report::TaskError;
use crate::protocol::task::{Artifact, NamedArtifact};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    SourceReady {
        action: String,
        attempt: u32,
        revision: SourceRevision,
        artifact: Artifact,
    },
    SourceFailed {
        action: String,
        attempt: u32,
        message: String,
    },
    BuildFinished {
        action: String,
        attempt: u32,
        outcome: BuildOutcome,
    },
    /// The agent that ran it fell silent, or the attempt was given up for another reason outside it.
    BuildLost {
        action: String,
        attempt: u32,
        message: String,
    },
    DeploymentCreated {
        action: String,
        attempt: u32,
        deployment: DeploymentId,
    },
    DeploymentRefused {
        action: String,
        attempt: u32,
        message: String,
    },
    DeploymentFinished {
        action: String,
        attempt: u32,
        end: DeploymentEnd,
        message: String,
    },
    Decided {
        action: String,
        by: String,
        approved: bool,
        comment: String,
    },
    Stop {
        by: String,
        reason: String,
        abandon: bool,
    },
    /// Enter stages although a freeze of the pipeline is against it.
    Override {
        by: String,
        reason: String,
    },
    /// Nothing happened; look again.
    Tick,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildOutcome {
    Succeeded { artifacts: Vec<NamedArtifact>, exported: BTreeMap<String, String> },
    Failed(TaskError),
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeploymentEnd {
    Succeeded,
    Failed,
    RolledBack,
    /// Stopped before it changed anything, or superseded by a newer one.
    Cancelled,
}

/// What a source action fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRevision {
    pub repository: String,
    pub branch: String,
    pub commit: String,
    /// First line of the commit message, bounded.
    pub subject: String,
    pub author: String,
}

impl SourceRevision {
    /// `4f2c91e Fix the footer`.
    #[must_use]
    pub fn label(&self) -> String {
        let short = self.commit.get(..7).unwrap_or(&self.commit);
        format!("{short} {}", self.subject)
    }
}

/// What is known at the moment of deciding.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// The run that works in the stage this one wants to enter.
    pub stage_held_by: Option<RunId>,
    /// A newer run of the pipeline that waits for the same stage.
    pub newer_waiting: Option<RunId>,
    /// Mode queued: the oldest unfinished run before this one.
    pub behind: Option<RunId>,
    /// Tasks of this run's builds, by action.
    pub tasks: BTreeMap<String, TaskFacts>,
    /// Build agents whose lease is valid.
    pub build_agents: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFacts {
    pub attempt: u32,
    /// The agent that took it; None while it is queued.
    pub agent: Option<String>,
}
