//! `cache`: what later builds find again.

use crate::spec::buildspec::lists;
use crate::spec::buildspec::model::is_default;
use crate::spec::buildspec::patterns::{self, Below};
use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use serde::{Deserialize, Serialize};

/// `cache`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Cache {
    /// Expanded by the shell at build time. An entry under a key is written once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Prefixes, tried in order.
    #[serde(default)]
    #[schemars(with = "crate::spec::schema::words::OneOrMany<String>")]
    pub fallback_keys: Vec<String>,
    /// Both where absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub action: CacheAction,
    /// Globs; may be absolute.
    #[serde(default)]
    pub paths: Vec<String>,
}

/// Whether an entry is only read, only written, or both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(schemars::JsonSchema)]
pub enum CacheAction {
    #[default]
    Both,
    Restore,
    Save,
}

/// CodeBuild user guide: at most five fallback keys.
const FALLBACKS_MAX: usize = 5;

pub(super) fn read(report: &mut Report, top: &mut Fields<'_>) -> Option<Cache> {
    let node = lists::section(report, top, "cache")?;
    let at = top.key_at("cache").unwrap_or(node.at);
    let mut fields = lists::open(report, node, "cache")?;
    let key = fields.get("key").and_then(|node| report.word(node, "cache.key"));
    let fallback_keys = match fields.get("fallback-keys") {
        Some(node) => report.texts_or_text(node, "cache.fallback-keys"),
        None => Vec::new(),
    };
    if let Some(at) = fields.key_at("fallback-keys") {
        if key.is_none() {
            let message = "`cache.fallback-keys` is ignored without `cache.key`";
            report.warn(at, codes::IGNORED_KEY, message, "add `key:`");
        }
        if fallback_keys.len() > FALLBACKS_MAX {
            let message = format!("more than {FALLBACKS_MAX} fallback keys");
            report.error(at, codes::BAD_VALUE, message, "keep the most useful ones");
        }
    }
    let choices = [("restore", CacheAction::Restore), ("save", CacheAction::Save)];
    let action = fields.get("action");
    let action = action.and_then(|node| report.choice(node, "cache.action", &choices));
    let paths = match fields.get("paths") {
        Some(node) => patterns::read(report, node, "cache.paths", Below::Root),
        None => {
            let message = "`cache.paths` is missing: nothing is kept";
            report.warn(at, codes::EMPTY_SECTION, message, "list what to keep below `paths:`");
            Vec::new()
        }
    };
    lists::finish(report, fields, Vec::new());
    Some(Cache { key, fallback_keys, action: action.unwrap_or_default(), paths })
}
