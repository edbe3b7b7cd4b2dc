//! Keys that are read and checked but that this server does not act on yet. A safeguard somebody
//! relies on is refused; what would only never happen is a warning.

use super::read::File;
use pipelines::spec::group::{Balancer, Group, Strategy};
use pipelines::spec::pipeline::{Build, OnStageFailure, Pipeline, Trigger, Work};

const CODE: &str = "not-available";

pub fn pipeline(file: &mut File, pipeline: &Pipeline) {
    let stages = &pipeline.stages;
    let actions = || stages.iter().flat_map(|stage| &stage.actions);
    let builds = |wanted: fn(&Build) -> bool| {
        actions().any(|action| matches!(&action.work, Work::Build(build) if wanted(build)))
    };
    let entry = stages.iter().any(|stage| stage.entry.is_some())
        || actions().any(|action| action.entry.is_some());
    let timeout = pipeline.timeout.is_some()
        || stages.iter().any(|stage| stage.timeout.is_some())
        || actions().any(|action| action.timeout.is_some() && !is_build(&action.work));
    let held = "no run would be held back by it";
    let safeguards = [
        ("entry", entry, held),
        ("success", stages.iter().any(|stage| stage.success.is_some()), held),
        ("timeout", timeout, "only builds end after theirs"),
        ("agent", builds(|build| !build.agent.is_empty()), "any build agent would take the build"),
        ("batch", builds(|build| build.batch), "the build would run as a single one"),
    ];
    for (key, _, what) in safeguards.into_iter().filter(|(_, used, _)| *used) {
        refuse(file, key, what);
    }
    let references = actions().flat_map(|action| texts(&action.work));
    if let Some((key, text)) = references.into_iter().find(|(_, text)| text.contains("#{")) {
        let message = format!("`{text}` would be passed on as it stands: references are to come");
        let help =
            "write the value itself; builds have the pipeline's variables in their environment";
        file.refuse((key, text), CODE, message, help.to_owned());
    }
    let without_effect = [
        ("on-failure", stages.iter().any(|s| s.on_failure != OnStageFailure::Fail)),
        ("retries", actions().any(|action| action.retries > 0)),
        ("privileged", builds(|build| build.privileged)),
        ("submodules", actions().any(|a| matches!(&a.work, Work::Source(s) if s.submodules))),
        ("remind", actions().any(|a| matches!(&a.work, Work::Approval(a) if a.remind.is_some()))),
    ];
    for (key, _) in without_effect.into_iter().filter(|(_, used)| *used) {
        file.warn((key, ""), CODE, &format!("`{key}` has no effect yet"), "");
    }
    triggers(file, pipeline);
    for action in actions() {
        approval(file, &action.work);
    }
}

fn triggers(file: &mut File, pipeline: &Pipeline) {
    let trigger = |wanted: fn(&Trigger) -> bool| pipeline.triggers.iter().any(wanted);
    if trigger(|trigger| matches!(trigger, Trigger::PullRequest { .. })) {
        file.warn(("pull-request", ""), CODE, "pull requests start no runs yet", "");
    }
    if trigger(|trigger| matches!(trigger, Trigger::Schedule { .. })) {
        file.warn(("schedule", ""), CODE, "schedules start no runs yet", "");
    }
}

fn approval(file: &mut File, work: &Work) {
    let Work::Approval(approval) = work else { return };
    if approval.quorum > 1 {
        refuse(file, "quorum", "one person's word would be enough");
    }
    if !approval.approvers.is_empty() {
        let message = "approvers are not checked yet: every operator may answer";
        file.warn(("approvers", ""), CODE, message, "give the role operator to those few");
    }
}

fn is_build(work: &Work) -> bool {
    matches!(work, Work::Build(_))
}

/// The keys under which references may stand, with their texts. What an invocation says is not looked
/// at: it is refused as a whole.
fn texts(work: &Work) -> Vec<(&str, &str)> {
    match work {
        Work::Source(source) => vec![("branch", &source.branch)],
        Work::Build(build) => {
            let env = build.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            env.chain([("image", build.image.as_str())]).collect()
        }
        Work::Approval(approval) => {
            approval.comment.iter().map(|text| ("comment", text.as_str())).collect()
        }
        Work::Deploy(_) | Work::Invoke(_) => Vec::new(),
    }
}

pub fn group(file: &mut File, group: &Group) {
    let Some(router) = group.router.as_ref().filter(|router| !router.cohorts.is_empty()) else {
        return;
    };
    if matches!(router.balancer, Balancer::Nginx { .. }) {
        let what = "nginx's maps do not change while it runs, so only HAProxy tells cohorts apart";
        refuse(file, "cohorts", what);
    } else if matches!(group.strategy, Strategy::BlueGreen { .. }) {
        let what =
            "before the switch the idle set gets no requests at all; canary and linear have them";
        refuse(file, "cohorts", what);
    }
}

fn refuse(file: &mut File, key: &str, what: &str) {
    let message = format!("`{key}` is not available yet: {what}");
    file.refuse((key, ""), CODE, message, "take it out until it is".to_owned());
}

#[cfg(test)]
mod tests {
    use super::super::read::File;
    use super::super::{check, not_yet};
    use crate::tests::sample;
    use pipelines::spec::Severity;

    /// `E timeout` and so on: the key each new problem is about, as its message has it.
    #[track_caller]
    fn found(path: &str, text: String) -> Vec<(Severity, String)> {
        let mut files = [File::read(path.to_owned(), text)];
        assert!(!files[0].is_refused(), "{:?}", files[0].problems);
        check::across(&mut files, &["production".to_owned()]);
        let ours = files[0].problems.iter().filter(|problem| problem.code == not_yet::CODE);
        ours.map(|problem| (problem.severity, problem.message.clone())).collect()
    }

    #[test]
    fn what_a_pipeline_says_in_vain_is_said_back() {
        assert_eq!(found("pipeline.yml", sample::PIPELINE.to_owned()), []);
        let frozen =
            format!("{}freeze: [{{from: 2026-12-20, to: 2027-01-03}}]\n", sample::PIPELINE);
        assert_eq!(found("pipeline.yml", frozen), []);
        let end = |rest: &str| format!("{}\n{rest}\n", sample::PIPELINE.trim_end());
        let stage = |keys: &str, action: &str| {
            end(&format!("  - {{name: extra, {keys} actions: [{{name: extra, {action}}}]}}"))
        };
        let build = "build: {image: i}, inputs: [bundle]";
        let refused = [
            stage("timeout: 1h,", build),
            stage("success: {require: [http: 'x']},", build).replace("'x'", "{url: 'https://x/'}"),
            stage("", "build: {image: i, agent: [large]}, inputs: [bundle]"),
            stage("", "build: {image: i, batch: true}, inputs: [bundle]"),
            stage("", "build: {image: i, env: {A: '#{run.id}'}}, inputs: [bundle]"),
            stage("", "approval: {comment: 'Run #{run.id}?'}"),
        ];
        for text in refused {
            let found = found("pipeline.yml", text.clone());
            assert!(matches!(found.as_slice(), [(Severity::Error, _)]), "{text}\n{found:?}");
        }
        let warned = [
            stage("on-failure: retry,", build),
            stage("", &format!("{build}, retries: 1")),
            stage("", "build: {image: i, privileged: true}, inputs: [bundle]"),
            stage("", "approval: {remind: 1h}"),
        ];
        for text in warned {
            let found = found("pipeline.yml", text.clone());
            assert!(matches!(found.as_slice(), [(Severity::Warning, _)]), "{text}\n{found:?}");
        }
    }

    #[test]
    fn what_a_group_says_in_vain_is_said_back() {
        assert_eq!(found("group.yml", sample::GROUP.to_owned()), []);
        let group = |rest: &str| format!("{}\n{rest}\n", sample::GROUP.trim_end());
        let canary = "{canary: {steps: [{weight: 10, hold: 5m, approve: true}]}}";
        let asking = sample::GROUP.replace("{rolling: {batch: 2}}", canary);
        assert_eq!(found("group.yml", asking), []);
        for rest in [
            "monitors: [{name: page, http: 'http://shop/'}]",
            "newer: reject",
            "windows: [{days: [mon-thu], from: '09:00', to: '16:00', zone: Europe/Berlin}]",
            "freeze: [{from: 2026-12-20, to: 2027-01-03}]",
            "zones: {tag: az, one-at-a-time: true}",
            "hooks: {irreversible: [AfterInstall]}",
            "offline: skip",
            "max-failures: 10%",
            "keep-releases: {count: 3, bytes: 1GB}",
        ] {
            assert_eq!(found("group.yml", group(rest)), [], "{rest}");
        }
        let cohorts = |strategy: &str, balancer: &str| {
            let text = sample::GROUP.replace("{rolling: {batch: 2}}", strategy);
            format!(
                "{}\nrouter: {{{balancer}, cohorts: [{{header: X-Canary, value: a}}]}}\n",
                text.trim_end()
            )
        };
        let haproxy = "haproxy: {agent: lb, backend: shop, next-backend: next, map: /shop.map}";
        let nginx = "nginx: {agent: lb, upstream: shop, next-upstream: next, map: /shop.map}";
        let sets = "{blue-green: {blue: {tags: {set: blue}}, green: {tags: {set: green}}}}";
        assert_eq!(found("group.yml", cohorts(canary, haproxy)), []);
        for text in [cohorts(canary, nginx), cohorts(sets, haproxy)] {
            let found = found("group.yml", text);
            assert!(matches!(found.as_slice(), [(Severity::Error, _)]), "{found:?}");
        }
    }
}
