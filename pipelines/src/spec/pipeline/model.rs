//! What a pipeline file says, short forms expanded and defaults filled in.

use crate::spec::pipeline::{Condition, OnStageFailure, Trigger};
use crate::spec::{Window, print};
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A whole pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Pipeline {
    /// Of the format; always 1.
    #[schemars(with = "Option<crate::spec::schema::words::FormatVersion>")]
    pub version: u32,
    /// What it is called in commands and on pages.
    #[schemars(with = "crate::spec::schema::words::Name")]
    pub name: String,
    /// What a newer run does to an older one.
    #[serde(default)]
    pub mode: Mode,
    /// Values that are known when a run starts.
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
    /// Empty only where the file says `triggers: []`: then runs start by hand. A file without the
    /// key gets a push trigger for every source action's branch.
    #[serde(default)]
    pub triggers: Vec<Trigger>,
    /// The whole run, approvals included.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "print::time_option")]
    #[schemars(with = "Option<Millis>")]
    pub timeout: Option<Millis>,
    /// When no stage after the first starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<Freeze>,
    /// What is done, one stage after the other. The first holds the sources.
    pub stages: Vec<Stage>,
}

/// What a newer run does to an older one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
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
#[derive(schemars::JsonSchema)]
#[schemars(transform = crate::spec::schema::forms::or_nothing, transform = crate::spec::schema::forms::or_text)]
pub struct Variable {
    /// Without one, whoever starts the run has to say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Shown to whoever starts a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A time in which the pipeline stands still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Freeze {
    #[serde(flatten)]
    pub window: Window,
    /// Only these stages; empty means all but the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<String>,
}

/// Actions that belong together, and what surrounds them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Stage {
    /// Unique in the pipeline.
    #[schemars(with = "crate::spec::schema::words::Name")]
    pub name: String,
    /// What has to hold before the stage starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Condition>,
    /// What has to hold for the stage to count as succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<Condition>,
    /// What happens when an action of it failed.
    #[serde(default)]
    pub on_failure: OnStageFailure,
    /// All of its actions together.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "print::time_option")]
    #[schemars(with = "Option<Millis>")]
    pub timeout: Option<Millis>,
    /// Side by side, apart from what `needs` says.
    pub actions: Vec<Action>,
}

/// One piece of work: exactly one of source, build, test, approval, deploy and invoke.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
#[schemars(transform = crate::spec::schema::forms::action)]
pub struct Action {
    /// Unique in the pipeline, because it is also the namespace of its variables.
    #[schemars(with = "crate::spec::schema::words::Name")]
    pub name: String,
    /// Actions of the same stage that have to succeed first.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Artifacts it takes. A build without any takes the only source there is.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// Artifacts it makes; names are unique in the pipeline.
    #[serde(default)]
    pub outputs: Vec<String>,
    #[serde(flatten)]
    pub work: Work,
    /// What has to hold before the action starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Condition>,
    /// Ended after this time.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "print::time_option")]
    #[schemars(with = "Option<Millis>")]
    pub timeout: Option<Millis>,
    /// How often it is tried again after a failure.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10))]
    pub retries: u32,
}

impl Action {
    /// The word for what it does; `test` is a build that is there to test.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.work.kind()
    }
}

/// What an action does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
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

/// A commit, from the built-in git server or anywhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Source {
    #[serde(flatten)]
    pub from: SourceFrom,
    /// `main` where absent.
    #[schemars(with = "Option<String>")]
    pub branch: String,
    /// Whether submodules are fetched too.
    #[serde(default)]
    pub submodules: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub enum SourceFrom {
    /// Of the built-in git server.
    Repository(String),
    /// A URL elsewhere, as written.
    Git(String),
}

/// Runs a buildspec in a fresh container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Build {
    /// The Docker image it runs in.
    pub image: String,
    /// A path in the first input.
    #[schemars(with = "Option<String>")]
    pub buildspec: String,
    /// Variables of the build; they win over those of the buildspec.
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
    /// Whether it is there to test; `test:` in place of `build:` says the same.
    #[serde(default)]
    pub test: bool,
}

/// Waits for people to agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Approval {
    /// `group:NAME` or `user:NAME`; empty means whoever has the right.
    #[serde(default)]
    pub approvers: Vec<String>,
    /// How many have to agree; 1 where absent.
    #[schemars(with = "Option<u32>", range(min = 1, max = 100))]
    pub quorum: u32,
    /// Not answered within this time counts as expired.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "print::time_option")]
    #[schemars(with = "Option<Millis>")]
    pub timeout: Option<Millis>,
    /// What they are asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the author of the change may approve it.
    #[serde(default)]
    pub self_approval: bool,
    /// They are reminded so long after they were asked.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "print::time_option")]
    #[schemars(with = "Option<Millis>")]
    pub remind: Option<Millis>,
}

/// Brings an artifact to the hosts of a deployment group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Deploy {
    /// The name of the group.
    #[schemars(with = "crate::spec::schema::words::Name")]
    pub group: String,
    /// The only artifact there is, where absent.
    #[schemars(with = "Option<String>")]
    pub artifact: String,
}

/// Calls a web hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Invoke {
    /// The URL that gets a POST.
    pub webhook: String,
    /// The secret with which the body is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Sent along.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What is sent; a description of the run where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// What ends it.
    #[serde(default)]
    pub wait: Answer,
}

/// What ends an invocation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub enum Answer {
    /// The status of the answer decides.
    #[default]
    Response,
    /// The other side calls back.
    Callback,
}
