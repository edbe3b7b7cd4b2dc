//! The top of a pipeline file and its stages.

use crate::spec::decode::{self, Fields, Report};
use crate::spec::pipeline::action::{self, Draft};
use crate::spec::pipeline::{
    Freeze, Mode, OnStageFailure, Otherwise, Pipeline, Stage, Trigger, Variable, Work, check,
    condition, references, trigger,
};
use crate::spec::problem::Parsed;
use crate::spec::yaml::{Mark, Node};
use crate::spec::{Kind, codes};
use std::collections::BTreeMap;

/// Reads a pipeline file, all mistakes at once.
#[must_use]
pub fn parse(text: &str) -> Parsed<Pipeline> {
    decode::read(Kind::Pipeline, text, read)
}

/// A stage whose actions may be incomplete, so that later checks see every name there is.
pub(super) struct StageDraft {
    pub stage: Stage,
    pub at: Mark,
    pub actions: Vec<Draft>,
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
        None => BTreeMap::new(),
    };
    let timeout = top.get("timeout").and_then(|node| report.duration(node, "timeout"));
    let triggers = top.get_or_null("triggers").map(|node| (node, triggers(report, node)));
    let freeze = match top.get("freeze") {
        Some(node) => freezes(report, node),
        None => Vec::new(),
    };
    let mut stages = match top.require(report, "stages", "list the stages: `stages:` `- name: …`")
    {
        Some(node) => stages(report, node),
        None => Vec::new(),
    };
    top.finish(report);
    check::check(report, &mut stages);
    references::check(report, &stages, &variables);
    let sources = source_branches(&stages);
    check_sources(report, triggers.as_ref(), &sources);
    check_freezes(report, &freeze, &stages);
    let triggers = triggers.map(|(_, list)| list).unwrap_or_else(|| {
        sources.iter().map(|(name, branch)| Trigger::branch(branch, name)).collect()
    });
    let stages: Option<Vec<Stage>> = stages.into_iter().map(StageDraft::finish).collect();
    Some(Pipeline {
        version: version?,
        name: name?,
        mode: mode.unwrap_or_default(),
        variables,
        triggers,
        timeout,
        freeze: freeze.into_iter().map(|(_, freeze)| freeze).collect(),
        stages: stages?,
    })
}

impl StageDraft {
    fn finish(self) -> Option<Stage> {
        let actions: Option<Vec<_>> = self.actions.into_iter().map(Draft::finish).collect();
        Some(Stage { actions: actions?, ..self.stage })
    }
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

fn variables(report: &mut Report, node: &Node) -> BTreeMap<String, Variable> {
    let mut variables = BTreeMap::new();
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
        variables.insert(name.to_owned(), variable);
    }
    variables
}

fn triggers(report: &mut Report, node: &Node) -> Vec<Trigger> {
    let mut triggers = Vec::new();
    for (index, item) in report.list(node, "triggers").iter().enumerate() {
        triggers.extend(trigger::read(report, item, &format!("triggers[{index}]")));
    }
    triggers
}

fn freezes(report: &mut Report, node: &Node) -> Vec<(Mark, Freeze)> {
    let mut freezes = Vec::new();
    for (index, item) in report.list(node, "freeze").iter().enumerate() {
        let Some(mut fields) = Fields::open(report, item, &format!("freeze[{index}]")) else {
            continue;
        };
        let stages = match fields.get("stages") {
            Some(node) => report.texts(node, &fields.join("stages")),
            None => Vec::new(),
        };
        let window = report.window_fields(&mut fields);
        fields.finish(report);
        freezes.extend(window.map(|window| (item.at, Freeze { window, stages })));
    }
    freezes
}

fn stages(report: &mut Report, node: &Node) -> Vec<StageDraft> {
    let items = report.list(node, "stages");
    if items.is_empty() && node.text().is_none() {
        let help = "add a stage with a source action";
        report.error(node.at, codes::EMPTY_PIPELINE, "a pipeline needs at least one stage", help);
    }
    let mut stages = Vec::new();
    for (index, item) in items.iter().enumerate() {
        stages.extend(stage(report, item, &format!("stages[{index}]")));
    }
    stages
}

fn stage(report: &mut Report, node: &Node, path: &str) -> Option<StageDraft> {
    let mut fields = Fields::open(report, node, path)?;
    let name = fields.require(report, "name", "name the stage: `name: build`");
    let name = name.and_then(|node| report.name(node, &fields.join("name"))).unwrap_or_default();
    let entry_words =
        [("fail", Otherwise::Fail), ("skip", Otherwise::Skip), ("wait", Otherwise::Wait)];
    let success_words = [("fail", Otherwise::Fail), ("rollback", Otherwise::Rollback)];
    let failure_words = [
        ("fail", OnStageFailure::Fail),
        ("rollback", OnStageFailure::Rollback),
        ("retry", OnStageFailure::Retry),
    ];
    let entry = fields.get("entry");
    let entry = entry.and_then(|n| condition::read(report, n, &fields.join("entry"), &entry_words));
    let success = fields.get("success");
    let success =
        success.and_then(|n| condition::read(report, n, &fields.join("success"), &success_words));
    let on_failure = fields.get("on-failure");
    let on_failure =
        on_failure.and_then(|n| report.choice(n, &fields.join("on-failure"), &failure_words));
    let timeout = fields.get("timeout");
    let timeout = timeout.and_then(|node| report.duration(node, &fields.join("timeout")));
    let mut actions = Vec::new();
    if let Some(node) = fields.require(report, "actions", "list what the stage does") {
        let items = report.list(node, &fields.join("actions"));
        if items.is_empty() && node.text().is_none() {
            let message = format!("stage '{name}' has no actions");
            let help = "add an action, or remove the stage";
            report.error(node.at, codes::EMPTY_PIPELINE, message, help);
        }
        for (index, item) in items.iter().enumerate() {
            actions.extend(action::read(report, item, &format!("{path}.actions[{index}]")));
        }
    }
    fields.finish(report);
    let on_failure = on_failure.unwrap_or_default();
    let stage = Stage { name, entry, success, on_failure, timeout, actions: Vec::new() };
    Some(StageDraft { stage, at: node.at, actions })
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

fn check_sources(
    report: &mut Report,
    triggers: Option<&(&Node, Vec<Trigger>)>,
    sources: &[(String, String)],
) {
    let Some((node, triggers)) = triggers else { return };
    let names: Vec<&str> = sources.iter().map(|(name, _)| name.as_str()).collect();
    for source in triggers.iter().filter_map(Trigger::source) {
        if !names.contains(&source) {
            let message = format!("a trigger names the source action '{source}', there is none");
            let help = decode::suggest::help(source, &names);
            report.error(node.at, codes::UNKNOWN_NAME, message, help);
        }
    }
}

fn check_freezes(report: &mut Report, freezes: &[(Mark, Freeze)], stages: &[StageDraft]) {
    let names: Vec<&str> = stages.iter().map(|stage| stage.stage.name.as_str()).collect();
    for (at, freeze) in freezes {
        for stage in &freeze.stages {
            if !names.contains(&stage.as_str()) {
                let message = format!("a freeze names the stage '{stage}', there is none");
                let help = decode::suggest::help(stage, &names);
                report.error(*at, codes::UNKNOWN_NAME, message, help);
            }
        }
    }
}
