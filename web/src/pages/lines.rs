//! Lines that several pages show.

use crate::words::status::{Mark, mark};
use crate::words::time::{Moment, rough};
use crate::words::{self, waiting};
use pipelines::command::Waiting;
use pipelines::ids::RunId;
use pipelines::time::Timestamp;
use store::{deployments, runs};

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLine {
    pub url: String,
    pub name: String,
    pub mark: Mark,
    pub label: String,
    pub trigger: String,
    pub created: Moment,
    pub took: String,
}

impl RunLine {
    pub fn new(row: &runs::Summary, now: Timestamp) -> RunLine {
        let created = Timestamp(row.created_at);
        let took = row.finished_at.map(|at| rough(Timestamp(at).since(created)));
        RunLine {
            url: format!("/runs/{}", RunId(row.id)),
            name: words::run::name(&row.pipeline, row.number),
            mark: aggregate(&row.status, row.stuck.as_deref(), &row.waiting),
            label: row.label.clone(),
            trigger: words::run::trigger(&row.trigger),
            created: Moment::new(created, now),
            took: took.unwrap_or_default(),
        }
    }
}

/// A deployment in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentLine {
    pub url: String,
    pub name: String,
    pub group: String,
    pub mark: Mark,
    pub sentence: String,
    pub by: String,
    pub created: Moment,
}

impl DeploymentLine {
    pub fn new(row: &deployments::Row, now: Timestamp) -> DeploymentLine {
        DeploymentLine {
            url: format!("/deployments/{}", row.id()),
            name: row.id().to_string(),
            group: row.group_name.clone(),
            mark: aggregate(&row.status, row.stuck.as_deref(), &row.waiting),
            sentence: words::deployment::sentence(row),
            by: row.created_by.clone(),
            created: Moment::new(Timestamp(row.created_at), now),
        }
    }
}

/// The mark of a run or of a deployment.
pub fn aggregate(status: &str, stuck: Option<&str>, waiting: &[Waiting]) -> Mark {
    match stuck {
        Some(_) => mark("stuck", false),
        None => mark(status, waiting::needs_person(waiting)),
    }
}

/// Why something does not move, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    pub text: String,
    pub class: &'static str,
}

pub fn whys(reasons: &[Waiting], now: Timestamp) -> Vec<Why> {
    let why = |reason: &Waiting| Why {
        text: waiting::sentence(reason, now),
        class: if reason.person { "needs-you" } else { "" },
    };
    reasons.iter().map(why).collect()
}
