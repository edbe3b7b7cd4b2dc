//! Keys that are read and checked but that this server does not act on yet. A safeguard somebody
//! relies on is refused; what would only never happen is a warning.

use super::read::File;
use pipelines::spec::group::{Group, HooksPolicy};
use pipelines::spec::pipeline::{Pipeline, Trigger, Work};

const CODE: &str = "not-available";

pub fn pipeline(file: &mut File, pipeline: &Pipeline) {
    let conditions = pipeline.stages.iter().any(|stage| {
        stage.entry.is_some()
            || stage.success.is_some()
            || stage.actions.iter().any(|action| action.entry.is_some())
    });
    let safeguards = [
        ("freeze", !pipeline.freeze.is_empty()),
        ("entry", conditions),
        ("timeout", pipeline.timeout.is_some()),
    ];
    for (key, _) in safeguards.into_iter().filter(|(_, used)| *used) {
        refuse(file, key, "no run would be held back by it");
    }
    let trigger = |wanted: fn(&Trigger) -> bool| pipeline.triggers.iter().any(wanted);
    if trigger(|trigger| matches!(trigger, Trigger::PullRequest { .. })) {
        file.warn(("pull-request", ""), CODE, "pull requests start no runs yet", "");
    }
    if trigger(|trigger| matches!(trigger, Trigger::Schedule { .. })) {
        file.warn(("schedule", ""), CODE, "schedules start no runs yet", "");
    }
    for action in pipeline.stages.iter().flat_map(|stage| &stage.actions) {
        let Work::Approval(approval) = &action.work else { continue };
        if approval.quorum > 1 {
            refuse(file, "quorum", "one person's word would be enough");
        }
        if !approval.approvers.is_empty() {
            let message = "approvers are not checked yet: every operator may answer";
            file.warn(("approvers", ""), CODE, message, "give the role operator to those few");
        }
    }
}

pub fn group(file: &mut File, group: &Group) {
    let safeguards = [
        ("router", group.router.is_some(), "traffic would not be moved"),
        ("windows", !group.windows.is_empty(), "deployments would start at any time"),
        ("freeze", !group.freeze.is_empty(), "deployments would start at any time"),
        ("monitors", !group.monitors.is_empty(), "no deployment would be stopped by them"),
        ("analysis", group.analysis.is_some(), "no deployment would be stopped by it"),
        ("shared", !group.shared.is_empty(), "a deployment could replace what is there"),
        ("instances", group.instances.is_some(), "no host would be made"),
        (
            "irreversible",
            !group.hooks.irreversible.is_empty(),
            "the group would go back by itself all the same",
        ),
    ];
    for (key, _, what) in safeguards.into_iter().filter(|(_, used, _)| *used) {
        refuse(file, key, what);
    }
    if !group.max_failures.is_none() {
        let message = "one failed host ends a deployment, whatever max-failures says";
        file.warn(("max-failures", ""), CODE, message, "");
    }
    if group.keep_releases.bytes.is_some() {
        file.warn(("bytes", ""), CODE, "kept releases are counted, not measured yet", "");
    }
    if group.hooks != HooksPolicy::default() && group.hooks.irreversible.is_empty() {
        file.warn(("hooks", ""), CODE, "the policy for hooks has no effect yet", "");
    }
}

fn refuse(file: &mut File, key: &str, what: &str) {
    let message = format!("`{key}` is not available yet: {what}");
    file.refuse((key, ""), CODE, message, "take it out until it is".to_owned());
}
