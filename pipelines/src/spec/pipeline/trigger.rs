//! What starts a run by itself.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::yaml::Node;
use crate::spec::{Globs, pipeline::SourceFrom};
use serde::{Deserialize, Serialize};

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
        #[serde(default)]
        branches: Globs,
        /// Which tags; a trigger with only tags is not about branches.
        #[serde(default)]
        tags: Globs,
        /// Of the changed files at least one has to match.
        #[serde(default)]
        paths: Globs,
        /// The source action it is about; any where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
    /// A pull request into one of the branches.
    #[serde(rename_all = "kebab-case")]
    PullRequest {
        /// The branches it goes into.
        #[serde(default)]
        branches: Globs,
        /// Of the changed files at least one has to match.
        #[serde(default)]
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

const EVENTS: [(&str, PullRequestEvent); 4] = [
    ("opened", PullRequestEvent::Opened),
    ("updated", PullRequestEvent::Updated),
    ("merged", PullRequestEvent::Merged),
    ("closed", PullRequestEvent::Closed),
];

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

/// One entry of `triggers`: `push`, `pull-request` or `schedule`, bare or with its settings.
pub(super) fn read(report: &mut Report, node: &Node, path: &str) -> Option<Trigger> {
    let bare = match node.text() {
        Some("push") => Some(push(report, None)),
        Some("pull-request") => Some(pull_request(report, None)),
        _ => None,
    };
    if let Some(trigger) = bare {
        return trigger;
    }
    let mut fields = Fields::open(report, node, path)?;
    let mut found = Vec::new();
    let mut wanted = 0;
    if let Some(node) = fields.get_or_null("push") {
        wanted += 1;
        found.extend(settings(report, node, &fields.join("push"), push));
    }
    if let Some(node) = fields.get_or_null("pull-request") {
        wanted += 1;
        found.extend(settings(report, node, &fields.join("pull-request"), pull_request));
    }
    if let Some(node) = fields.get("schedule") {
        wanted += 1;
        found.extend(schedule(report, node, &fields.join("schedule")));
    }
    fields.finish(report);
    if wanted != 1 {
        let message = format!("`{path}` has to be exactly one trigger");
        let help = "write one of push, pull-request, schedule; each trigger its own entry";
        report.error(node.at, codes::ACTION_KIND, message, help);
        return None;
    }
    found.pop()
}

fn settings(
    report: &mut Report,
    node: &Node,
    path: &str,
    read: fn(&mut Report, Option<&mut Fields<'_>>) -> Option<Trigger>,
) -> Option<Trigger> {
    if node.is_null() {
        return read(report, None);
    }
    let mut fields = Fields::open(report, node, path)?;
    let trigger = read(report, Some(&mut fields));
    fields.finish(report);
    trigger
}

fn globs(report: &mut Report, fields: &mut Option<&mut Fields<'_>>, key: &'static str) -> Globs {
    let Some(fields) = fields else { return Globs::default() };
    let Some(node) = fields.get(key) else { return Globs::default() };
    report.globs(node, &fields.join(key))
}

fn source(report: &mut Report, fields: &mut Option<&mut Fields<'_>>) -> Option<String> {
    let fields = fields.as_mut()?;
    let node = fields.get("source")?;
    report.name(node, &fields.join("source"))
}

fn push(report: &mut Report, mut fields: Option<&mut Fields<'_>>) -> Option<Trigger> {
    let branches = globs(report, &mut fields, "branches");
    let tags = globs(report, &mut fields, "tags");
    let paths = globs(report, &mut fields, "paths");
    let source = source(report, &mut fields);
    if let Some(fields) = &fields
        && !paths.is_empty()
        && !tags.is_empty()
        && branches.is_empty()
    {
        let at = fields.key_at("paths").unwrap_or(fields.at);
        let message = "`paths` has no effect beside `tags`: a tag changes no path";
        report.error(at, codes::IGNORED_KEY, message, "remove `paths`, or add `branches`");
    }
    Some(Trigger::Push { branches, tags, paths, source })
}

fn pull_request(report: &mut Report, mut fields: Option<&mut Fields<'_>>) -> Option<Trigger> {
    let branches = globs(report, &mut fields, "branches");
    let paths = globs(report, &mut fields, "paths");
    let source = source(report, &mut fields);
    let mut events = vec![PullRequestEvent::Opened, PullRequestEvent::Updated];
    let mut drafts = false;
    if let Some(fields) = fields {
        if let Some(node) = fields.get("events") {
            let path = fields.join("events");
            events = report
                .list(node, &path)
                .iter()
                .filter_map(|item| report.choice(item, &path, &EVENTS))
                .collect();
            if events.is_empty() {
                let help = "write opened, updated, merged or closed";
                report.error(node.at, codes::MISSING_KEY, format!("`{path}` is empty"), help);
            }
        }
        if let Some(node) = fields.get("drafts") {
            drafts = report.boolean(node, &fields.join("drafts")).unwrap_or(false);
        }
    }
    Some(Trigger::PullRequest { branches, paths, events, drafts, source })
}

/// A cron expression alone, or `{cron, zone}`.
fn schedule(report: &mut Report, node: &Node, path: &str) -> Option<Trigger> {
    if node.text().is_some() {
        let cron = report.cron(node, path)?;
        return Some(Trigger::Schedule { cron, zone: "UTC".to_owned() });
    }
    let mut fields = Fields::open(report, node, path)?;
    let cron = fields.require(report, "cron", "write \"0 3 * * *\", for example");
    let cron = cron.and_then(|node| report.cron(node, &fields.join("cron")));
    let zone = fields.get("zone").map(|node| report.zone(node, &fields.join("zone")));
    fields.finish(report);
    Some(Trigger::Schedule { cron: cron?, zone: zone.unwrap_or(Some("UTC".to_owned()))? })
}
