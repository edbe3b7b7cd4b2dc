//! Runs, told step by step.

use super::event::{BuildOutcome, DeploymentEnd};
use super::*;
use crate::command::{Command, Decision};
use crate::ids::{DeploymentId, RunId};
use crate::protocol::report::{ErrorCode, TaskError};
use crate::protocol::task::{Artifact, NamedArtifact};
use crate::spec::pipeline::{Freeze, Mode, Pipeline, SourceFrom};
use crate::spec::{Span, Window};
use crate::time::{Millis, Timestamp};
use std::collections::BTreeMap;
use trigger::{Push, concerns};

const SHOP: &str = r#"
version: 1
name: shop
stages:
  - name: source
    actions:
      - name: app
        source: {repository: shop, branch: main}
  - name: build
    actions:
      - name: compile
        build: {image: "debian:bookworm-slim"}
        outputs: [bundle]
  - name: release
    actions:
      - name: sign-off
        approval: {approvers: [ada], timeout: 1h}
      - name: production
        needs: [sign-off]
        deploy: {group: production, artifact: bundle}
"#;

fn shop() -> Pipeline {
    let parsed = crate::spec::pipeline::parse(SHOP);
    assert_eq!(parsed.problems, []);
    parsed.value.unwrap()
}

fn artifact(digit: char) -> Artifact {
    Artifact { digest: digit.to_string().repeat(64).parse().unwrap(), size: 1 }
}

struct Story {
    pipeline: Pipeline,
    state: State,
    facts: Facts,
    now: Timestamp,
}

impl Story {
    fn begin() -> (Story, Decision<State>) {
        let pipeline = shop();
        let state = State::new(&pipeline, Timestamp(0));
        let facts = Facts { build_agents: 1, ..Facts::default() };
        let mut story = Story { pipeline, state, facts, now: Timestamp(0) };
        let first = story.say(&Event::Tick);
        (story, first)
    }

    fn say(&mut self, event: &Event) -> Decision<State> {
        self.now = self.now + Millis(1000);
        let decision = decide(&self.pipeline, &self.state, &self.facts, event, self.now);
        self.state = decision.state.clone();
        decision
    }

    fn source_ready(&mut self) -> Decision<State> {
        let revision = SourceRevision {
            repository: "shop".into(),
            branch: "main".into(),
            commit: "4f2c91e0".into(),
            subject: "Fix the footer".into(),
            author: "Ada".into(),
        };
        let artifact = artifact('a');
        self.say(&Event::SourceReady { action: "app".into(), attempt: 1, revision, artifact })
    }

    fn built(&mut self, attempt: u32) -> Decision<State> {
        let bundle = NamedArtifact { name: "bundle".into(), artifact: artifact('b') };
        let outcome =
            BuildOutcome::Succeeded { artifacts: vec![bundle], exported: BTreeMap::new() };
        self.say(&Event::BuildFinished { action: "compile".into(), attempt, outcome })
    }

    fn decided(&mut self, approved: bool) -> Decision<State> {
        let (action, by) = ("sign-off".to_owned(), "ada".to_owned());
        self.say(&Event::Decided { action, by, approved, comment: "looks off".into() })
    }
}

#[test]
fn a_run_goes_from_source_to_build_to_approval_to_deployment() {
    let (mut story, first) = Story::begin();
    assert_eq!(first.commands, [Command::FetchSource { action: "app".into(), attempt: 1 }]);
    let build = story.source_ready();
    assert_eq!(build.commands, [Command::StartBuild { action: "compile".into(), attempt: 1 }]);
    assert_eq!(story.state.revision(&story.pipeline).unwrap().label(), "4f2c91e Fix the footer");
    let asked = story.built(1);
    assert!(asked.waiting[0].person && asked.waiting[0].whom == "user:ada", "{:?}", asked.waiting);
    let deploy = story.decided(true);
    assert_eq!(
        deploy.commands,
        [Command::StartDeployment {
            action: "production".into(),
            attempt: 1,
            group: "production".into(),
            bundle: artifact('b'),
        }]
    );
    let (action, attempt) = ("production".to_owned(), 1);
    let deployment = DeploymentId(3);
    story.say(&Event::DeploymentCreated { action: action.clone(), attempt, deployment });
    let end = DeploymentEnd::Succeeded;
    let over =
        story.say(&Event::DeploymentFinished { action, attempt, end, message: String::new() });
    assert_eq!(story.state.phase, Phase::Succeeded);
    assert_eq!(over.commands, [Command::Finished]);
}

#[test]
fn repeated_and_late_words_change_nothing() {
    let (mut story, _) = Story::begin();
    story.source_ready();
    let before = story.state.clone();
    assert_eq!(story.source_ready().commands, []);
    story.built(7);
    assert_eq!(story.state, before);
}

#[test]
fn a_failed_build_fails_the_run_with_its_cause_and_skips_the_rest() {
    let (mut story, _) = Story::begin();
    story.source_ready();
    let error = TaskError {
        code: ErrorCode::CommandFailed,
        message: "exit code 2".into(),
        step: Some("BUILD".into()),
        command: Some("make".into()),
        touched: true,
    };
    let outcome = BuildOutcome::Failed(error);
    story.say(&Event::BuildFinished { action: "compile".into(), attempt: 1, outcome });
    assert_eq!(story.state.phase, Phase::Failed);
    assert_eq!(story.state.cause.as_deref(), Some("compile: BUILD: make: exit code 2"));
    assert_eq!(story.state.actions["production"].state, ActionState::Skipped);
}

#[test]
fn a_lost_build_is_done_again_once_as_a_new_attempt() {
    let (mut story, _) = Story::begin();
    story.source_ready();
    let lost = |attempt| Event::BuildLost {
        action: "compile".into(),
        attempt,
        message: "agent builder fell silent".into(),
    };
    let again = story.say(&lost(1));
    assert_eq!(again.commands, [Command::StartBuild { action: "compile".into(), attempt: 2 }]);
    story.say(&lost(2));
    assert_eq!(story.state.phase, Phase::Failed);
}

#[test]
fn a_rejection_ends_the_run_with_its_reason_and_a_late_approval_is_too_late() {
    let (mut story, _) = Story::begin();
    story.source_ready();
    story.built(1);
    story.decided(false);
    assert_eq!(story.state.phase, Phase::Failed);
    assert_eq!(story.state.cause.as_deref(), Some("sign-off: rejected by ada: looks off"));
    assert_eq!(story.decided(true).commands, []);
}

#[test]
fn an_approval_nobody_gives_ends_in_time() {
    let (mut story, _) = Story::begin();
    story.source_ready();
    let asked = story.built(1);
    let until = asked.waiting[0].until.unwrap();
    assert!(asked.commands.contains(&Command::WakeAt { at: until }));
    story.now = until;
    story.say(&Event::Tick);
    assert_eq!(story.state.phase, Phase::Failed);
    assert!(story.state.cause.as_ref().unwrap().contains("nobody decided"));
}

#[test]
fn a_newer_run_supersedes_one_that_waits_for_the_same_stage() {
    let (mut story, _) = Story::begin();
    story.facts.stage_held_by = Some(RunId(4));
    let waits = story.source_ready();
    assert!(waits.waiting[0].what.contains("stage build is taken by r-4"), "{:?}", waits.waiting);
    story.facts.newer_waiting = Some(RunId(9));
    story.say(&Event::Tick);
    assert_eq!(story.state.phase, Phase::Superseded);
    assert_eq!(story.state.cause.as_deref(), Some("superseded by r-9"));
}

/// Everything but the source stands still until 1970-01-02.
fn freeze(story: &mut Story, stages: &[&str]) {
    let span = Span::Dates { from: "1970-01-01".into(), to: "1970-01-01".into() };
    let window = Window { span, zone: "UTC".into(), reason: Some("Holidays".into()) };
    let stages = stages.iter().map(|stage| (*stage).to_owned()).collect();
    story.pipeline.freeze = vec![Freeze { window, stages }];
}

#[test]
fn a_freeze_keeps_a_run_from_its_next_stage_until_it_ends() {
    let (mut story, _) = Story::begin();
    freeze(&mut story, &[]);
    let waits = story.source_ready();
    let ends = Timestamp(86_400_000);
    assert_eq!(waits.commands, [Command::WakeAt { at: ends }]);
    assert!(waits.waiting[0].what.starts_with("stage build does not start now: a freeze from"));
    assert_eq!(
        (waits.waiting[0].whom.as_str(), waits.waiting[0].until),
        ("the calendar", Some(ends))
    );
    story.facts.newer_waiting = Some(RunId(9));
    let mut overtaken = story.state.clone();
    std::mem::swap(&mut overtaken, &mut story.state);
    story.say(&Event::Tick);
    assert_eq!(story.state.phase, Phase::Superseded, "it waits between stages like any other");
    (story.state, story.facts.newer_waiting) = (overtaken, None);
    story.now = ends;
    assert_eq!(story.say(&Event::Tick).commands.len(), 1);
}

#[test]
fn a_freeze_may_be_for_some_stages_and_be_overridden() {
    let (mut story, _) = Story::begin();
    freeze(&mut story, &["release"]);
    let early = Event::Override { by: "ada".into(), reason: "early".into() };
    assert!(story.source_ready().waiting[0].what.starts_with("compile"), "build is not frozen");
    story.say(&early);
    assert_eq!(story.state.overridden, None, "there was nothing to override");
    let waits = story.built(1);
    assert!(waits.waiting[0].what.starts_with("stage release does not start now"));
    let through = story.say(&Event::Override { by: "ada".into(), reason: "an outage".into() });
    assert!(through.waiting[0].what.contains("sign-off"), "{:?}", through.waiting);
    assert_eq!(story.state.overridden.unwrap().reason, "an outage");
}

#[test]
fn a_queued_pipeline_waits_for_the_run_before() {
    let (mut story, _) = Story::begin();
    story.pipeline.mode = Mode::Queued;
    story.facts.behind = Some(RunId(2));
    let waits = story.source_ready();
    assert_eq!(waits.commands, []);
    story.facts.behind = None;
    assert_eq!(story.say(&Event::Tick).commands.len(), 1);
}

#[test]
fn stopping_lets_running_work_end_and_abandoning_cancels_it() {
    let stop = |abandon| Event::Stop { by: "ada".into(), reason: "freeze".into(), abandon };
    let (mut story, _) = Story::begin();
    story.source_ready();
    assert_eq!(story.say(&stop(false)).commands, []);
    assert_eq!(story.state.phase, Phase::Stopping);
    let cancel = story.say(&stop(true));
    assert_eq!(cancel.commands, [Command::CancelBuild { action: "compile".into(), attempt: 1 }]);
    let outcome = BuildOutcome::Cancelled;
    story.say(&Event::BuildFinished { action: "compile".into(), attempt: 1, outcome });
    assert_eq!(story.state.phase, Phase::Stopped);
    assert_eq!(story.state.cause.as_deref(), Some("stopped by ada: freeze"));
}

#[test]
fn a_rolled_back_deployment_is_its_own_kind_of_end() {
    let (mut story, _) = Story::begin();
    story.source_ready();
    story.built(1);
    story.decided(true);
    let (action, attempt, end) = ("production".into(), 1, DeploymentEnd::RolledBack);
    let message = "d-3 to production was rolled back".into();
    story.say(&Event::DeploymentFinished { action, attempt, end, message });
    assert_eq!(story.state.phase, Phase::RolledBack);
}

#[test]
fn a_push_concerns_the_pipelines_that_ask_for_its_branch_and_paths() {
    let mut pipeline = shop();
    let push = |reference: &str, changed: Option<&[&str]>| Push {
        from: SourceFrom::Repository("shop".into()),
        reference: reference.into(),
        commit: "c".repeat(40),
        changed: changed.map(|paths| paths.iter().map(|path| (*path).to_owned()).collect()),
    };
    assert!(concerns(&pipeline, &push("refs/heads/main", None)).is_some());
    assert!(concerns(&pipeline, &push("refs/heads/other", None)).is_none());
    assert!(concerns(&pipeline, &push("refs/tags/v1", None)).is_none());
    let other = Push { from: SourceFrom::Repository("x".into()), ..push("refs/heads/main", None) };
    assert!(concerns(&pipeline, &other).is_none());
    let with = SHOP.replace(
        "name: shop\n",
        "name: shop\ntriggers:\n  - push: {branches: [\"release/*\"], paths: [\"**\", \"!docs/**\"]}\n",
    );
    pipeline = crate::spec::pipeline::parse(&with).value.unwrap();
    let release = "refs/heads/release/1";
    assert!(concerns(&pipeline, &push(release, Some(&["docs/a.md", "src/b.rs"]))).is_some());
    assert!(concerns(&pipeline, &push(release, Some(&["docs/a.md"]))).is_none());
    assert!(concerns(&pipeline, &push("refs/heads/main", None)).is_none());
}
