//! One pipeline, one group, and rows as the store would return them.

use pipelines::command::Waiting;
use pipelines::deploy::strategy::{Fleet, Member, Order, compile};
use pipelines::deploy::{App, Lane, Phase, Stage, State, Step, Work};
use pipelines::ids::{AgentId, DeploymentId};
use pipelines::protocol::report::{ErrorCode, TaskError};
use pipelines::protocol::task::{Artifact, Purpose, Revision};
use pipelines::run::trigger::{PushedCommit, Trigger, TriggerKind};
use pipelines::run::{self, ActionState, SourceRevision};
use pipelines::spec::pipeline::SourceFrom;
use pipelines::spec::{group, pipeline};
use pipelines::time::{Millis, Timestamp};
use std::collections::BTreeMap;
use store::{Json, deployments, runs};

pub const PIPELINE: &str = "version: 1
name: shop
variables:
  LOG_LEVEL: {default: info}
stages:
  - name: source
    actions:
      - name: app
        source: {repository: shop, branch: main}
  - name: build
    actions:
      - name: compile
        build: {image: debian, buildspec: buildspec.yml}
        inputs: [app]
        outputs: [bundle]
  - name: release
    actions:
      - name: sign-off
        approval: {timeout: 7d}
      - name: production
        needs: [sign-off]
        deploy: {group: production, artifact: bundle}
";

pub const GROUP: &str = "version: 1
group: production
application: shop
hosts: {tags: {role: web}}
strategy: {rolling: {batch: 2}}
";

/// When everything in the samples happens.
pub const NOW: Timestamp = Timestamp(1_777_889_472_000);

pub fn revision(digit: char, label: &str) -> Revision {
    Revision {
        bundle: Artifact { digest: digit.to_string().repeat(64).parse().unwrap(), size: 1024 },
        commit: None,
        label: label.to_owned(),
    }
}

pub fn task_error(step: &str, message: &str) -> TaskError {
    TaskError {
        code: ErrorCode::ScriptFailed,
        message: message.to_owned(),
        step: Some(step.to_owned()),
        command: Some("validate.sh".to_owned()),
        touched: true,
    }
}

/// A rolling deployment to three hosts: the first is done, two are at work.
pub fn deployment() -> deployments::Row {
    let group = group::parse(GROUP).into_result().unwrap().0;
    let members: Vec<Member> = (1..=3)
        .map(|number| Member {
            id: AgentId(number),
            name: format!("host-{number}"),
            tags: std::collections::BTreeMap::new(),
            alive: true,
            serving: Some(revision('a', "a11ce00 First")),
            good: Some(revision('a', "a11ce00 First")),
            lane: Lane::Direct,
            weight: None,
            answers: false,
            instance: false,
        })
        .collect();
    let revision = revision('b', "4f2c91e Fix");
    let order = Order {
        deployment: DeploymentId(3),
        revision: revision.clone(),
        purpose: Purpose::Forward,
    };
    let fleet = Fleet { members, ..Fleet::default() };
    let plan = compile(&group, &fleet, order).unwrap();
    let mut state = State::new(&plan, NOW - Millis::from_secs(60));
    (state.phase, state.step) = (Phase::Running, 1);
    state.started_at = Some(NOW - Millis::from_secs(50));
    for (id, host) in &mut state.hosts {
        (host.attempt, host.touched) = (1, true);
        if id.0 == 1 {
            host.app = App::New;
        } else {
            let (since, purpose) = (NOW - Millis::from_secs(12), Purpose::Forward);
            host.work = Some(Work { stage: Stage::Updating, purpose, since, cancelling: false });
        }
    }
    deployments::Row {
        id: 3,
        group_id: 1,
        group_name: "production".to_owned(),
        run_id: Some(14),
        action: Some("production".to_owned()),
        attempt: Some(1),
        purpose: "forward".to_owned(),
        revision: Json(revision),
        plan: Some(Json(plan)),
        status: state.phase.as_str().to_owned(),
        state: Some(Json(state)),
        waiting: Json(vec![waiting("host-2 is running its update", false)]),
        version: 1,
        stuck: None,
        surveyed_at: None,
        created_by: "ada".to_owned(),
        created_at: NOW.0 - 60_000,
        finished_at: None,
    }
}

/// A canary deployment to three hosts that waits for somebody after its first step.
pub fn waiting_for_approval() -> deployments::Row {
    let mut row = deployment();
    let canary =
        "{canary: {steps: [{weight: 10, hosts: 1, approve: true}, {weight: 50, hold: 5m}]}}";
    let group = GROUP.replace("{rolling: {batch: 2}}", canary);
    let group = group::parse(&group).into_result().unwrap().0;
    let before = row.plan.as_ref().unwrap().0.clone();
    let members = before.hosts.iter().map(|planned| Member {
        id: planned.id,
        name: planned.name.clone(),
        tags: BTreeMap::new(),
        alive: true,
        serving: planned.prior.clone(),
        good: planned.prior.clone(),
        lane: Lane::Direct,
        weight: None,
        answers: false,
        instance: false,
    });
    let fleet = Fleet { members: members.collect(), ..Fleet::default() };
    let order = Order {
        deployment: before.deployment,
        revision: before.revision.clone(),
        purpose: Purpose::Forward,
    };
    let plan = compile(&group, &fleet, order).unwrap();
    let mut state = State::new(&plan, NOW - Millis::from_secs(60));
    let asks = plan.steps.iter().position(|step| matches!(step, Step::Approve { .. })).unwrap();
    (state.phase, state.step, state.generation) = (Phase::Running, asks, 1);
    (state.started_at, state.step_since) = (Some(NOW), NOW);
    for step in &plan.steps[..asks] {
        for id in step.hosts() {
            let host = state.hosts.get_mut(id).unwrap();
            (host.app, host.attempt, host.touched) = (App::New, 1, true);
        }
    }
    row.waiting.0 = vec![waiting("an approval to go on", true)];
    (row.plan, row.state) = (Some(Json(plan)), Some(Json(state)));
    row
}

pub fn waiting(what: &str, person: bool) -> Waiting {
    let since = NOW - Millis::from_secs(12);
    Waiting { what: what.to_owned(), whom: "host-2".to_owned(), since, until: None, person }
}

/// A run whose source is fetched and whose build is at work.
pub fn run() -> runs::Row {
    let spec = pipeline::parse(PIPELINE).into_result().unwrap().0;
    let mut state = run::State::new(&spec, NOW - Millis::from_secs(90));
    (state.stage, state.entered) = (1, true);
    let app = state.actions.get_mut("app").unwrap();
    app.state = ActionState::Succeeded;
    app.started_at = Some(NOW - Millis::from_secs(90));
    app.finished_at = Some(NOW - Millis::from_secs(89));
    app.revision = Some(SourceRevision {
        repository: "shop".to_owned(),
        branch: "main".to_owned(),
        commit: "4f2c91e0".repeat(5),
        subject: "Fix".to_owned(),
        author: "ada".to_owned(),
    });
    let compile = state.actions.get_mut("compile").unwrap();
    (compile.state, compile.attempt) = (ActionState::Working, 1);
    compile.started_at = Some(NOW - Millis::from_secs(80));
    let push = PushedCommit {
        from: SourceFrom::Repository("shop".to_owned()),
        branch: "main".to_owned(),
        commit: "4f2c91e0".repeat(5),
    };
    let trigger = Trigger {
        kind: TriggerKind::Push,
        by: "ada".to_owned(),
        push: Some(push),
        variables: BTreeMap::new(),
    };
    runs::Row {
        id: 14,
        pipeline_id: 1,
        pipeline: "shop".to_owned(),
        number: 14,
        spec: Json(spec),
        trigger: Json(trigger),
        status: "running".to_owned(),
        state: Json(state),
        waiting: Json(vec![waiting("compile runs on builder-1", false)]),
        label: "4f2c91e Fix".to_owned(),
        version: 3,
        stuck: None,
        created_at: NOW.0 - 90_000,
        finished_at: None,
    }
}

pub fn deploy_work() -> pipelines::protocol::task::Deploy {
    pipelines::protocol::task::Deploy {
        deployment: DeploymentId(3),
        group: "production".to_owned(),
        application: "shop".to_owned(),
        revision: revision('b', "4f2c91e Fix"),
        purpose: Purpose::Forward,
        ignore_stop_failures: false,
        file_exists_behavior: None,
        keep_releases: 5,
        keep_bytes: None,
        hooks: pipelines::spec::group::HooksPolicy::default(),
        shared: Vec::new(),
        shared_directories: Vec::new(),
        parts: pipelines::protocol::task::Part::WITHOUT_ROUTER.to_vec(),
        health: None,
        pinned: Vec::new(),
    }
}

pub fn person(role: store::users::Role) -> crate::auth::Person {
    let user = store::users::User { id: 1, name: "ada".to_owned(), role };
    let via = crate::auth::person::Via::Session { secret: "s".to_owned(), csrf: "c".repeat(32) };
    crate::auth::Person { user, via }
}
