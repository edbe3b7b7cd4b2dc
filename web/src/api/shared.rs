//! Values many answers share.

use crate::words;
use pipelines::command::Waiting;
use pipelines::protocol::task::Revision;
use pipelines::time::Timestamp;
use serde::Serialize;

/// Why something does not move.
#[derive(Debug, Serialize)]
pub struct WaitingBody {
    what: String,
    whom: String,
    since: String,
    until: Option<String>,
    /// True: a person has to act.
    person: bool,
}

impl From<&Waiting> for WaitingBody {
    fn from(waiting: &Waiting) -> WaitingBody {
        let Waiting { what, whom, since, until, person } = waiting;
        WaitingBody {
            what: what.clone(),
            whom: whom.clone(),
            since: words::time::rfc3339(*since),
            until: until.map(words::time::rfc3339),
            person: *person,
        }
    }
}

pub fn all(waiting: &[Waiting]) -> Vec<WaitingBody> {
    waiting.iter().map(WaitingBody::from).collect()
}

#[derive(Debug, Serialize)]
pub struct RevisionBody {
    label: String,
    digest: String,
    size: u64,
    commit: Option<String>,
}

impl From<&Revision> for RevisionBody {
    fn from(revision: &Revision) -> RevisionBody {
        let Revision { bundle, commit, label } = revision;
        RevisionBody {
            label: label.clone(),
            digest: bundle.digest.to_string(),
            size: bundle.size,
            commit: commit.clone(),
        }
    }
}

pub fn at(millis: i64) -> String {
    words::time::rfc3339(Timestamp(millis))
}

pub fn at_opt(time: Option<Timestamp>) -> Option<String> {
    time.map(words::time::rfc3339)
}
