//! `artifacts`: the files a build leaves behind.

use crate::spec::buildspec::patterns::{self, Below};
use crate::spec::buildspec::{Version, lists};
use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::yaml::Node;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `artifacts`: the primary set, and the secondary ones by identifier.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(transform = crate::spec::schema::forms::artifacts)]
pub struct Artifacts {
    /// Absent where only secondary artifacts are declared.
    #[serde(flatten)]
    pub primary: Option<ArtifactSet>,
    /// More sets of files, by an identifier of letters, digits and `_`.
    #[serde(default, rename = "secondary-artifacts", skip_serializing_if = "BTreeMap::is_empty")]
    pub secondary: BTreeMap<String, ArtifactSet>,
}

/// Which files make up one artifact.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct ArtifactSet {
    /// Globs, relative to `base_directory`: `*` stays in one directory, `**` crosses.
    pub files: Vec<String>,
    /// Expanded by the shell at build time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A directory, or a glob of top-level directories; itself not part of the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_directory: Option<String>,
    /// Whether all files land in one directory.
    #[serde(default)]
    pub discard_paths: bool,
    /// Globs of files to leave out.
    #[serde(default)]
    #[schemars(with = "crate::spec::schema::words::OneOrMany<String>")]
    pub exclude_paths: Vec<String>,
    /// Whether links that stay inside are kept; otherwise they are followed.
    #[serde(default)]
    pub enable_symlinks: bool,
    /// Read for AWS; not used here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_prefix: Option<String>,
}

pub(super) fn read(
    report: &mut Report,
    top: &mut Fields<'_>,
    version: Version,
) -> Option<Artifacts> {
    let node = lists::section(report, top, "artifacts")?;
    let mut fields = lists::open(report, node, "artifacts")?;
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
    lists::finish(report, fields, Vec::new());
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
    let listed = if required {
        fields.require(report, "files", "list the files: `files:` `- '**/*'`")
    } else {
        fields.get("files")
    };
    let path = |fields: &Fields<'_>, key: &str| fields.join(key);
    let files =
        listed.map(|node| patterns::read(report, node, &path(fields, "files"), Below::Source));
    let mut word = |report: &mut Report, key| {
        let node = fields.get(key)?;
        report.word(node, &fields.join(key))
    };
    let name = word(report, "name");
    let base_directory = word(report, "base-directory");
    let s3_prefix = word(report, "s3-prefix");
    patterns::check_base(report, listed, &path(fields, "files"), base_directory.as_deref());
    let mut flag = |report: &mut Report, key| {
        let node = fields.get(key)?;
        report.boolean(node, &fields.join(key))
    };
    let discard_paths = flag(report, "discard-paths").unwrap_or(false);
    let enable_symlinks = flag(report, "enable-symlinks").unwrap_or(false);
    let exclude_paths = match fields.get("exclude-paths") {
        Some(node) => patterns::excluded(report, node, &path(fields, "exclude-paths")),
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
