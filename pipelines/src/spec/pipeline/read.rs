//! The top of a pipeline file and its stages.

use crate::spec::decode::{self, Fields, Report};
use crate::spec::pipeline::stage::{self, StageDraft};
use crate::spec::pipeline::{
    Mode, Pipeline, Stage, Trigger, Variable, Work, check, freezes, references, sense, trigger,
};
use crate::spec::problem::Parsed;
use crate::spec::yaml::{Mark, Node};
use crate::spec::{Kind, codes};

/// Reads a pipeline file, all mistakes at once.
#[must_use]
pub fn parse(text: &str) -> Parsed<Pipeline> {
    decode::read(Kind::Pipeline, text, read)
}

pub(crate) fn read(report: &mut Report, mut top: Fields<'_>) -> Option<Pipeline> {
    let version = report.format_version(&mut top);
    let name = top.require(report, "name", "name the pipeline: `name: shop`");
    let name = name.and_then(|node| report.name(node, "name"));
    let modes =
        [("superseded", Mode::Superseded), ("queued", Mode::Queued), ("parallel", Mode::Parallel)];
    let mode = top.get("mode").and_then(|node| report.choice(node, "mode", &modes));
    let variables = match top.get("variables") {
        Some(node) => variables(report, node),
        None => Vec::new(),
    };
    let timeout = top.get("timeout").and_then(|node| report.time_limit(node, "timeout"));
    let triggers = top.get_or_null("triggers").map(|node| triggers(report, node));
    let freeze = match top.get("freeze") {
        Some(node) => freezes::read(report, node),
        None => Vec::new(),
    };
    let mut stages = match top.require(report, "stages", "list the stages: `stages:` `- name: …`")
    {
        Some(node) => stage::read(report, node),
        None => Vec::new(),
    };
    top.finish(report);
    let sources = source_branches(&stages);
    if check::is_comparable(report, &stages) {
        check::check(report, &mut stages);
        let names: Vec<&str> = variables.iter().map(|(_, name, _)| name.as_str()).collect();
        references::check(report, &stages, &names);
        trigger::check(report, triggers.as_deref().unwrap_or_default(), &sources);
        freezes::check(report, &freeze, &stages);
        sense::check(report, &stages, &sense::Pipeline { mode, timeout });
    }
    let automatic = triggers.as_ref().is_none_or(|triggers| !triggers.is_empty());
    sense::variables(report, &variables, automatic && !sources.is_empty());
    let variables = variables.into_iter().map(|(_, name, variable)| (name, variable)).collect();
    let triggers = match triggers {
        Some(list) => list.into_iter().map(|placed| placed.trigger).collect(),
        None => sources.iter().map(|(name, branch)| Trigger::branch(branch, name)).collect(),
    };
    let stages: Option<Vec<Stage>> = stages.into_iter().map(StageDraft::finish).collect();
    Some(Pipeline {
        version: version?,
        name: name?,
        mode: mode.unwrap_or_default(),
        variables,
        triggers,
        timeout,
        freeze: freeze.into_iter().map(|(_, freeze, _)| freeze).collect(),
        stages: stages?,
    })
}

impl Report {
    /// `version: 1`, which may be left out.
    pub(crate) fn format_version(&mut self, top: &mut Fields<'_>) -> Option<u32> {
        let Some(node) = top.get("version") else { return Some(1) };
        let text = self.word(node, "version")?;
        if text == "1" {
            return Some(1);
        }
        let message = format!("there is no {} version '{text}'", self.kind.as_str());
        self.error(node.at, codes::BAD_VERSION, message, "write `version: 1`");
        None
    }
}

fn variables(report: &mut Report, node: &Node) -> Vec<(Mark, String, Variable)> {
    let mut variables = Vec::new();
    let Some(names) = Fields::open(report, node, "variables") else { return variables };
    for (name, at, node) in names.entries() {
        let path = names.join(name);
        report.variable_name(at, name, "variables");
        if name.starts_with("CODEBUILD_") {
            let message = format!("`{name}`: names starting CODEBUILD_ belong to the build");
            report.error(at, codes::RESERVED_VARIABLE, message, "choose another name");
        }
        // Short forms: nothing at all is a variable without a default, a text is its default.
        let variable = if node.is_null() {
            Variable::default()
        } else if let Some(text) = node.text() {
            Variable { default: Some(text.to_owned()), description: None }
        } else {
            let Some(mut fields) = Fields::open(report, node, &path) else { continue };
            let mut text = |report: &mut Report, key| {
                let node = fields.get(key)?;
                report.text(node, &fields.join(key))
            };
            let default = text(report, "default");
            let description = text(report, "description");
            fields.finish(report);
            Variable { default, description }
        };
        variables.push((at, name.to_owned(), variable));
    }
    variables
}

fn triggers(report: &mut Report, node: &Node) -> Vec<trigger::Placed> {
    let mut triggers: Vec<trigger::Placed> = Vec::new();
    for (index, item) in report.short_list(node, "triggers").iter().enumerate() {
        let path = format!("triggers[{index}]");
        let Some(found) = trigger::read(report, item, &path) else { continue };
        if triggers.iter().any(|other| other.trigger == found.trigger) {
            let message = format!("`{path}` is there twice");
            report.error(item.at, codes::DUPLICATE_NAME, message, "remove one of the two");
        }
        triggers.push(found);
    }
    triggers
}

/// Each source action with its branch.
fn source_branches(stages: &[StageDraft]) -> Vec<(String, String)> {
    let drafts = stages.iter().flat_map(|stage| &stage.actions);
    drafts
        .filter_map(|draft| match &draft.work {
            Some(Work::Source(source)) => Some((draft.name.clone(), source.branch.clone())),
            _ => None,
        })
        .collect()
}
