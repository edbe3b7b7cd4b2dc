//! `cache`: what later builds find again.

use crate::spec::buildspec::{Cache, CacheAction};
use crate::spec::codes;
use crate::spec::decode::{Fields, Report};

/// CodeBuild user guide: at most five fallback keys.
const FALLBACKS_MAX: usize = 5;

pub(super) fn read(report: &mut Report, top: &mut Fields<'_>) -> Option<Cache> {
    let node = top.get_or_null("cache")?;
    let at = top.key_at("cache").unwrap_or(node.at);
    if node.is_null() {
        let help = "add `paths:`, or remove the key";
        report.warn(at, codes::EMPTY_SECTION, "`cache` is empty", help);
        return None;
    }
    let mut fields = Fields::open(report, node, "cache")?;
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
        Some(node) => super::artifacts::globs(report, node, "cache.paths"),
        None => {
            let message = "`cache.paths` is missing: nothing is kept";
            report.warn(at, codes::EMPTY_SECTION, message, "list what to keep below `paths:`");
            Vec::new()
        }
    };
    fields.finish(report);
    Some(Cache { key, fallback_keys, action: action.unwrap_or_default(), paths })
}
