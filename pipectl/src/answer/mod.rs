//! What the server answers, as far as we print it. Unknown fields are ignored and absent ones have a
//! default, so that a newer controller can be asked.

pub mod plan;

use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Waiting {
    pub what: String,
    pub whom: String,
    pub since: String,
    pub until: Option<String>,
    pub person: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Revision {
    pub label: String,
    pub digest: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Trigger {
    pub kind: String,
    pub by: String,
    pub branch: Option<String>,
}

/// A run; stages are there when one run was asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Run {
    pub id: String,
    pub pipeline: String,
    pub number: i64,
    pub status: String,
    pub label: String,
    pub sentence: String,
    pub cause: Option<String>,
    pub trigger: Trigger,
    pub waiting: Vec<Waiting>,
    pub stuck: Option<String>,
    pub stages: Vec<Stage>,
    pub created_at: String,
    pub finished_at: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Stage {
    pub name: String,
    pub state: String,
    pub actions: Vec<Action>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Action {
    pub name: String,
    pub kind: String,
    pub state: String,
    pub message: Option<String>,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    pub deployment: Option<String>,
    pub tasks: Vec<Task>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Task {
    pub id: String,
    pub attempt: u32,
    pub state: String,
    pub agent: Option<String>,
    pub steps: Vec<TaskStep>,
}

/// A build phase or a lifecycle event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct TaskStep {
    pub name: String,
    pub status: String,
    pub seconds: Option<f64>,
    pub message: Option<String>,
}

/// A deployment; steps, hosts and history are there when one was asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Deployment {
    pub id: String,
    pub group: String,
    pub purpose: String,
    pub status: String,
    pub sentence: String,
    pub cause: Option<String>,
    /// What somebody can do about it, with the commands.
    pub next: Option<String>,
    pub revision: Revision,
    pub waiting: Vec<Waiting>,
    pub stuck: Option<String>,
    pub hosts_total: usize,
    pub hosts_updated: usize,
    pub created_by: String,
    pub created_at: String,
    pub finished_at: Option<String>,
    pub at: Option<At>,
    pub approval: Option<Approval>,
    pub steps: Vec<PlanStep>,
    pub hosts: Vec<Host>,
    pub history: Vec<History>,
}

/// Where a deployment stands that goes forward.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct At {
    /// Counted from 1.
    pub step: usize,
    pub generation: u64,
}

/// What a deployment asks, and what an answer to it is about.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Approval {
    pub step: usize,
    pub generation: u64,
    pub plan: String,
    pub bundle: String,
    /// What follows, a sentence each.
    pub next: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PlanStep {
    pub number: usize,
    pub sentence: String,
    pub state: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Host {
    pub name: String,
    pub state: String,
    pub message: Option<String>,
    pub revision: Option<String>,
    /// What runs there and whether it gets traffic, in words.
    pub runs: String,
    pub tasks: Vec<Task>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct History {
    pub at: String,
    pub text: String,
}

/// A group's monitor.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Monitor {
    pub name: String,
    /// ok, alarm, no-data
    pub state: String,
    pub reason: String,
    pub looked_at: Option<String>,
    /// It only reports.
    pub dry_run: bool,
}

/// Whether only a person can move it on.
pub fn needs_person(waiting: &[Waiting]) -> bool {
    !waiting.is_empty() && waiting.iter().all(|entry| entry.person)
}
