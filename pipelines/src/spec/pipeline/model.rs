//! What a pipeline file says, short forms expanded and defaults filled in.

use crate::spec::pipeline::{Condition, OnStageFailure, Trigger};
use crate::spec::{Window, print};
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A whole pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pipeline {
    /// Of the format; always 1.
    pub version: u32,
    pub name: String,
    #[serde(default)]
    pub mode: Mode,
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
    /// Empty only where the file says `triggers: []`: then runs start by hand. A file without the
    /// key gets a push trigger for every source action's branch.
    #[serde(default)]
    pub triggers: Vec<Trigger>,
    /// The whole run, approvals included.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "print::time_option")]
    pub timeout: Option<Millis>,
    /// When no stage after the first starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<Freeze>,
    pub stages: Vec<Stage>,
}

/// What a newer run does to an older one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It overtakes a run that waits between two stages.
    #[default]
    Superseded,
    /// It waits its turn.
    Queued,
    /// It runs beside it.
    Parallel,
}

/// A value that is known when the run starts: `#{variables.NAME}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Variable {
    /// Without one, whoever starts the run has to say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A time in which the pipeline stands still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Freeze {
    #[serde(flatten)]
    pub window: Window,
    /// Only these stages; empty means all but the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stage {
    pub name: String,
    /// What has to hold before the stage starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Condition>,
    /// What has to hold for the stage to count as succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<Condition>,
    #[serde(default)]
    pub on_failure: OnStageFailure,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "print::time_option")]
    pub timeout: Option<Millis>,
    pub actions: Vec<Action>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Action {
    /// Unique in the pipeline, because it is also the namespace of its variables.
    pub name: String,
    /// Actions of the same stage that have to succeed first.
    #[serde(default)]
    pub needs: Vec<String>,
    #[serde(default)]
    pub inputs: Vec<String>,
    #[serde(default)]
    pub outputs: Vec<String>,
    #[serde(flatten)]
    pub work: Work,
    /// What has to hold before the action starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Condition>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "print::time_option")]
    pub timeout: Option<Millis>,
    #[serde(default)]
    pub retries: u32,
}

impl Action {
    /// The word for what it does; `test` is a build that is there to test.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.work.kind()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    Source(Source),
    Build(Build),
    Approval(Approval),
    Deploy(Deploy),
    Invoke(Invoke),
}

impl Work {
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Work::Source(_) => "source",
            Work::Build(Build { test: false, .. }) => "build",
            Work::Build(Build { test: true, .. }) => "test",
            Work::Approval(_) => "approval",
            Work::Deploy(_) => "deploy",
            Work::Invoke(_) => "invoke",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Source {
    #[serde(flatten)]
    pub from: SourceFrom,
    pub branch: String,
    #[serde(default)]
    pub submodules: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceFrom {
    /// Of the built-in git server.
    Repository(String),
    /// A URL elsewhere, as written.
    Git(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Build {
    pub image: String,
    /// A path in the first input.
    pub buildspec: String,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Labels an agent must have to take it.
    #[serde(default)]
    pub agent: Vec<String>,
    /// Whether the buildspec's `batch` is run.
    #[serde(default)]
    pub batch: bool,
    /// Wants the Docker of the agent; granted only where the operator allows it.
    #[serde(default)]
    pub privileged: bool,
    #[serde(default)]
    pub test: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Approval {
    /// `group:NAME` or `user:NAME`; empty means whoever has the right.
    #[serde(default)]
    pub approvers: Vec<String>,
    pub quorum: u32,
    /// Not answered within this time counts as expired.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "print::time_option")]
    pub timeout: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the author of the change may approve it.
    #[serde(default)]
    pub self_approval: bool,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "print::time_option")]
    pub remind: Option<Millis>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Deploy {
    pub group: String,
    pub artifact: String,
}

/// Calls a web hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Invoke {
    pub webhook: String,
    /// The secret with which the body is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    #[serde(default)]
    pub wait: Answer,
}

/// What ends an invocation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The status of the answer decides.
    #[default]
    Response,
    /// The other side calls back.
    Callback,
}
