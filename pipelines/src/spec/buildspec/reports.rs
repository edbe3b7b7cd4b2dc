//! `reports`: test results and coverage.

use crate::spec::buildspec::lists;
use crate::spec::buildspec::patterns::{self, Below};
use crate::spec::codes;
use crate::spec::decode::{Fields, Report, suggest};
use crate::spec::yaml::Node;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `reports.<name or ARN>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct ReportGroup {
    /// Globs, relative to `base_directory`.
    pub files: Vec<String>,
    /// JUNITXML where absent.
    #[schemars(with = "Option<crate::spec::schema::words::ReportFormatWord>")]
    pub file_format: ReportFormat,
    /// Where `files` start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_directory: Option<String>,
    /// Whether all files land in one directory.
    #[serde(default)]
    pub discard_paths: bool,
}

/// A report format; the first six hold test results, the last four coverage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ReportFormat {
    CucumberJson,
    JunitXml,
    NunitXml,
    Nunit3Xml,
    TestngXml,
    VisualStudioTrx,
    CloverXml,
    CoberturaXml,
    JacocoXml,
    Simplecov,
}

impl ReportFormat {
    /// Whether it holds coverage rather than test results.
    #[must_use]
    pub const fn is_coverage(self) -> bool {
        match self {
            ReportFormat::CucumberJson
            | ReportFormat::JunitXml
            | ReportFormat::NunitXml
            | ReportFormat::Nunit3Xml
            | ReportFormat::TestngXml
            | ReportFormat::VisualStudioTrx => false,
            ReportFormat::CloverXml
            | ReportFormat::CoberturaXml
            | ReportFormat::JacocoXml
            | ReportFormat::Simplecov => true,
        }
    }
}

/// CodeBuild user guide: at most five report groups in a project.
const GROUPS_MAX: usize = 5;

const FORMATS: [(&str, ReportFormat); 10] = [
    ("JUNITXML", ReportFormat::JunitXml),
    ("CUCUMBERJSON", ReportFormat::CucumberJson),
    ("NUNITXML", ReportFormat::NunitXml),
    ("NUNIT3XML", ReportFormat::Nunit3Xml),
    ("TESTNGXML", ReportFormat::TestngXml),
    ("VISUALSTUDIOTRX", ReportFormat::VisualStudioTrx),
    ("CLOVERXML", ReportFormat::CloverXml),
    ("COBERTURAXML", ReportFormat::CoberturaXml),
    ("JACOCOXML", ReportFormat::JacocoXml),
    ("SIMPLECOV", ReportFormat::Simplecov),
];

pub(super) fn read(report: &mut Report, top: &mut Fields<'_>) -> BTreeMap<String, ReportGroup> {
    let mut groups = BTreeMap::new();
    let Some(node) = lists::section(report, top, "reports") else { return groups };
    let Some(names) = lists::open(report, node, "reports") else { return groups };
    for (name, at, node) in names.entries() {
        let path = names.join(name);
        if node.is_null() {
            let help = "add `files:`, or remove it";
            report.error(at, codes::MISSING_KEY, format!("`{path}.files` is missing"), help);
            continue;
        }
        if let Some(group) = group(report, node, &path) {
            groups.insert(name.to_owned(), group);
        }
    }
    let count = names.entries().count();
    if count > GROUPS_MAX {
        let message = format!("{count} report groups; CodeBuild allows {GROUPS_MAX}");
        report.warn(names.at, codes::BAD_VALUE, message, "fine here; merge some to run it on AWS");
    }
    groups
}

fn group(report: &mut Report, node: &Node, path: &str) -> Option<ReportGroup> {
    let mut fields = Fields::open(report, node, path)?;
    let listed = fields.require(report, "files", "list the result files: `files:` `- '**/*.xml'`");
    let files =
        listed.map(|node| patterns::read(report, node, &fields.join("files"), Below::Source));
    let format = fields.get("file-format").map(|node| format(report, node, path));
    let base_directory = fields.get("base-directory");
    let base_directory =
        base_directory.and_then(|node| report.word(node, &fields.join("base-directory")));
    patterns::check_base(report, listed, &fields.join("files"), base_directory.as_deref());
    let discard = fields.get("discard-paths");
    let discard = discard.and_then(|node| report.boolean(node, &fields.join("discard-paths")));
    fields.finish(report);
    Some(ReportGroup {
        files: files?,
        file_format: format.unwrap_or(Some(ReportFormat::JunitXml))?,
        base_directory,
        discard_paths: discard.unwrap_or(false),
    })
}

/// Case does not matter (CodeBuild user guide).
fn format(report: &mut Report, node: &Node, path: &str) -> Option<ReportFormat> {
    let text = report.word(node, &format!("{path}.file-format"))?;
    let upper = text.to_ascii_uppercase();
    let found = FORMATS.iter().find(|(name, _)| *name == upper).map(|(_, format)| *format);
    if found.is_none() {
        let names: Vec<&str> = FORMATS.iter().map(|(name, _)| *name).collect();
        let message = format!("`{path}.file-format`: '{text}' is not a report format");
        // `junit` and `cobertura` are too far from their names for a slip of the pen.
        let short = upper.len() > 3 && !upper.contains('-');
        let whole = names.iter().find(|name| short && name.starts_with(&upper));
        let help = whole.map_or_else(|| suggest::help(&text, &names), |n| format!("write `{n}`"));
        report.error(node.at, codes::BAD_VALUE, message, help);
    }
    found
}
