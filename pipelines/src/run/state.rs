//! What a run has done so far.

use super::event::SourceRevision;
use crate::deploy::state::Overridden;
use crate::ids::DeploymentId;
use crate::protocol::task::{Artifact, Revision};
use crate::spec::pipeline::Pipeline;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub phase: Phase,
    /// Index of the stage in progress, or waiting to be entered.
    pub stage: usize,
    /// The stage was entered: its actions may start, and no other run may be in it.
    pub entered: bool,
    pub waiting_since: Timestamp,
    pub actions: BTreeMap<String, Action>,
    /// Who let it pass the pipeline's freezes.
    #[serde(default)]
    pub overridden: Option<Overridden>,
    /// Why it ended or is ending badly, in one sentence.
    pub cause: Option<String>,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    Running,
    /// Something failed or someone stopped it; what runs is being brought to an end.
    Stopping,
    Succeeded,
    Failed,
    /// A deployment of it failed and was rolled back.
    RolledBack,
    Stopped,
    Superseded,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    pub state: ActionState,
    /// Attempts handed out so far.
    pub attempt: u32,
    /// Attempts lost to infrastructure; one is forgiven.
    pub lost: u32,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub outputs: BTreeMap<String, Artifact>,
    pub exported: BTreeMap<String, String>,
    pub revision: Option<SourceRevision>,
    pub deployment: Option<DeploymentId>,
    pub decision: Option<Approval>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionState {
    Pending,
    Working,
    /// Waits for people.
    Asking {
        until: Option<Timestamp>,
    },
    Succeeded,
    Failed {
        message: String,
    },
    RolledBack {
        message: String,
    },
    Stopped,
    Skipped,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub by: String,
    pub approved: bool,
    pub comment: String,
    pub at: Timestamp,
}

impl Phase {
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Phase::Running | Phase::Stopping)
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Running => "running",
            Phase::Stopping => "stopping",
            Phase::Succeeded => "succeeded",
            Phase::Failed => "failed",
            Phase::RolledBack => "rolled-back",
            Phase::Stopped => "stopped",
            Phase::Superseded => "superseded",
        }
    }
}

impl ActionState {
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, ActionState::Pending | ActionState::Working | ActionState::Asking { .. })
    }

    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            ActionState::Pending => "pending",
            ActionState::Working => "running",
            ActionState::Asking { .. } => "waiting",
            ActionState::Succeeded => "succeeded",
            ActionState::Failed { .. } => "failed",
            ActionState::RolledBack { .. } => "rolled-back",
            ActionState::Stopped => "stopped",
            ActionState::Skipped => "skipped",
        }
    }

    /// Why it did not succeed.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        match self {
            ActionState::Failed { message } | ActionState::RolledBack { message } => Some(message),
            _ => None,
        }
    }
}

impl State {
    #[must_use]
    pub fn new(pipeline: &Pipeline, now: Timestamp) -> State {
        let actions = pipeline.stages.iter().flat_map(|stage| &stage.actions);
        State {
            phase: Phase::Running,
            stage: 0,
            entered: false,
            waiting_since: now,
            actions: actions.map(|action| (action.name.clone(), Action::new())).collect(),
            overridden: None,
            cause: None,
            created_at: now,
            finished_at: None,
        }
    }

    /// The artifact some action of this run produced under `name`.
    #[must_use]
    pub fn artifact(&self, name: &str) -> Option<&Artifact> {
        self.actions.values().find_map(|action| action.outputs.get(name))
    }

    /// The first source revision in pipeline order, which gives the run its label.
    #[must_use]
    pub fn revision(&self, pipeline: &Pipeline) -> Option<&SourceRevision> {
        let mut actions = pipeline.stages.iter().flat_map(|stage| &stage.actions);
        actions.find_map(|action| self.actions.get(&action.name)?.revision.as_ref())
    }

    /// An artifact of this run as what is deployed: named after the run's source, or else by `number`.
    #[must_use]
    pub fn deployable(&self, pipeline: &Pipeline, number: i64, bundle: &Artifact) -> Revision {
        let source = self.revision(pipeline);
        Revision {
            bundle: bundle.clone(),
            commit: source.map(|source| source.commit.clone()),
            label: source
                .map_or_else(|| format!("{} #{number}", pipeline.name), SourceRevision::label),
        }
    }
}

impl Action {
    fn new() -> Action {
        Action {
            state: ActionState::Pending,
            attempt: 0,
            lost: 0,
            started_at: None,
            finished_at: None,
            outputs: BTreeMap::new(),
            exported: BTreeMap::new(),
            revision: None,
            deployment: None,
            decision: None,
        }
    }

    pub(super) fn end(&mut self, state: ActionState, now: Timestamp) {
        self.state = state;
        self.finished_at = Some(now);
    }
}
