//! Stages.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::pipeline::action::{self, Draft, Placed};
use crate::spec::pipeline::{OnStageFailure, Otherwise, Stage, condition};
use crate::spec::yaml::{Mark, Node};

/// A stage whose actions may be incomplete, so that later checks see every name there is.
pub(super) struct StageDraft {
    pub stage: Stage,
    pub at: Mark,
    pub actions: Vec<Draft>,
    pub timeout_at: Option<Mark>,
    pub failure_at: Option<Mark>,
    pub success_at: Option<Mark>,
    /// Texts with references that are replaced before the stage starts, and when it is done.
    pub entry_texts: Vec<Placed>,
    pub success_texts: Vec<Placed>,
}

impl StageDraft {
    pub(super) fn finish(self) -> Option<Stage> {
        let actions: Option<Vec<_>> = self.actions.into_iter().map(Draft::finish).collect();
        Some(Stage { actions: actions?, ..self.stage })
    }
}

/// The list of stages.
pub(super) fn read(report: &mut Report, node: &Node) -> Vec<StageDraft> {
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
    let failure_words = [
        ("fail", OnStageFailure::Fail),
        ("rollback", OnStageFailure::Rollback),
        ("retry", OnStageFailure::Retry),
    ];
    let (mut entry_texts, mut success_texts) = (Vec::new(), Vec::new());
    let entry = fields.get("entry").and_then(|node| {
        let words =
            [("fail", Otherwise::Fail), ("skip", Otherwise::Skip), ("wait", Otherwise::Wait)];
        condition::read(report, node, &fields.join("entry"), &words, &mut entry_texts)
    });
    let success = fields.get("success").and_then(|node| {
        let words = [("fail", Otherwise::Fail), ("rollback", Otherwise::Rollback)];
        condition::read(report, node, &fields.join("success"), &words, &mut success_texts)
    });
    let on_failure = fields.get("on-failure");
    let on_failure =
        on_failure.and_then(|n| report.choice(n, &fields.join("on-failure"), &failure_words));
    let timeout = fields.get("timeout");
    let timeout = timeout.and_then(|node| report.time_limit(node, &fields.join("timeout")));
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
    let [timeout_at, failure_at, success_at] =
        ["timeout", "on-failure", "success"].map(|key| fields.key_at(key));
    fields.finish(report);
    let on_failure = on_failure.unwrap_or_default();
    let stage = Stage { name, entry, success, on_failure, timeout, actions: Vec::new() };
    let at = node.at;
    Some(StageDraft {
        stage,
        at,
        actions,
        timeout_at,
        failure_at,
        success_at,
        entry_texts,
        success_texts,
    })
}
