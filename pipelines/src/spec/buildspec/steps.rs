//! `steps`: GitHub Actions within a phase.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::yaml::Node;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A GitHub-Actions style step. Values may be expressions, so they stay text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Step {
    /// What it is called in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What other steps call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// An expression; without it the step runs where none before failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#if: Option<String>,
    /// An action: owner/action@version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<String>,
    /// A command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// What runs the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// Where the command starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
    /// Whether the steps after a failure run all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continue_on_error: Option<String>,
    /// After so many minutes it is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_minutes: Option<String>,
    /// Settings of the action.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub with: BTreeMap<String, String>,
    /// Variables of the step.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

pub(super) fn read(report: &mut Report, node: &Node, path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for (index, item) in report.list(node, path).iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(mut fields) = Fields::open(report, item, &path) else { continue };
        let step = step(report, &mut fields);
        if step.uses.is_none() && step.run.is_none() {
            let help = "write `uses: owner/action@version` or `run: command`";
            report.error(item.at, codes::MISSING_KEY, format!("`{path}` does nothing"), help);
        }
        fields.finish(report);
        steps.push(step);
    }
    if !steps.is_empty() {
        let message = format!("`{path}`: Pipeyard does not run GitHub Actions; CodeBuild does");
        report.warn(node.at, codes::UNSUPPORTED, message, "write `commands:` that do the same");
    }
    steps
}

fn step(report: &mut Report, fields: &mut Fields<'_>) -> Step {
    let mut text = |report: &mut Report, key| {
        let node = fields.get(key)?;
        report.text(node, &fields.join(key))
    };
    let mut step = Step {
        name: text(report, "name"),
        id: text(report, "id"),
        r#if: text(report, "if"),
        uses: text(report, "uses"),
        run: text(report, "run"),
        shell: text(report, "shell"),
        working_directory: text(report, "working-directory"),
        continue_on_error: text(report, "continue-on-error"),
        timeout_minutes: text(report, "timeout-minutes"),
        ..Step::default()
    };
    let mut map = |report: &mut Report, key| match fields.get(key) {
        Some(node) => report.scalar_map(node, &fields.join(key)),
        None => Default::default(),
    };
    step.with = map(report, "with");
    step.env = map(report, "env");
    step
}
