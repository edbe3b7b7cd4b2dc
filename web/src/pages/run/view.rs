//! A run as it is printed.

use crate::auth::Person;
use crate::error::Result;
use crate::live::ansi::Ansi;
use crate::pages::lines::{Why, aggregate, whys};
use crate::words::status::{Mark, mark};
use crate::words::time::{Moment, full, rough};
use crate::words::{self, history::Line};
use pipelines::protocol::task::TaskKey;
use pipelines::run::{self, ActionState, frozen};
use pipelines::spec::pipeline::{Action, Stage};
use pipelines::time::Timestamp;
use store::logs::Logs;
use store::runs::Row;
use store::users::Role;
use store::{history, tasks};

pub struct View {
    pub id: String,
    pub name: String,
    pub pipeline: String,
    pub mark: Mark,
    pub is_over: bool,
    pub sentence: String,
    pub trigger: String,
    pub created: Moment,
    pub whys: Vec<Why>,
    pub cause: Option<Cause>,
    pub may_stop: bool,
    pub may_override: bool,
    pub csrf: String,
    pub stages: Vec<StageView>,
    pub history: Vec<Event>,
}

/// The last lines of the log of what failed.
pub struct Cause {
    pub log_url: String,
    pub html: String,
}

pub struct StageView {
    pub name: String,
    pub mark: Mark,
    pub actions: Vec<ActionView>,
}

pub struct ActionView {
    pub name: String,
    pub kind: &'static str,
    pub mark: Mark,
    pub took: String,
    pub message: Option<String>,
    pub detail: Option<String>,
    pub deployment: Option<String>,
    pub tasks: Vec<TaskView>,
    /// The question, when it asks one this person may answer.
    pub question: Option<Question>,
}

pub struct Question {
    pub attempt: u32,
    pub comment: Option<String>,
}

pub struct TaskView {
    pub log_url: String,
    pub text: String,
    pub phases: Vec<Phase>,
}

pub struct Phase {
    pub mark: Mark,
    pub name: String,
    pub took: String,
}

pub struct Event {
    pub at: String,
    pub text: String,
}

impl View {
    pub fn new(
        row: &Row,
        tasks: &[tasks::Row],
        history: &[history::Row],
        now: Timestamp,
        person: &Person,
    ) -> View {
        let is_over = row.state.phase.is_final();
        let stages = row.spec.stages.iter().enumerate().map(|(index, stage)| StageView {
            name: stage.name.clone(),
            mark: mark(words::run::stage_state(row, index, stage), false),
            actions: actions(row, stage, tasks, now, person),
        });
        View {
            id: row.id().to_string(),
            name: words::run::name(&row.pipeline, row.number),
            pipeline: row.pipeline.clone(),
            mark: aggregate(&row.status, row.stuck.as_deref(), &row.waiting),
            is_over,
            sentence: words::run::sentence(row),
            trigger: words::run::trigger(&row.trigger),
            created: Moment::new(Timestamp(row.created_at), now),
            whys: whys(&row.waiting, now),
            cause: None,
            may_stop: !is_over && person.may(Role::Developer),
            may_override: frozen(&row.spec, &row.state, now).is_some()
                && person.may(Role::Operator),
            csrf: person.csrf().to_owned(),
            stages: stages.collect(),
            history: words::history::of_run(history).into_iter().map(Event::from).collect(),
        }
    }

    pub fn with_tail(mut self, tail: Option<Cause>) -> View {
        self.cause = tail;
        self
    }
}

impl From<Line> for Event {
    fn from(line: Line) -> Event {
        Event { at: full(line.at), text: line.text }
    }
}

fn actions(
    row: &Row,
    stage: &Stage,
    tasks: &[tasks::Row],
    now: Timestamp,
    person: &Person,
) -> Vec<ActionView> {
    let records = stage
        .actions
        .iter()
        .filter_map(|action| Some((action, row.state.actions.get(&action.name)?)));
    records.map(|(action, record)| action_view(action, record, tasks, now, person)).collect()
}

fn action_view(
    action: &Action,
    record: &run::Action,
    tasks: &[tasks::Row],
    now: Timestamp,
    person: &Person,
) -> ActionView {
    let asks = matches!(record.state, ActionState::Asking { .. });
    let took = record.started_at.map(|at| rough(record.finished_at.unwrap_or(now).since(at)));
    let own = tasks.iter().filter(|task| task.action.as_deref() == Some(&action.name));
    let decision = record.decision.as_ref().map(|decision| {
        let word = if decision.approved { "approved" } else { "rejected" };
        let comment = match decision.comment.as_str() {
            "" => String::new(),
            comment => format!(": {comment}"),
        };
        format!("{word} by {}{comment}", decision.by)
    });
    let fetched = record.revision.as_ref().map(|revision| {
        format!("{} on {}, by {}", revision.label(), revision.branch, revision.author)
    });
    let comment = match &action.work {
        pipelines::spec::pipeline::Work::Approval(approval) => approval.comment.clone(),
        _ => None,
    };
    ActionView {
        name: action.name.clone(),
        kind: action.kind(),
        mark: mark(record.state.as_str(), asks),
        took: took.filter(|_| record.state != ActionState::Skipped).unwrap_or_default(),
        message: record.state.message().map(str::to_owned),
        detail: decision.or(fetched),
        deployment: record.deployment.map(|id| id.to_string()),
        tasks: own.map(|task| TaskView::new(task, now)).collect(),
        question: (asks && person.may(Role::Operator))
            .then_some(Question { attempt: record.attempt, comment }),
    }
}

impl TaskView {
    pub fn new(row: &tasks::Row, now: Timestamp) -> TaskView {
        let state = words::task::state(row);
        let place = match &row.agent {
            Some(agent) => format!("on {agent}"),
            None => "not taken by an agent yet".to_owned(),
        };
        let attempt =
            if row.attempt > 1 { format!("attempt {}, ", row.attempt) } else { String::new() };
        let age = row.claimed_at.map(|at| rough(now.since(Timestamp(at))));
        let age = age.filter(|_| state == "running").map(|age| format!(" for {age}"));
        TaskView {
            log_url: format!("/tasks/{}/log", row.key().task),
            text: format!("{attempt}{state} {place}{}", age.unwrap_or_default()),
            phases: words::task::steps(row)
                .iter()
                .map(|step| Phase {
                    mark: mark(words::task::step_status(step.status), false),
                    name: step.name.clone(),
                    took: step.took.map(|took| took.to_string()).unwrap_or_default(),
                })
                .collect(),
        }
    }
}

/// The task whose failure ended the run.
pub fn failed_task<'a>(row: &Row, tasks: &'a [tasks::Row]) -> Option<&'a tasks::Row> {
    let failed = row.state.actions.iter().find(|(_, action)| {
        matches!(action.state, ActionState::Failed { .. } | ActionState::RolledBack { .. })
    });
    let (name, _) = failed?;
    tasks.iter().rev().find(|task| task.action.as_deref() == Some(name))
}

/// The end of a log: enough to see why without leaving the page.
pub async fn tail(logs: &Logs, key: TaskKey) -> Result<Option<Cause>> {
    const BYTES: u64 = 8192;
    const LINES: usize = 15;
    let size = logs.size(key).await?;
    let bytes = logs.read(key, size.saturating_sub(BYTES), BYTES as usize).await?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(LINES)..].join("\n");
    let log_url = format!("/tasks/{}/log", key.task);
    let html = Ansi::default().render(last.as_bytes());
    Ok((!last.is_empty()).then_some(Cause { log_url, html }))
}
