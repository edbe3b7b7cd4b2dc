//! A run in JSON.

use super::shared::{self, WaitingBody};
use super::tasks::TaskBody;
use crate::words;
use pipelines::ids::RunId;
use pipelines::run;
use pipelines::run::trigger::Trigger;
use pipelines::spec::pipeline::Action;
use serde::Serialize;
use std::collections::BTreeMap;
use store::runs::{Row, Summary};
use store::tasks;

/// A line of a list.
#[derive(Debug, Serialize)]
pub struct RunSummary {
    id: String,
    pipeline: String,
    number: i64,
    status: String,
    label: String,
    trigger: TriggerBody,
    waiting: Vec<WaitingBody>,
    /// A defect keeps the engine from deciding; the text says which.
    stuck: Option<String>,
    created_at: String,
    finished_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct TriggerBody {
    /// push, webhook, manual
    kind: &'static str,
    by: String,
    branch: Option<String>,
    commit: Option<String>,
}

impl From<&Trigger> for TriggerBody {
    fn from(trigger: &Trigger) -> TriggerBody {
        let Trigger { kind, by, push, variables: _ } = trigger;
        TriggerBody {
            kind: words::run::trigger_kind(*kind),
            by: by.clone(),
            branch: push.as_ref().map(|push| push.branch.clone()),
            commit: push.as_ref().map(|push| push.commit.clone()).filter(|c| !c.is_empty()),
        }
    }
}

impl From<&Summary> for RunSummary {
    fn from(row: &Summary) -> RunSummary {
        RunSummary {
            id: RunId(row.id).to_string(),
            pipeline: row.pipeline.clone(),
            number: row.number,
            status: row.status.clone(),
            label: row.label.clone(),
            trigger: TriggerBody::from(&row.trigger.0),
            waiting: shared::all(&row.waiting),
            stuck: row.stuck.clone(),
            created_at: shared::at(row.created_at),
            finished_at: row.finished_at.map(shared::at),
        }
    }
}

/// All of one run.
#[derive(Debug, Serialize)]
pub struct RunBody {
    #[serde(flatten)]
    summary: RunSummary,
    sentence: String,
    /// Why it ended or is ending badly.
    cause: Option<String>,
    variables: BTreeMap<String, String>,
    stages: Vec<StageBody>,
}

#[derive(Debug, Serialize)]
struct StageBody {
    name: String,
    state: &'static str,
    actions: Vec<ActionBody>,
}

#[derive(Debug, Serialize)]
struct ActionBody {
    name: String,
    /// source, build, test, approval, deploy, …
    kind: &'static str,
    state: &'static str,
    message: Option<String>,
    attempt: u32,
    started_at: Option<String>,
    finished_at: Option<String>,
    revision: Option<SourceBody>,
    deployment: Option<String>,
    outputs: Vec<OutputBody>,
    exported: BTreeMap<String, String>,
    decision: Option<DecisionBody>,
    tasks: Vec<TaskBody>,
}

#[derive(Debug, Serialize)]
struct SourceBody {
    repository: String,
    branch: String,
    commit: String,
    subject: String,
    author: String,
}

#[derive(Debug, Serialize)]
struct OutputBody {
    name: String,
    digest: String,
    size: u64,
}

#[derive(Debug, Serialize)]
struct DecisionBody {
    by: String,
    approved: bool,
    comment: String,
    at: String,
}

impl RunBody {
    pub fn new(row: &Row, tasks: &[tasks::Row]) -> RunBody {
        let summary = RunSummary {
            id: row.id().to_string(),
            pipeline: row.pipeline.clone(),
            number: row.number,
            status: row.status.clone(),
            label: row.label.clone(),
            trigger: TriggerBody::from(&row.trigger.0),
            waiting: shared::all(&row.waiting),
            stuck: row.stuck.clone(),
            created_at: shared::at(row.created_at),
            finished_at: row.finished_at.map(shared::at),
        };
        let stages = row.spec.stages.iter().enumerate().map(|(index, stage)| StageBody {
            name: stage.name.clone(),
            state: words::run::stage_state(row, index, stage),
            actions: stage
                .actions
                .iter()
                .filter_map(|action| {
                    Some(action_body(action, row.state.actions.get(&action.name)?, tasks))
                })
                .collect(),
        });
        RunBody {
            summary,
            sentence: words::run::sentence(row),
            cause: row.state.cause.clone(),
            variables: row.trigger.variables.clone(),
            stages: stages.collect(),
        }
    }
}

fn action_body(action: &Action, record: &run::Action, tasks: &[tasks::Row]) -> ActionBody {
    let run::Action {
        state,
        attempt,
        lost: _,
        started_at,
        finished_at,
        outputs,
        exported,
        revision,
        deployment,
        decision,
    } = record;
    let own = tasks.iter().filter(|task| task.action.as_deref() == Some(&action.name));
    ActionBody {
        name: action.name.clone(),
        kind: action.kind(),
        state: state.as_str(),
        message: state.message().map(str::to_owned),
        attempt: *attempt,
        started_at: shared::at_opt(*started_at),
        finished_at: shared::at_opt(*finished_at),
        revision: revision.as_ref().map(source_body),
        deployment: deployment.map(|id| id.to_string()),
        outputs: outputs
            .iter()
            .map(|(name, artifact)| OutputBody {
                name: name.clone(),
                digest: artifact.digest.to_string(),
                size: artifact.size,
            })
            .collect(),
        exported: exported.clone(),
        decision: decision.as_ref().map(|decision| DecisionBody {
            by: decision.by.clone(),
            approved: decision.approved,
            comment: decision.comment.clone(),
            at: words::time::rfc3339(decision.at),
        }),
        tasks: own.map(TaskBody::from).collect(),
    }
}

fn source_body(revision: &run::SourceRevision) -> SourceBody {
    let run::SourceRevision { repository, branch, commit, subject, author } = revision;
    SourceBody {
        repository: repository.clone(),
        branch: branch.clone(),
        commit: commit.clone(),
        subject: subject.clone(),
        author: author.clone(),
    }
}
