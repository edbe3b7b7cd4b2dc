//! Tasks: claimed once, finished once, by the agent that has them.

use super::*;
use crate::agents::Tags;
use crate::deployments::Order;
use crate::tasks::{self, Finish, New, Owner};
use crate::{artifacts, runs};
use ::pipelines::deploy::Place;
use ::pipelines::ids::{DeploymentId, RunId, TaskId};
use ::pipelines::protocol::report::{Outcome, Progress};
use ::pipelines::protocol::task::{Build, Purpose, TaskKey, Work};

fn build(run: RunId) -> Work {
    Work::Build(Build {
        run,
        pipeline: "shop".into(),
        action: "compile".into(),
        number: 1,
        image: "debian".into(),
        buildspec: String::new(),
        source: revision('a').bundle,
        secondary_sources: Vec::new(),
        env: Vec::new(),
        outputs: Vec::new(),
        initiator: "ada".into(),
        source_version: String::new(),
        repository: String::new(),
        started_at: 0,
    })
}

fn done() -> Outcome {
    Outcome::Cancelled { steps: Vec::new(), touched: false }
}

/// A queued build and the run it belongs to.
async fn queued(conn: &mut PgConnection, attempt: u32) -> RunId {
    let pipeline = pipeline(conn).await;
    let run = runs::create(conn, pipeline, &trigger(), "one").await.unwrap();
    let work = build(run);
    let needs = vec![revision('a').bundle.digest];
    let timeout = Millis::from_minutes(1);
    let new = New { work: &work, needs, generation: 0, epoch: 3, timeout };
    for _ in 0..2 {
        tasks::queue_build(conn, run, "compile", attempt, &new).await.unwrap();
    }
    run
}

#[tokio::test]
async fn a_build_is_claimed_by_one_agent() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let run = queued(&mut conn, 1).await;
    let (a, _) = join(&mut conn, Role::Build, "a").await;
    let (b, _) = join(&mut conn, Role::Build, "b").await;
    assert_eq!(
        tasks::claim_builds(&mut conn, a, 5).await.unwrap(),
        1,
        "queued twice is queued once"
    );
    assert_eq!(tasks::claim_builds(&mut conn, b, 5).await.unwrap(), 0);
    let held = tasks::held(&mut conn, a).await.unwrap();
    assert_eq!((held[0].task.epoch, held[0].cancel), (3, false));
    assert!(matches!(&held[0].task.work, Work::Build(build) if build.run == run));
    let key = held[0].task.key;
    assert!(tasks::holds(&mut conn, a, key).await.unwrap());
    assert!(!tasks::holds(&mut conn, b, key).await.unwrap());
    let needed = revision('a').bundle.digest;
    assert!(tasks::may_fetch(&mut conn, a, &needed).await.unwrap());
    assert!(!tasks::may_fetch(&mut conn, b, &needed).await.unwrap(), "not its task");
    assert!(!tasks::may_fetch(&mut conn, a, &revision('b').bundle.digest).await.unwrap());
    let hour = Millis::from_minutes(60);
    assert!(tasks::abandoned_builds(&mut conn, hour).await.unwrap().is_empty());
    let lost = [(key.task, "a".to_owned())];
    assert_eq!(tasks::abandoned_builds(&mut conn, Millis(0)).await.unwrap(), lost, "silent");
    crate::agents::set_state(&mut conn, "a", "revoked").await.unwrap();
    assert_eq!(tasks::abandoned_builds(&mut conn, hour).await.unwrap(), lost, "revoked");
    assert_eq!(
        tasks::claim_builds(&mut conn, a, 5).await.unwrap(),
        0,
        "revoked agents claim nothing"
    );
}

#[tokio::test]
async fn two_agents_claiming_at_once_never_get_the_same_build() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let mut agents = Vec::new();
    for number in 0..4 {
        queued(&mut conn, 1).await;
        agents.push(join(&mut conn, Role::Build, &format!("agent-{number}")).await.0);
    }
    let claims = agents.iter().map(|agent| {
        let (pool, agent) = (db.pool.clone(), *agent);
        tokio::spawn(async move {
            let mut conn = pool.acquire().await.unwrap();
            tasks::claim_builds(&mut conn, agent, 1).await.unwrap()
        })
    });
    let mut claimed = 0;
    for claim in claims.collect::<Vec<_>>() {
        claimed += claim.await.unwrap();
    }
    assert_eq!(claimed, 4);
    for agent in agents {
        assert_eq!(tasks::held(&mut conn, agent).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_task_is_finished_once_and_only_by_its_holder() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let run = queued(&mut conn, 1).await;
    let (a, _) = join(&mut conn, Role::Build, "a").await;
    let (b, _) = join(&mut conn, Role::Build, "b").await;
    tasks::claim_builds(&mut conn, a, 1).await.unwrap();
    let key = tasks::held(&mut conn, a).await.unwrap()[0].task.key;
    let progress = Progress { steps: Vec::new() };
    assert_eq!(
        tasks::note_progress(&mut conn, a, key, &progress).await.unwrap(),
        tasks::Noted::Yes
    );
    assert_eq!(
        tasks::note_progress(&mut conn, b, key, &progress).await.unwrap(),
        tasks::Noted::NotCurrent
    );
    let stale = TaskKey { attempt: 9, ..key };
    assert_eq!(tasks::finish(&mut conn, b, key, &done(), 0).await.unwrap(), Finish::NotCurrent);
    assert_eq!(tasks::finish(&mut conn, a, stale, &done(), 0).await.unwrap(), Finish::NotCurrent);
    let owner = Owner::Run { run, action: "compile".into() };
    assert_eq!(tasks::finish(&mut conn, a, key, &done(), 7).await.unwrap(), Finish::Now(owner));
    assert_eq!(tasks::finish(&mut conn, a, key, &done(), 7).await.unwrap(), Finish::Before);
    let other = Outcome::Cancelled { steps: Vec::new(), touched: true };
    assert_eq!(tasks::finish(&mut conn, a, key, &other, 7).await.unwrap(), Finish::NotCurrent);
    assert_eq!(tasks::give_up(&mut conn, key.task, &done()).await.unwrap(), None, "over is over");
    let row = tasks::by_id(&mut conn, key.task).await.unwrap().unwrap();
    assert_eq!((row.key(), row.log_size, row.agent.as_deref()), (key, Some(7), Some("a")));
    assert_eq!(tasks::of_run(&mut conn, run).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_cancelled_build_nobody_has_is_not_handed_out() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let run = queued(&mut conn, 1).await;
    let (a, _) = join(&mut conn, Role::Build, "a").await;
    let (task, taken) = tasks::cancel_build(&mut conn, run, "compile", 1).await.unwrap().unwrap();
    assert!(!taken);
    assert_eq!(tasks::claim_builds(&mut conn, a, 1).await.unwrap(), 0);
    let owner = tasks::give_up(&mut conn, task, &done()).await.unwrap();
    assert_eq!(owner, Some(Owner::Run { run, action: "compile".into() }));
    assert_eq!(tasks::cancel_build(&mut conn, run, "compile", 1).await.unwrap(), None);
    assert!(tasks::by_id(&mut conn, TaskId(99)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_hosts_work_is_its_own_and_ends_with_its_deployment() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let group = group(&mut conn).await;
    let order = crate::deployments::Order {
        group,
        revision: &revision('a'),
        purpose: ::pipelines::protocol::task::Purpose::Forward,
        by: "ada",
        run: None,
    };
    let deployment = crate::deployments::create(&mut conn, &order).await.unwrap().unwrap();
    let (host, _) = join(&mut conn, Role::Deploy, "host-1").await;
    let work = build(RunId(1));
    let new = New { work: &work, needs: vec![], generation: 4, epoch: 1, timeout: Millis(1) };
    for _ in 0..2 {
        tasks::queue_order(&mut conn, deployment, tasks::Order::Host(host), 1, &new).await.unwrap();
    }
    let held = tasks::held(&mut conn, host).await.unwrap();
    assert_eq!((held.len(), held[0].task.generation), (1, 4));
    tasks::cancel_order(&mut conn, deployment, tasks::Order::Host(host), 1).await.unwrap();
    assert!(tasks::held(&mut conn, host).await.unwrap()[0].cancel);
    tasks::close_deployment(&mut conn, deployment).await.unwrap();
    assert!(tasks::held(&mut conn, host).await.unwrap().is_empty());
    assert_eq!(tasks::of_deployment(&mut conn, deployment).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_artifact_is_known_by_its_digest() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let artifact = revision('a').bundle;
    assert_eq!(artifacts::by_digest(&mut conn, &artifact.digest).await.unwrap(), None);
    for _ in 0..2 {
        artifacts::note(&mut conn, &artifact).await.unwrap();
    }
    assert_eq!(artifacts::by_digest(&mut conn, &artifact.digest).await.unwrap(), Some(artifact));
}

#[tokio::test]
async fn a_question_is_answered_withdrawn_or_forgotten() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let (host, _) = join(&mut conn, Role::Deploy, "host-1").await;
    let work = Work::Inspect(::pipelines::protocol::task::Inspect { group: "production".into() });
    let timeout = Millis::from_secs(20);
    let new = New { work: &work, needs: Vec::new(), generation: 0, epoch: 1, timeout };
    let mut asked = Vec::new();
    for _ in 0..2 {
        asked.push(tasks::ask(&mut conn, host, None, &new).await.unwrap());
    }
    let (first, second) = (asked[0], asked[1]);
    assert!(tasks::answers(&mut conn, &asked).await.unwrap().is_empty());
    let key = TaskKey { task: first, attempt: 1 };
    tasks::finish(&mut conn, host, key, &done(), 0).await.unwrap();
    assert_eq!(tasks::answers(&mut conn, &asked).await.unwrap(), [(first, done())]);
    tasks::withdraw(&mut conn, second).await.unwrap();
    assert!(tasks::held(&mut conn, host).await.unwrap().is_empty(), "nobody is asked any more");
    let late = TaskKey { task: second, attempt: 1 };
    let finish = tasks::finish(&mut conn, host, late, &done(), 0).await.unwrap();
    assert_eq!(finish, Finish::NotCurrent, "a late answer is nobody's");

    let hour = Millis::from_minutes(60);
    assert_eq!(tasks::forget_questions(&mut conn, hour, 10).await.unwrap(), 0, "they are new");
    assert_eq!(tasks::forget_questions(&mut conn, Millis::ZERO, 1).await.unwrap(), 1, "so many");
    assert_eq!(tasks::forget_questions(&mut conn, Millis::ZERO, 10).await.unwrap(), 1);
    assert!(tasks::by_id(&mut conn, first).await.unwrap().is_none());
}

/// A deployment of a group of this name, with a task on this host.
async fn on_host(conn: &mut PgConnection, group: &str, host: AgentId) -> (DeploymentId, TaskKey) {
    let text = GROUP.replace("production", group);
    let spec = ::pipelines::spec::group::parse(&text).value.unwrap();
    crate::groups::put(conn, &text, &spec).await.unwrap();
    let group = crate::groups::by_name(conn, group).await.unwrap().unwrap().id;
    let (a, by) = (revision('a'), "ada");
    let order = Order { group, revision: &a, purpose: Purpose::Forward, by, run: None };
    let id = crate::deployments::create(conn, &order).await.unwrap().unwrap();
    let work = build(RunId(1));
    let timeout = Millis::from_minutes(1);
    let new = New { work: &work, needs: Vec::new(), generation: 1, epoch: 1, timeout };
    tasks::queue_order(conn, id, tasks::Order::Host(host), 1, &new).await.unwrap();
    let key = tasks::held(conn, host).await.unwrap().last().unwrap().task.key;
    (id, key)
}

#[tokio::test]
async fn the_second_task_on_a_host_stands_behind_the_first() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let (host, _) = join(&mut conn, Role::Deploy, "host-1").await;
    let (first, first_key) = on_host(&mut conn, "one", host).await;
    let (second, second_key) = on_host(&mut conn, "two", host).await;
    let hosts = [host.0];
    assert_eq!(tasks::places(&mut conn, first, &hosts).await.unwrap(), []);
    let places = tasks::places(&mut conn, second, &hosts).await.unwrap();
    let behind = Some(format!("deployment {first} of group one"));
    assert_eq!(places, [(host, Place { counts_from: None, behind })]);
    // The first ends: from then on the second's time counts, whether it was heard to begin or not.
    tasks::finish(&mut conn, host, first_key, &done(), 0).await.unwrap();
    let places = tasks::places(&mut conn, second, &hosts).await.unwrap();
    assert!(places[0].1.counts_from.is_some() && places[0].1.behind.is_none(), "{places:?}");
    sqlx::query("update tasks set claimed_at = claimed_at - interval '1 hour'")
        .execute(&mut *conn)
        .await
        .unwrap();
    let progress = Progress { steps: Vec::new() };
    for noted in [tasks::Noted::Begun(second), tasks::Noted::Yes] {
        let found = tasks::note_progress(&mut conn, host, second_key, &progress).await.unwrap();
        assert_eq!(found, noted, "said once");
    }
    let row = tasks::by_id(&mut conn, second_key.task).await.unwrap().unwrap();
    let places = tasks::places(&mut conn, second, &hosts).await.unwrap();
    assert_eq!(places[0].1.counts_from.map(|at| at.0), row.started_at);
}

#[tokio::test]
async fn a_host_that_was_made_is_where_its_maker_says() {
    let db = database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let (provider, _) = join(&mut conn, Role::Build, "builder").await;
    let (other, _) = join(&mut conn, Role::Deploy, "host-1").await;
    let (deployment, _) = on_host(&mut conn, "one", other).await;
    let group: i64 = sqlx::query_scalar("select group_id from deployments where id = $1")
        .bind(deployment.0)
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    let tags = Tags::new();
    let made =
        crate::instances::announce(&mut conn, (group, deployment), "made", &tags, provider).await;
    let made = made.unwrap();
    for host in [made, other] {
        crate::instances::note_address(&mut conn, host, [10, 0, 0, 7].into()).await.unwrap();
    }
    let addresses = crate::agents::addresses(&mut conn, &[made, other]).await.unwrap();
    assert_eq!(addresses[&made], "10.0.0.7");
    assert_ne!(addresses[&other], "10.0.0.7", "nobody made this one");
}
