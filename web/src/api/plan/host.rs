//! One host of a plan: what it serves, what it will serve, and what its agent says about the way there.

use super::{Outlook, Replies};
use crate::questions::Reply;
use pipelines::deploy::{Lane, PlanHost, Step};
use pipelines::protocol::answer::{Answer, Change, FileChange, Preview};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct HostBody {
    name: String,
    zone: Option<String>,
    alive: bool,
    /// It does not exist yet: the deployment makes it, under another name.
    new: bool,
    /// A revision's label, `broken`, `unknown`, or null for nothing.
    serves: Option<String>,
    will_serve: Option<String>,
    /// What a failure returns it to.
    prior: Option<String>,
    /// As it was noted last; null where there is no router or nothing was noted.
    weight: Option<u16>,
    /// answered, failed, silent, new, retired, unchanged, not-asked
    pub asked: &'static str,
    /// Why its agent could not say.
    pub message: Option<String>,
    pub preview: Option<PreviewBody>,
}

#[derive(Debug, Serialize)]
pub struct PreviewBody {
    files: u64,
    bytes: u64,
    /// How many files will be others afterwards; the lists are cut at 200.
    changed: u64,
    added: usize,
    replaced: usize,
    removed: usize,
    retained: usize,
    changes: Vec<ChangeBody>,
    pub clashes: Vec<String>,
    warnings: Vec<String>,
    hooks: Vec<HookBody>,
    /// The bundle is on the host already.
    fetched: bool,
}

#[derive(Debug, Serialize)]
pub struct ChangeBody {
    path: String,
    /// added, replaced, removed, retained, altered
    change: &'static str,
}

#[derive(Debug, Serialize)]
struct HookBody {
    event: String,
    script: String,
}

impl From<&FileChange> for ChangeBody {
    fn from(change: &FileChange) -> ChangeBody {
        let word = match change.change {
            Change::Added => "added",
            Change::Replaced => "replaced",
            Change::Removed => "removed",
            Change::Retained => "retained",
            Change::Altered => "altered",
        };
        ChangeBody { path: change.path.clone(), change: word }
    }
}

impl From<&Preview> for PreviewBody {
    fn from(preview: &Preview) -> PreviewBody {
        let of = |change: Change| preview.changes.iter().filter(|c| c.change == change).count();
        let hooks = preview.hooks.iter();
        PreviewBody {
            files: preview.files,
            bytes: preview.bytes,
            changed: preview.changed,
            added: of(Change::Added),
            replaced: of(Change::Replaced),
            removed: of(Change::Removed),
            retained: of(Change::Retained),
            changes: preview.changes.iter().map(ChangeBody::from).collect(),
            clashes: preview.clashes.clone(),
            warnings: preview.warnings.clone(),
            hooks: hooks
                .map(|(event, script)| HookBody { event: event.clone(), script: script.clone() })
                .collect(),
            fetched: preview.fetched,
        }
    }
}

impl HostBody {
    pub fn new(outlook: &Outlook, replies: &Replies, planned: &PlanHost) -> HostBody {
        let row = outlook.hosts.get(&planned.id);
        let serves = row.and_then(|row| {
            let label = row.revision.as_ref().map(|revision| revision.label.clone());
            label.or_else(|| row.serving.clone())
        });
        let installed = outlook.is_installed(planned.id);
        let retired =
            outlook.plan.steps.iter().any(
                |step| matches!(step, Step::Retire { hosts, .. } if hosts.contains(&planned.id)),
            );
        let will_serve = match (installed || planned.current, retired) {
            // Made for the time of the deployment, or idle afterwards.
            (_, true) => None,
            (true, false) => Some(outlook.plan.revision.label.clone()),
            (false, false) => serves.clone(),
        };
        let (mut asked, mut message, mut preview) = ("not-asked", None, None);
        match replies.get(&planned.id) {
            Some(Reply::Answered(Answer::Preview(found))) => {
                (asked, preview) = ("answered", Some(PreviewBody::from(found)));
            }
            Some(Reply::Answered(_)) => {
                asked = "failed";
                message = Some("its agent answered something else".to_owned());
            }
            Some(Reply::Failed(why)) => (asked, message) = ("failed", Some(why.clone())),
            Some(Reply::Silent) => asked = "silent",
            None if planned.provisioned => asked = "new",
            None if !installed && retired => asked = "retired",
            None if !installed => asked = "unchanged",
            None if !outlook.alive.contains(&planned.id) => asked = "silent",
            None => {}
        }
        HostBody {
            name: planned.name.clone(),
            zone: planned.zone.clone(),
            alive: outlook.alive.contains(&planned.id),
            new: planned.provisioned,
            serves,
            will_serve,
            prior: planned.prior.as_ref().map(|prior| prior.label.clone()),
            weight: row.and_then(|row| row.lane.as_ref()).and_then(|lane| match lane.0 {
                Lane::In { weight } => Some(weight),
                Lane::Out | Lane::Gone => Some(0),
                Lane::Direct | Lane::Unknown => None,
            }),
            asked,
            message,
            preview,
        }
    }
}
