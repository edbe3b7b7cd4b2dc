//! A database with something of everything, for the tests of pages and for looking at them.

use super::sample::{self, NOW};
use super::server::Server;
use pipelines::deploy::{self, App, Cause, Phase};
use pipelines::ids::{AgentId, DeploymentId, RunId};
use pipelines::protocol::join::{JoinRequest, Role as AgentRole};
use pipelines::protocol::report::{Command, ErrorCode, Outcome, Step, StepStatus, TaskError};
use pipelines::protocol::task::{Purpose, Work};
use pipelines::run::{self, ActionState};
use pipelines::time::{Millis, Timestamp};
use store::history::Of;
use store::{PgConnection, agents, deployments, groups, history, runs, tasks};

/// What the pages are to show, whoever wrote it.
pub const HOSTILE: &str = "<script>alert(1)</script>";

pub async fn fill(server: &Server) {
    let mut conn = server.app.pool.acquire().await.unwrap();
    let conn = &mut *conn;
    let pipeline = pipelines::spec::pipeline::parse(sample::PIPELINE).value.unwrap();
    store::pipelines::put(conn, sample::PIPELINE, &pipeline).await.unwrap();
    let group = pipelines::spec::group::parse(sample::GROUP).value.unwrap();
    groups::put(conn, sample::GROUP, &group).await.unwrap();
    for name in ["host-1", "host-2", "host-3"] {
        join(conn, name, AgentRole::Deploy).await;
    }
    join(conn, "builder-1", AgentRole::Build).await;
    let now = store::clock::now(conn).await.unwrap();
    run_that_failed(server, conn, now).await;
    run_that_asks(conn, now).await;
    run_that_builds(server, conn, now).await;
    deployment_that_succeeded(conn, now).await;
    deployment_that_was_rolled_back(conn, now).await;
    deployment_at_work(conn, now).await;
}

pub async fn join(conn: &mut PgConnection, name: &str, role: AgentRole) {
    let tags = [("role".to_owned(), "web".to_owned())].into();
    let minute = Millis::from_secs(60);
    let (id, secret) =
        agents::create_join_token(conn, role, &tags, 1, minute, "ada").await.unwrap();
    let request = JoinRequest {
        protocol: 1,
        token: id,
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        tags: Default::default(),
        idempotency: name.to_owned(),
    };
    agents::join(conn, &secret, &request, "10.0.0.1").await.unwrap();
}

/// Moves the sample's instants to `now`.
fn at(now: Timestamp, instant: Timestamp) -> Timestamp {
    now - NOW.since(instant)
}

async fn put_run(conn: &mut PgConnection, row: &runs::Row) -> RunId {
    let id = runs::create(conn, 1, &row.trigger, &row.label).await.unwrap();
    let save = runs::Save {
        state: &row.state,
        waiting: &row.waiting,
        label: &row.label,
        wake_at: None,
        version: 0,
    };
    assert!(runs::save(conn, id, &save).await.unwrap());
    id
}

fn run_at(now: Timestamp) -> runs::Row {
    let mut row = sample::run();
    row.state.created_at = at(now, row.state.created_at);
    for action in row.state.actions.values_mut() {
        action.started_at = action.started_at.map(|instant| at(now, instant));
        action.finished_at = action.finished_at.map(|instant| at(now, instant));
    }
    for waiting in &mut row.waiting.0 {
        waiting.since = at(now, waiting.since);
    }
    row
}

fn phase(name: &str, status: StepStatus, secs: u64, log_offset: u64) -> Step {
    Step {
        name: name.to_owned(),
        status,
        started: Millis::ZERO,
        took: (status != StepStatus::Running).then(|| Millis::from_secs(secs)),
        log_offset,
        commands: vec![Command {
            text: "make".to_owned(),
            exit_code: Some(2),
            took: None,
            log_offset,
        }],
        message: None,
    }
}

async fn build(
    server: &Server,
    conn: &mut PgConnection,
    run: RunId,
    log: &str,
    outcome: Option<Outcome>,
) {
    let work = Work::Deploy(sample::deploy_work());
    let timeout = Millis::from_minutes(60);
    let new = tasks::New { work: &work, needs: Vec::new(), generation: 0, epoch: 1, timeout };
    tasks::queue_build(conn, run, "compile", 1, &new).await.unwrap();
    let agents = agents::list(conn, Millis::from_secs(30)).await.unwrap();
    let builder = agents.iter().find(|agent| agent.role == "build").unwrap().id();
    tasks::claim_builds(conn, builder, 1).await.unwrap();
    let key = tasks::of_run(conn, run).await.unwrap()[0].key();
    server.app.logs.append(key, 0, log.as_bytes()).await.unwrap();
    if let Some(outcome) = outcome {
        tasks::finish(conn, builder, key, &outcome, log.len() as u64).await.unwrap();
    }
}

async fn run_that_failed(server: &Server, conn: &mut PgConnection, now: Timestamp) {
    let mut row = run_at(now);
    let state = &mut row.state.0;
    let message = format!("BUILD: make: exited with 2 {HOSTILE}");
    let compile = state.actions.get_mut("compile").unwrap();
    compile.state = ActionState::Failed { message: message.clone() };
    compile.finished_at = Some(now);
    for name in ["sign-off", "production"] {
        state.actions.get_mut(name).unwrap().state = ActionState::Skipped;
    }
    state.phase = run::Phase::Failed;
    state.finished_at = Some(now);
    state.cause = Some(format!("compile: {message}"));
    row.label = format!("0badc0d {HOSTILE}");
    row.waiting.0.clear();
    let id = put_run(conn, &row).await;
    let error = TaskError {
        code: ErrorCode::CommandFailed,
        message: "make: exited with 2".to_owned(),
        step: Some("BUILD".to_owned()),
        command: Some("make".to_owned()),
        touched: false,
    };
    let steps = vec![
        phase("INSTALL", StepStatus::Succeeded, 3, 0),
        phase("BUILD", StepStatus::Failed, 40, 24),
    ];
    let log = format!(
        "$ apt-get install make\n$ make\n\x1b[1mcc -c shop.c\x1b[0m\n\x1b[31mshop.c:3: error: {HOSTILE}\x1b[0m\nmake: *** [shop.o] Error 1\n"
    );
    let outcome = Outcome::Failed { steps, error, artifacts: Vec::new() };
    build(server, conn, id, &log, Some(outcome)).await;
}

async fn run_that_asks(conn: &mut PgConnection, now: Timestamp) {
    let mut row = run_at(now);
    let state = &mut row.state.0;
    let compile = state.actions.get_mut("compile").unwrap();
    (compile.state, compile.finished_at) = (ActionState::Succeeded, Some(now));
    let until = Some(now + Millis::from_minutes(60));
    let ask = state.actions.get_mut("sign-off").unwrap();
    (ask.state, ask.attempt, ask.started_at) = (ActionState::Asking { until }, 1, Some(now));
    (state.stage, state.entered) = (2, true);
    let mut waiting = sample::waiting("sign-off needs an approval", true);
    (waiting.since, waiting.until) = (now, until);
    row.waiting.0 = vec![waiting];
    put_run(conn, &row).await;
}

async fn run_that_builds(server: &Server, conn: &mut PgConnection, now: Timestamp) {
    let id = put_run(conn, &run_at(now)).await;
    build(server, conn, id, "$ make\n\x1b[32mcc -c shop.c\x1b[0m\n", None).await;
    let ready = run::Event::SourceReady {
        action: "app".to_owned(),
        attempt: 1,
        revision: sample::run().state.actions["app"].revision.clone().unwrap(),
        artifact: sample::revision('b', "x").bundle,
    };
    history::append(conn, Of::Run(id), 1, &ready, "running", &[]).await.unwrap();
}

async fn order(conn: &mut PgConnection, label: &str, digit: char) -> DeploymentId {
    let group = groups::by_name(conn, "production").await.unwrap().unwrap();
    let revision = sample::revision(digit, label);
    let purpose = Purpose::Forward;
    let order =
        deployments::Order { group: group.id, revision: &revision, purpose, by: "ada", run: None };
    deployments::create(conn, &order).await.unwrap().unwrap()
}

async fn put_deployment(
    conn: &mut PgConnection,
    id: DeploymentId,
    now: Timestamp,
    change: impl FnOnce(&mut deploy::State),
    events: &[(deploy::Event, &str)],
) {
    let row = sample::deployment();
    let (plan, mut state) = (row.plan.unwrap().0, row.state.unwrap().0);
    state.started_at = state.started_at.map(|instant| at(now, instant));
    for host in state.hosts.values_mut() {
        if let Some(work) = &mut host.work {
            work.since = at(now, work.since);
        }
    }
    change(&mut state);
    let mut waiting = row.waiting.0;
    waiting.iter_mut().for_each(|entry| entry.since = at(now, entry.since));
    if state.phase.is_final() {
        waiting.clear();
    }
    let save = deployments::Save {
        plan: &plan,
        state: &state,
        waiting: &waiting,
        wake_at: None,
        version: 0,
    };
    assert!(deployments::save(conn, id, &save).await.unwrap());
    for (event, status) in events {
        history::append(conn, Of::Deployment(id), 1, event, status, &[]).await.unwrap();
    }
}

async fn deployment_that_succeeded(conn: &mut PgConnection, now: Timestamp) {
    let id = order(conn, "a11ce00 First", 'a').await;
    let done = |state: &mut deploy::State| {
        (state.phase, state.step, state.finished_at) = (Phase::Succeeded, 2, Some(now));
        state.hosts.values_mut().for_each(|host| (host.app, host.work) = (App::New, None));
    };
    put_deployment(conn, id, now, done, &[(deploy::Event::Tick, "succeeded")]).await;
    let group = groups::by_name(conn, "production").await.unwrap().unwrap();
    let revision = sample::revision('a', "a11ce00 First");
    let hosts = [AgentId(1), AgentId(2), AgentId(3)];
    for host in hosts {
        let serving = pipelines::command::Serving::Revision(revision.clone());
        groups::record_host(conn, group.id, host, id, &serving).await.unwrap();
    }
    groups::record_good(conn, group.id, &hosts, &revision).await.unwrap();
}

async fn deployment_that_was_rolled_back(conn: &mut PgConnection, now: Timestamp) {
    let id = order(conn, "bad5eed Second", 'c').await;
    let error = sample::task_error("ValidateService", "validate.sh exited with 1");
    let failed = deploy::HostOutcome::Failed(error.clone());
    let back = |state: &mut deploy::State| {
        (state.phase, state.step, state.finished_at) = (Phase::RolledBack, 0, Some(now));
        let (host, name) = (AgentId(1), "host-1".to_owned());
        state.cause = Some(Cause::HostFailed { host, name, error });
        for (id, host) in &mut state.hosts {
            host.touched = id.0 == 1;
            host.app = if id.0 == 1 { App::Restored } else { App::Before };
            host.work = None;
        }
    };
    let events = [
        (deploy::Event::Tick, "running"),
        (
            deploy::Event::HostFinished { host: AgentId(1), attempt: 1, outcome: failed },
            "rolling-back",
        ),
        (
            deploy::Event::HostFinished {
                host: AgentId(1),
                attempt: 2,
                outcome: deploy::HostOutcome::Succeeded,
            },
            "rolled-back",
        ),
    ];
    put_deployment(conn, id, now, back, &events).await;
}

async fn deployment_at_work(conn: &mut PgConnection, now: Timestamp) {
    let id = order(conn, "4f2c91e Fix", 'b').await;
    let finished = deploy::Event::HostFinished {
        host: AgentId(1),
        attempt: 1,
        outcome: deploy::HostOutcome::Succeeded,
    };
    let events = [(deploy::Event::Tick, "running"), (finished, "running")];
    put_deployment(conn, id, now, |_| {}, &events).await;
}
