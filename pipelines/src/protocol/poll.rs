//! The held poll: what the agent holds against what it should hold.

use super::join::Lease;
use super::task::{Task, TaskKey};
use crate::ids::{DeploymentId, Digest};
use crate::time::Millis;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PollRequest {
    pub protocol: u32,
    pub version: String,
    /// Changes when the agent process starts again.
    pub boot: String,
    /// Everything accepted and not yet acknowledged as finished, running or waiting to be reported.
    pub holding: Vec<TaskKey>,
    /// How many more tasks the agent would take now. Zero while it drains or its disk is full.
    pub free_slots: u32,
    /// What is installed on this host, one entry per deployment group; empty for build agents.
    pub installed: Vec<Installed>,
    /// How long the controller may hold the request. Zero asks for an answer at once.
    pub wait: Millis,
    /// Why `free_slots` is zero although nothing runs, for people: `disk full: 120 MB left`.
    pub unfit: Option<String>,
}

/// The revision a host would serve if it started its application now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    pub group: String,
    /// None: nothing complete is installed (an installation was interrupted, or undone).
    pub digest: Option<Digest>,
    pub deployment: Option<DeploymentId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PollReply {
    /// The controller's epoch; see the module text of [`crate::protocol`].
    pub epoch: u64,
    pub lease: Lease,
    /// Tasks to start. One that the agent already holds, or has already finished, is not started again.
    pub tasks: Vec<Task>,
    /// Held tasks to stop: TERM, grace, KILL of the whole process group, then report `Cancelled`.
    pub cancel: Vec<TaskKey>,
    /// Held tasks the controller has a final result for: drop them from the journal.
    pub forget: Vec<TaskKey>,
}
