//! Settings that are right one by one and make no sense together.

use crate::spec::codes;
use crate::spec::decode::Report;
use crate::spec::pipeline::action::Draft;
use crate::spec::pipeline::stage::StageDraft;
use crate::spec::pipeline::{Mode, OnStageFailure, Otherwise, Variable, Work};
use crate::spec::yaml::Mark;
use crate::time::Millis;

/// What the top of the file says.
pub(super) struct Pipeline {
    pub mode: Option<Mode>,
    pub timeout: Option<Millis>,
}

/// Names that stand for something else in references.
const RESERVED: [&str; 2] = ["variables", "run"];

pub(super) fn check(report: &mut Report, stages: &[StageDraft], pipeline: &Pipeline) {
    for stage in stages {
        timeouts(report, stage, pipeline.timeout);
        for draft in &stage.actions {
            action(report, draft);
        }
    }
    rollbacks(report, stages, pipeline.mode);
    let mut kinds = stages.iter().flat_map(|stage| &stage.actions).map(|draft| draft.kind);
    if let [only] = stages
        && !only.actions.is_empty()
        && kinds.all(|kind| kind == "source")
    {
        let message = "nothing happens after the sources";
        let help = "add a stage with a build, or with a deployment";
        report.error(only.at, codes::EMPTY_PIPELINE, message, help);
    }
}

/// `automatic` says whether runs start with nobody there to say a value.
pub(super) fn variables(
    report: &mut Report,
    variables: &[(Mark, String, Variable)],
    automatic: bool,
) {
    for (at, name, _) in variables.iter().filter(|(_, _, v)| automatic && v.default.is_none()) {
        let message = format!("`{name}` has no default, and a trigger has no value for it");
        let help = "give it a default; or write `triggers: []`, so that a person starts every run";
        report.warn(*at, codes::UNSET_VARIABLE, message, help);
    }
}

fn action(report: &mut Report, draft: &Draft) {
    let name = &draft.name;
    if RESERVED.contains(&name.as_str()) {
        let message = format!("no action can be named '{name}': `#{{{name}.…}}` is something else");
        report.error(draft.at(), codes::RESERVED_NAME, message, "choose another name");
    }
    let kind = draft.kind;
    if let ("approval", Some((at, _))) = (kind, draft.inputs.first()) {
        let message = format!("approval action '{name}' takes no inputs");
        report.error(*at, codes::IGNORED_KEY, message, "remove `inputs`");
    }
    if let (Some(Work::Deploy(deploy)), Some((at, other))) = (
        &draft.work,
        draft.inputs.iter().find(|(_, input)| {
            matches!(&draft.work, Some(Work::Deploy(deploy)) if *input != deploy.artifact)
        }),
    ) {
        let message = format!(
            "'{name}' deploys '{}'; its input '{other}' has no effect",
            deploy.artifact
        );
        report.error(*at, codes::IGNORED_KEY, message, "deploy one artifact per action");
    }
    if let ("approval", Some(at), true) = (kind, draft.retries_at, draft.retries > 0) {
        let message = "nobody is asked twice: `retries` has no effect on an approval";
        report.error(at, codes::IGNORED_KEY, message, "remove it");
    }
    if let (Some(Work::Approval(approval)), Some(time), Some(at)) =
        (&draft.work, draft.timeout, draft.timeout_at)
        && let Some(expires) = approval.timeout
    {
        let message =
            format!("the approval ends after {time}, and expires after {expires} as well");
        let help = "keep `approval.timeout`, and remove this one";
        report.warn(at, codes::CAPACITY_DOUBT, message, help);
    }
}

/// The stricter of two times rules, and somebody did not know.
fn timeouts(report: &mut Report, stage: &StageDraft, run: Option<Millis>) {
    let mut doubt = |at: Mark, what: &str, part: Millis, whole: &str, all: Millis| {
        let message = format!("{what} ({part}) is longer than {whole} has at all ({all})");
        let help = format!("lower it, or raise the timeout of {whole}");
        report.warn(at, codes::CAPACITY_DOUBT, message, help);
    };
    let own = stage.stage.timeout;
    if let (Some(part), Some(all), Some(at)) = (own, run, stage.timeout_at)
        && part > all
    {
        doubt(at, "this timeout", part, "the run", all);
    }
    let (whole, all) = match (own, run) {
        (Some(own), Some(run)) if run < own => ("the run", run),
        (Some(own), _) => ("its stage", own),
        (None, Some(run)) => ("the run", run),
        (None, None) => return,
    };
    for draft in &stage.actions {
        let expires = match &draft.work {
            Some(Work::Approval(approval)) => approval.timeout,
            _ => None,
        };
        if let (Some(part), Some(at)) = (draft.timeout, draft.timeout_at)
            && part > all
        {
            doubt(at, "this timeout", part, whole, all);
        } else if let Some(part) = expires.filter(|part| *part > all) {
            doubt(draft.at(), "the time for this approval", part, whole, all);
        }
    }
}

/// Going back needs a run before, of which there is no such thing in the first stage, nor where runs
/// go side by side.
fn rollbacks(report: &mut Report, stages: &[StageDraft], mode: Option<Mode>) {
    for (index, stage) in stages.iter().enumerate() {
        let failure =
            stage.failure_at.filter(|_| stage.stage.on_failure == OnStageFailure::Rollback);
        let success = stage.success_at.filter(|_| {
            let otherwise = stage.stage.success.as_ref().map(|success| success.otherwise);
            otherwise == Some(Otherwise::Rollback)
        });
        let why = if index == 0 {
            "a source has nothing to go back to"
        } else if mode == Some(Mode::Parallel) {
            "with `mode: parallel` no run is the one before"
        } else {
            continue;
        };
        for at in failure.into_iter().chain(success) {
            let message = format!("the stage cannot go back: {why}");
            report.error(at, codes::IGNORED_KEY, message, "write `fail`, or another mode");
        }
    }
}
