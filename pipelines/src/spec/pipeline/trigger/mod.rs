//! What starts a run by itself.

mod check;
mod read;

use crate::spec::Globs;
use crate::spec::pipeline::SourceFrom;
use crate::spec::yaml::Mark;
use serde::{Deserialize, Serialize};

pub(super) use check::check;
pub(super) use read::read;

/// What starts a run: a push, a pull request or a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
#[schemars(transform = crate::spec::schema::forms::trigger)]
pub enum Trigger {
    /// A pushed branch or tag. Paths only count for branches.
    #[serde(rename_all = "kebab-case")]
    Push {
        /// Which branches; `!` takes away and wins.
        #[serde(default, skip_serializing_if = "Globs::is_empty")]
        branches: Globs,
        /// Which tags; a trigger with only tags is not about branches.
        #[serde(default, skip_serializing_if = "Globs::is_empty")]
        tags: Globs,
        /// Of the changed files at least one has to match.
        #[serde(default, skip_serializing_if = "Globs::is_empty")]
        paths: Globs,
        /// The source action it is about; any where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
    /// A pull request into one of the branches.
    #[serde(rename_all = "kebab-case")]
    PullRequest {
        /// The branches it goes into.
        #[serde(default, skip_serializing_if = "Globs::is_empty")]
        branches: Globs,
        /// Of the changed files at least one has to match.
        #[serde(default, skip_serializing_if = "Globs::is_empty")]
        paths: Globs,
        /// What has to have happened; opened or updated where absent.
        #[schemars(with = "Option<Vec<PullRequestEvent>>")]
        events: Vec<PullRequestEvent>,
        /// Whether drafts count.
        #[serde(default)]
        drafts: bool,
        /// The source action it is about; any where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
    /// At times.
    Schedule {
        /// Minute, hour, day, month, weekday.
        cron: String,
        /// An IANA zone name; UTC where absent.
        #[schemars(with = "Option<String>")]
        zone: String,
    },
}

/// What happened to a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub enum PullRequestEvent {
    Opened,
    Updated,
    Merged,
    Closed,
}

impl Trigger {
    /// A push to exactly this branch of one source action.
    #[must_use]
    pub fn branch(branch: &str, source: &str) -> Self {
        Trigger::Push {
            branches: Globs::of(&[&globset::escape(branch)]),
            tags: Globs::default(),
            paths: Globs::default(),
            source: Some(source.to_owned()),
        }
    }

    /// Whether a push of this branch, changing these paths, starts a run. A push trigger that
    /// names only tags is not about branches. Where the changed paths are not known (a new branch)
    /// `paths` is `None`, and the path filter lets it pass.
    #[must_use]
    pub fn starts_on_branch(&self, branch: &str, changed: Option<&[String]>) -> bool {
        match self {
            Trigger::Push { branches, tags, paths, .. } => {
                (tags.is_empty() || !branches.is_empty())
                    && branches.matches(branch)
                    && (paths.is_empty()
                        || changed.is_none_or(|all| all.iter().any(|path| paths.matches(path))))
            }
            Trigger::PullRequest { .. } | Trigger::Schedule { .. } => false,
        }
    }

    /// Whether a push of this tag starts a run; only a trigger that names tags is about them.
    #[must_use]
    pub fn starts_on_tag(&self, tag: &str) -> bool {
        match self {
            Trigger::Push { tags, .. } => !tags.is_empty() && tags.matches(tag),
            Trigger::PullRequest { .. } | Trigger::Schedule { .. } => false,
        }
    }

    /// The source action the trigger is about, if it names one.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        match self {
            Trigger::Push { source, .. } | Trigger::PullRequest { source, .. } => source.as_deref(),
            Trigger::Schedule { .. } => None,
        }
    }
}

impl SourceFrom {
    /// The repository name or URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            SourceFrom::Repository(text) | SourceFrom::Git(text) => text,
        }
    }
}

/// A trigger with the places of what it names.
pub(super) struct Placed {
    pub trigger: Trigger,
    places: Places,
}

#[derive(Default)]
struct Places {
    source: Option<Mark>,
    /// Every branch pattern that takes nothing away.
    branches: Vec<(Mark, String)>,
}
