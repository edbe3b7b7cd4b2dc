//! The agent's program against a controller that goes away, repeats itself and comes back changed.

mod support;

use pipelines::ids::{Digest, TaskId};
use pipelines::protocol::join::Role;
use pipelines::protocol::report::{Body, ErrorCode, Outcome, TaskError};
use pipelines::protocol::task::{Task, TaskKey, Work};
use pipelines::time::Millis;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use support::agent::Agent;
use support::bundle::{artifact, deploy, tar_zst, task};
use support::{PATIENCE, Stub};

struct Scene {
    stub: Stub,
    dir: tempfile::TempDir,
}

/// Every event runs this. It writes when it begins and ends, and waits for the file `go`.
const HOOK: &str = "#!/bin/sh\necho \"$DEPLOYMENT_ID $LIFECYCLE_EVENT begins\" >> $HOST/witness\n\
                    echo $$ > $HOST/pid\necho hello from $DEPLOYMENT_ID\n\
                    while [ ! -e $HOST/go ]; do [ -d $HOST ] || exit 9; sleep 0.02; done\n\
                    echo \"$DEPLOYMENT_ID $LIFECYCLE_EVENT ends\" >> $HOST/witness\n";

const APPSPEC: &str = "version: 0.0\nos: linux\nfiles: [{source: app, destination: $HOST/app}]\n\
                       hooks:\n  BeforeInstall: [{location: h.sh}]\n  \
                       AfterInstall: [{location: h.sh}]\n";

fn key(id: i64) -> TaskKey {
    TaskKey { task: TaskId(id), attempt: 1 }
}

impl Scene {
    async fn new() -> Scene {
        let stub = Stub::start(Role::Deploy).await;
        Scene { stub, dir: tempfile::tempdir().unwrap() }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn host(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.host(path)).unwrap_or_default()
    }

    fn let_go(&self) {
        std::fs::write(self.host("go"), "").unwrap();
    }

    /// Makes the controller want this deployment.
    fn want(&self, id: i64) -> Task {
        let host = self.dir.path().display().to_string();
        let fill = |text: &str| text.replace("$HOST", &host);
        let (spec, hook, app) = (fill(APPSPEC), fill(HOOK), format!("revision {id}"));
        let files =
            [("appspec.yml", spec.as_str()), ("h.sh", hook.as_str()), ("app/f", app.as_str())];
        let bytes = tar_zst(&files);
        let bundle = artifact(&bytes);
        let mut task = task(id, deploy(id, bundle.clone()));
        task.generation = id.cast_unsigned();
        let wanted = task.clone();
        self.stub.change(|world| {
            world.artifacts.insert(bundle.digest.to_string(), bytes);
            world.tasks.push(wanted);
        });
        task
    }

    async fn witness(&self, line: &str) {
        until(line, || self.count(line) > 0).await;
    }

    fn count(&self, line: &str) -> usize {
        self.read("witness").lines().filter(|l| *l == line).count()
    }

    fn finished(&self, id: i64) -> usize {
        let world = self.stub.world();
        let of = |r: &&pipelines::protocol::report::Report| {
            r.key == key(id) && matches!(r.body, Body::Finished { .. })
        };
        world.reports.iter().filter(of).count()
    }

    /// Waits until the agent holds nothing any more.
    async fn released(&self) {
        self.stub
            .wait("an empty poll", |world| {
                world.polls.last().filter(|poll| poll.holding.is_empty()).map(|_| ())
            })
            .await;
    }
}

async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A process that is dead but not collected by its parent counts as dead.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[track_caller]
fn error(outcome: &Outcome) -> &TaskError {
    match outcome {
        Outcome::Failed { error, .. } => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_task_is_run_once_and_its_log_arrives_before_its_end() {
    let scene = Scene::new().await;
    scene.let_go();
    let task = scene.want(1);
    let agent = Agent::run(&scene.stub, &scene.state());
    let outcome = scene.stub.outcome(key(1)).await;
    assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}");
    assert!(scene.stub.world().log(key(1)).contains("[AfterInstall] [h.sh] hello from d-1\n"));
    assert_eq!(scene.read("app/f"), "revision 1");
    // The controller names it again, as one that lost its memory would: the same answer, no new
    // run.
    scene.released().await;
    scene.stub.change(|world| world.reports.clear());
    scene.stub.outcome(key(1)).await;
    assert_eq!(scene.count("d-1 AfterInstall begins"), 1);
    scene.released().await;
    let installed = scene.stub.world().polls.last().unwrap().installed.clone();
    let Work::Deploy(deploy) = task.work else { unreachable!() };
    assert_eq!(installed[0].digest, Some(deploy.revision.bundle.digest));
    agent.ask_to_stop();
    assert!(agent.wait().success());
}

#[tokio::test]
async fn a_hook_during_which_the_agent_was_killed_is_interrupted_and_never_run_again() {
    let scene = Scene::new().await;
    scene.want(1);
    let agent = Agent::run(&scene.stub, &scene.state());
    scene.witness("d-1 BeforeInstall begins").await;
    scene
        .stub
        .wait("the log", |world| world.log(key(1)).contains("hello from d-1").then_some(()))
        .await;
    agent.kill();
    let hook = scene.read("pid");
    assert!(is_alive(&hook), "the hook outlives its agent");
    // The disk takes no new task.json: that it is half changed has to be found out all the same.
    std::fs::create_dir(scene.state().join("tasks/t-1.1/task.json.new")).unwrap();

    let agent = Agent::run(&scene.stub, &scene.state());
    let outcome = scene.stub.outcome(key(1)).await;
    let error = error(&outcome);
    assert_eq!((error.code, error.touched), (ErrorCode::Interrupted, true));
    assert_eq!(error.step.as_deref(), Some("BeforeInstall"));
    assert_eq!(error.command.as_deref(), Some("h.sh"));
    assert!(!is_alive(&hook), "what was left of it has to end");
    scene.let_go();
    scene.released().await;
    assert_eq!(scene.read("witness"), "d-1 BeforeInstall begins\n");
    assert_eq!(scene.finished(1), 1);
    drop(agent);
}

#[tokio::test]
async fn an_end_that_could_not_be_told_is_told_by_the_next_life() {
    let scene = Scene::new().await;
    scene.want(1);
    let agent = Agent::run(&scene.stub, &scene.state());
    scene.witness("d-1 BeforeInstall begins").await;
    scene.stub.change(|world| world.away = true);
    scene.let_go();
    scene.witness("d-1 AfterInstall ends").await;
    let finished = scene.state().join("tasks/t-1.1/finished.json");
    until("the end to be on the disk", || finished.exists()).await;
    agent.kill();
    assert_eq!(scene.finished(1), 0);
    let _agent = Agent::run(&scene.stub, &scene.state());
    scene.stub.change(|world| world.away = false);
    let outcome = scene.stub.outcome(key(1)).await;
    assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}");
    assert_eq!(scene.count("d-1 AfterInstall begins"), 1);
    let log = scene.stub.world().log(key(1));
    assert_eq!(log.matches("[BeforeInstall] [h.sh] hello from d-1").count(), 1, "{log}");
}

#[tokio::test]
async fn a_report_whose_answer_was_lost_is_repeated() {
    let scene = Scene::new().await;
    scene.let_go();
    scene.want(1);
    scene.stub.change(|world| world.lose_answers = 1);
    let state = scene.state();
    let _agent = Agent::run(&scene.stub, &state);
    scene.stub.outcome(key(1)).await;
    scene.stub.change(|world| world.lose_answers = 1);
    scene.released().await;
    assert_eq!(scene.count("d-1 AfterInstall begins"), 1);
}

#[tokio::test]
async fn a_proxy_that_finds_nothing_ends_no_work_and_loses_no_log() {
    let scene = Scene::new().await;
    scene.want(1);
    let _agent = Agent::run(&scene.stub, &scene.state());
    scene.witness("d-1 BeforeInstall begins").await;
    scene.stub.change(|world| world.not_found = 3);
    scene.let_go();
    let outcome = scene.stub.outcome(key(1)).await;
    assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}");
    assert!(scene.stub.world().log(key(1)).contains("[AfterInstall] [h.sh] hello from d-1\n"));
}

#[tokio::test]
async fn a_cancel_reaches_a_running_hook_and_a_waiting_task() {
    let scene = Scene::new().await;
    scene.want(1);
    let _agent = Agent::run(&scene.stub, &scene.state());
    scene.witness("d-1 BeforeInstall begins").await;
    scene.want(2);
    let both = |holding: &[TaskKey]| holding.len() == 2;
    scene
        .stub
        .wait("both to be held", |world| {
            world.polls.last().filter(|poll| both(&poll.holding)).map(|_| ())
        })
        .await;
    scene.stub.change(|world| world.cancel = vec![key(1), key(2)]);
    let outcomes = (scene.stub.outcome(key(1)).await, scene.stub.outcome(key(2)).await);
    assert!(matches!(outcomes.0, Outcome::Cancelled { touched: true, .. }), "{outcomes:?}");
    assert!(matches!(outcomes.1, Outcome::Cancelled { touched: false, .. }), "{outcomes:?}");
    assert_eq!(scene.read("witness"), "d-1 BeforeInstall begins\n");
}

#[tokio::test]
async fn a_host_is_changed_by_one_deployment_at_a_time() {
    let scene = Scene::new().await;
    scene.want(1);
    scene.want(2);
    let _agent = Agent::run(&scene.stub, &scene.state());
    scene.witness("d-1 BeforeInstall begins").await;
    scene.let_go();
    scene.stub.outcome(key(2)).await;
    let order: Vec<String> = scene.read("witness").lines().map(|l| l[..3].to_owned()).collect();
    let (first, second) = order.split_at(4);
    assert!(first.iter().all(|d| d == "d-1") && second.iter().all(|d| d == "d-2"), "{order:?}");
}

#[tokio::test]
async fn a_lower_epoch_or_generation_is_refused_also_after_a_restart() {
    let scene = Scene::new().await;
    scene.let_go();
    scene.stub.change(|world| world.epoch = 5);
    let mut task = scene.want(7);
    task.epoch = 5;
    scene.stub.change(|world| world.tasks = vec![task.clone()]);
    let agent = Agent::run(&scene.stub, &scene.state());
    scene.stub.outcome(key(7)).await;
    scene.released().await;
    agent.kill();

    let mut past = task.clone();
    past.key = key(8);
    past.generation = 6;
    scene.stub.change(|world| world.tasks = vec![past]);
    let agent = Agent::run(&scene.stub, &scene.state());
    let outcome = scene.stub.outcome(key(8)).await;
    assert_eq!(error(&outcome).code, ErrorCode::Fenced);
    assert!(!error(&outcome).touched);
    scene.released().await;

    // A controller of the past is not obeyed at all.
    let witness = scene.read("witness");
    task.key = key(9);
    let polls = scene.stub.world().polls.len();
    scene.stub.change(|world| {
        world.epoch = 4;
        world.tasks = vec![task];
    });
    scene
        .stub
        .wait("a few more polls", |world| (world.polls.len() > polls + 3).then_some(()))
        .await;
    assert_eq!(scene.finished(9), 0);
    assert_eq!(scene.read("witness"), witness);
    drop(agent);
}

#[tokio::test]
async fn a_task_queued_before_the_controller_started_again_runs() {
    let scene = Scene::new().await;
    scene.let_go();
    let mut task = scene.want(1);
    task.epoch = 5;
    scene.stub.change(|world| {
        world.epoch = 6;
        world.tasks = vec![task];
    });
    let _agent = Agent::run(&scene.stub, &scene.state());
    let outcome = scene.stub.outcome(key(1)).await;
    assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}");
}

#[tokio::test]
async fn silence_longer_than_the_lease_starts_nothing_further() {
    let scene = Scene::new().await;
    let lease = |world: &mut support::World| {
        world.lease.silent_for_max = Millis(600);
        world.lease.heartbeat = Millis(100);
    };
    scene.stub.change(lease);
    scene.want(1);
    let _agent = Agent::run(&scene.stub, &scene.state());
    scene.witness("d-1 BeforeInstall begins").await;
    // Long quiet hooks do not count as silence: the poll goes on beside them.
    let polls = scene.stub.world().polls.len();
    scene.stub.wait("polls beside the hook", |w| (w.polls.len() > polls + 12).then_some(())).await;
    scene.stub.change(|world| world.away = true);
    // The lapse shows nowhere before the hook has ended: only time tells.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    scene.let_go();
    scene.witness("d-1 BeforeInstall ends").await;
    scene.stub.change(|world| world.away = false);
    let outcome = scene.stub.outcome(key(1)).await;
    assert_eq!(error(&outcome).code, ErrorCode::LeaseLapsed);
    assert_eq!(scene.count("d-1 AfterInstall begins"), 0);
    assert!(scene.stub.world().log(key(1)).contains("the controller was out of reach"));
}

#[tokio::test]
async fn a_task_that_cannot_be_taken_keeps_no_other_from_running() {
    let scene = Scene::new().await;
    scene.let_go();
    let agent = Agent::run(&scene.stub, &scene.state());
    scene.released().await;
    // Whether the second was acknowledged before cannot be told.
    std::fs::write(scene.state().join("done/t-2.1.json"), "no JSON").unwrap();
    agent.kill();
    scene.want(1);
    scene.want(2);
    let _agent = Agent::run(&scene.stub, &scene.state());
    let outcome = scene.stub.outcome(key(1)).await;
    assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}");
    assert_eq!(scene.finished(2), 0);
}

#[tokio::test]
async fn a_bundle_that_is_not_what_its_digest_says_touches_nothing() {
    let scene = Scene::new().await;
    scene.let_go();
    let task = scene.want(1);
    let Work::Deploy(deploy) = &task.work else { unreachable!() };
    let digest: Digest = deploy.revision.bundle.digest.clone();
    scene.stub.change(|world| {
        let bytes = world.artifacts.get_mut(digest.as_str()).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
    });
    let _agent = Agent::run(&scene.stub, &scene.state());
    let outcome = scene.stub.outcome(key(1)).await;
    let error = error(&outcome);
    assert_eq!((error.code, error.touched), (ErrorCode::DigestMismatch, false));
    assert_eq!(scene.read("witness"), "");
}

#[tokio::test]
async fn an_agent_that_is_told_to_stop_ends_its_work_and_says_so() {
    let scene = Scene::new().await;
    scene.want(1);
    let agent = Agent::run(&scene.stub, &scene.state());
    scene.witness("d-1 BeforeInstall begins").await;
    agent.ask_to_stop();
    let status = tokio::task::spawn_blocking(move || agent.wait()).await.unwrap();
    assert!(status.success());
    let outcome = scene.stub.outcome(key(1)).await;
    assert_eq!(error(&outcome).code, ErrorCode::Interrupted);
}
