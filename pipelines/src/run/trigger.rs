//! What starts a run, and whether a push starts one of a given pipeline.

use crate::spec::pipeline::{Action, Pipeline, Source, SourceFrom, Work};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Why a run exists. Kept with the run for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    pub kind: TriggerKind,
    /// Who pushed, clicked or called, as proved to us; never a name from a commit.
    pub by: String,
    /// The pushed commit, for the source action it belongs to.
    pub push: Option<PushedCommit>,
    pub variables: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TriggerKind {
    Push,
    Webhook,
    Manual,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedCommit {
    pub from: SourceFrom,
    pub branch: String,
    pub commit: String,
}

/// A push as the git server or a forge told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    pub from: SourceFrom,
    /// `refs/heads/main`, `refs/tags/v1`.
    pub reference: String,
    pub commit: String,
    /// Paths that differ from what the ref pointed to before; None: not known.
    pub changed: Option<Vec<String>>,
}

/// The commit a push of `push` would start `pipeline` with; None when it does not concern it.
#[must_use]
pub fn concerns(pipeline: &Pipeline, push: &Push) -> Option<PushedCommit> {
    let branch = push.reference.strip_prefix("refs/heads/");
    let tag = push.reference.strip_prefix("refs/tags/");
    let mut sources = sources(pipeline).filter(|(_, source)| source.from == push.from);
    // A trigger may speak of one source action only; any other speaks of all of them.
    let wanted = sources.any(|(action, _)| {
        pipeline.triggers.iter().any(|trigger| {
            let meant = trigger.source().is_none_or(|name| name == action.name);
            let starts = match (branch, tag) {
                (Some(branch), _) => trigger.starts_on_branch(branch, push.changed.as_deref()),
                (None, Some(tag)) => trigger.starts_on_tag(tag),
                (None, None) => false,
            };
            meant && starts
        })
    });
    let name = branch.or(tag)?.to_owned();
    wanted.then(|| PushedCommit {
        from: push.from.clone(),
        branch: name,
        commit: push.commit.clone(),
    })
}

/// The pipeline's source actions.
pub fn sources(pipeline: &Pipeline) -> impl Iterator<Item = (&Action, &Source)> {
    pipeline.stages.iter().flat_map(|stage| &stage.actions).filter_map(|action| {
        match &action.work {
            Work::Source(source) => Some((action, source)),
            _ => None,
        }
    })
}
