//! `artifacts`: the files a build leaves behind.

use crate::spec::buildspec::{ArtifactSet, Artifacts, Version};
use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::yaml::{Node, Value};
use std::collections::BTreeMap;

pub(super) fn read(
    report: &mut Report,
    top: &mut Fields<'_>,
    version: Version,
) -> Option<Artifacts> {
    let node = top.get_or_null("artifacts")?;
    if node.is_null() {
        let at = top.key_at("artifacts").unwrap_or(node.at);
        let help = "add `files:`, or remove the key";
        report.warn(at, codes::EMPTY_SECTION, "`artifacts` is empty", help);
        return None;
    }
    let mut fields = Fields::open(report, node, "artifacts")?;
    if let Some(node) = fields.get("type")
        && version == Version::V02
    {
        let message = "`artifacts.type` is of version 0.1; version 0.2 ignores it";
        report.warn(node.at, codes::OLD_VERSION_KEY, message, "remove it");
    }
    let secondary = match fields.get("secondary-artifacts") {
        Some(node) => secondary(report, node),
        None => BTreeMap::new(),
    };
    // The guide demands `files` in any case; builds with only secondary artifacts work without.
    let primary = if fields.get("files").is_none() && !secondary.is_empty() {
        set(report, &mut fields, false);
        None
    } else {
        set(report, &mut fields, true)
    };
    fields.finish(report);
    Some(Artifacts { primary, secondary })
}

fn secondary(report: &mut Report, node: &Node) -> BTreeMap<String, ArtifactSet> {
    let mut sets = BTreeMap::new();
    let Some(ids) = Fields::open(report, node, "artifacts.secondary-artifacts") else {
        return sets;
    };
    for (id, at, node) in ids.entries() {
        let good = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !good {
            let message = format!("'{id}' cannot be the identifier of an artifact");
            let help = "use letters, digits and `_`";
            report.warn(at, codes::BAD_NAME, message, help);
        }
        let path = ids.join(id);
        if node.is_null() {
            let help = "add `files:`, or remove it";
            report.error(at, codes::MISSING_KEY, format!("`{path}.files` is missing"), help);
            continue;
        }
        let Some(mut fields) = Fields::open(report, node, &path) else { continue };
        if let Some(set) = set(report, &mut fields, true) {
            sets.insert(id.to_owned(), set);
        }
        fields.finish(report);
    }
    sets
}

/// One set of files; `None` where `files` is wanted and not there.
fn set(report: &mut Report, fields: &mut Fields<'_>, required: bool) -> Option<ArtifactSet> {
    let files = if required {
        fields.require(report, "files", "list the files: `files:` `- '**/*'`")
    } else {
        fields.get("files")
    };
    let path = |fields: &Fields<'_>, key: &str| fields.join(key);
    let files = files.map(|node| globs(report, node, &path(fields, "files")));
    let mut word = |report: &mut Report, key| {
        let node = fields.get(key)?;
        report.word(node, &fields.join(key))
    };
    let name = word(report, "name");
    let base_directory = word(report, "base-directory");
    let s3_prefix = word(report, "s3-prefix");
    let mut flag = |report: &mut Report, key| {
        let node = fields.get(key)?;
        report.boolean(node, &fields.join(key))
    };
    let discard_paths = flag(report, "discard-paths").unwrap_or(false);
    let enable_symlinks = flag(report, "enable-symlinks").unwrap_or(false);
    let exclude_paths = match fields.get("exclude-paths") {
        Some(node) => report.texts_or_text(node, &path(fields, "exclude-paths")),
        None => Vec::new(),
    };
    Some(ArtifactSet {
        files: files?,
        name,
        base_directory,
        discard_paths,
        exclude_paths,
        enable_symlinks,
        s3_prefix,
    })
}

/// A list of globs. One text alone is refused by CodeBuild.
pub(super) fn globs(report: &mut Report, node: &Node, path: &str) -> Vec<String> {
    if let Value::Scalar { text, .. } = &node.value {
        let message = format!("`{path}` is one text, a list is wanted");
        let help = format!("write it as a list entry below: `- '{}'`", text.trim());
        report.error(node.at, codes::WRONG_TYPE, message, help);
        return Vec::new();
    }
    let texts = report.texts(node, path);
    if texts.is_empty() && matches!(node.value, Value::List(_)) {
        let help = "add a file, or remove the key";
        report.warn(node.at, codes::EMPTY_SECTION, format!("`{path}` is empty"), help);
    }
    for text in &texts {
        if let Err(error) = crate::spec::globs::compile(text) {
            let message = format!("`{path}`: '{text}' is not a pattern: {}", error.kind());
            let help = "close every `[` and `{`, or write `\\[` for the character itself";
            report.warn(node.at, codes::BAD_GLOB, message, help);
        }
    }
    texts
}
