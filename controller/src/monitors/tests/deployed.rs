//! From a group's file to the end of its deployments: the engine and the looking as they run, a real
//! database, a real URL. The agents alone are played: what they would report is written down.

use super::serve;
use crate::agents::tell_owner;
use crate::engine::{Identity, Joining, lead};
use crate::sources::{Sources, url};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use pipelines::deploy::Event;
use pipelines::deploy::event::Verdict;
use pipelines::ids::{AgentId, DeploymentId};
use pipelines::monitor::{Forced, Look};
use pipelines::protocol::VERSION;
use pipelines::protocol::answer::{
    Answer, Check, Counters, Measured, Routed, ServerCounters, ServerState,
};
use pipelines::protocol::join::{JoinRequest, Lease, Role};
use pipelines::protocol::report::Outcome;
use pipelines::protocol::route::Traffic;
use pipelines::protocol::task::{Artifact, Purpose, Revision, Work};
use pipelines::time::{Millis, Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use store::objects::Objects;
use store::tasks::{self, Finish};
use store::wake::Wakes;
use store::{PgPool, agents, deployments, groups, inbox, monitors};
use tokio_util::sync::{CancellationToken, DropGuard};

const PATIENCE: Duration = Duration::from_secs(60);

/// What the played agents do, and what the watched URL answers.
struct World {
    status: AtomicU16,
    /// Hosts do not finish their work while this is set.
    holds_back: AtomicBool,
    /// Of a thousand requests to the new revision, so many end in errors.
    errors: AtomicU64,
    printed: Mutex<String>,
    lanes: Mutex<BTreeMap<String, Traffic>>,
    served: AtomicU64,
    newest: Mutex<Vec<String>>,
}

struct Stage {
    pool: PgPool,
    wakes: Wakes,
    world: Arc<World>,
    group: i64,
    _over: DropGuard,
    _directory: tempfile::TempDir,
}

impl Stage {
    /// `file`: the group's, with `{url}` where the watched URL is to stand.
    async fn set(file: &str, names: &[&str]) -> Stage {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database = store::testing::database().await;
        let (pool, wakes) = (database.pool.clone(), Wakes::default());
        let world = Arc::new(World {
            status: AtomicU16::new(200),
            holds_back: AtomicBool::new(false),
            errors: AtomicU64::new(0),
            printed: Mutex::new("1".to_owned()),
            lanes: Mutex::default(),
            served: AtomicU64::new(0),
            newest: Mutex::default(),
        });
        let answers = world.clone();
        let page = move || async move {
            StatusCode::from_u16(answers.status.load(Ordering::SeqCst)).unwrap()
        };
        let url = serve(Router::new().route("/", get(page))).await;
        let text = file.replace("{url}", &url);
        let parsed = pipelines::spec::group::parse(&text);
        let spec = parsed.value.unwrap_or_else(|| panic!("{:?}", parsed.problems));
        let mut conn = pool.acquire().await.unwrap();
        groups::put(&mut conn, &text, &spec).await.unwrap();
        let group = groups::by_name(&mut conn, &spec.name).await.unwrap().unwrap().id;
        for name in names {
            let agent = join(&mut conn, name).await;
            let (world, wakes, pool) = (world.clone(), wakes.clone(), pool.clone());
            tokio::spawn(async move { play(agent, &world, &wakes, &pool).await });
        }
        let directory = tempfile::tempdir().unwrap();
        let objects = Objects::local(&directory.path().join("objects")).unwrap();
        let policy = url::Policy { allow_local: true };
        let minutes = Millis::from_minutes(10);
        let me = Identity {
            holder: uuid::Uuid::new_v4(),
            pool: pool.clone(),
            wakes: wakes.clone(),
            lease: Lease { silent_for_max: minutes, heartbeat: minutes },
            sources: Sources::new(directory.path(), objects, policy),
            monitors: policy,
            joining: Joining { url: "http://127.0.0.1".to_owned(), ca_sha256: None },
        };
        let stop = CancellationToken::new();
        tokio::spawn(lead(me, stop.clone()));
        let _over = stop.drop_guard();
        Stage { pool, wakes, world, group, _over, _directory: directory }
    }

    async fn deploy(&self, digit: char) -> DeploymentId {
        let digest = digit.to_string().repeat(64).parse().unwrap();
        let bundle = Artifact { digest, size: 1 };
        let revision = &Revision { bundle, commit: None, label: format!("rev {digit}") };
        let (group, purpose, by, run) = (self.group, Purpose::Forward, "ada", None);
        let order = deployments::Order { group, revision, purpose, by, run };
        let mut tx = self.pool.begin().await.unwrap();
        store::artifacts::note(&mut tx, &revision.bundle).await.unwrap();
        let id = deployments::create(&mut tx, &order).await.unwrap();
        tx.commit().await.unwrap();
        self.wakes.engine();
        id.unwrap()
    }

    async fn row(&self, id: DeploymentId) -> deployments::Row {
        let mut conn = self.pool.acquire().await.unwrap();
        deployments::by_id(&mut conn, id).await.unwrap().unwrap()
    }

    /// Waits until the deployment is so.
    async fn until(
        &self,
        id: DeploymentId,
        so: impl Fn(&deployments::Row) -> bool,
    ) -> deployments::Row {
        let begun = Instant::now();
        loop {
            let row = self.row(id).await;
            if so(&row) {
                return row;
            }
            assert!(row.stuck.is_none(), "stuck: {:?}", row.stuck);
            let state = row.state.as_ref().map(|state| &state.0);
            assert!(row.finished_at.is_none(), "{}: {state:#?}", row.status);
            assert!(begun.elapsed() < PATIENCE, "{}: {:?} {state:#?}", row.status, row.waiting);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn end(&self, id: DeploymentId) -> (String, String) {
        let row = self.until(id, |row| row.finished_at.is_some()).await;
        let cause = row.state.as_ref().and_then(|state| state.cause.clone());
        (row.status, cause.map(|cause| cause.to_string()).unwrap_or_default())
    }

    async fn set_monitor(&self, monitor: &str, state: Forced) {
        let mut tx = self.pool.begin().await.unwrap();
        let word = (state, "ada", "drill");
        monitors::set_override(&mut tx, self.group, monitor, word).await.unwrap();
        for (id, _) in deployments::unfinished(&mut tx, self.group).await.unwrap() {
            inbox::post_deployment(&mut tx, id, &Event::Tick).await.unwrap();
        }
        tx.commit().await.unwrap();
        self.wakes.engine();
    }
}

async fn join(conn: &mut store::PgConnection, name: &str) -> AgentId {
    let tags = [("role".to_owned(), name.split('-').next().unwrap().to_owned())].into();
    let hour = Millis::from_minutes(60);
    let made = agents::create_join_token(conn, Role::Deploy, &tags, 1, hour, "ada").await;
    let (token, secret) = made.unwrap();
    let request = JoinRequest {
        protocol: VERSION,
        token,
        name: name.to_owned(),
        version: "1".to_owned(),
        tags: BTreeMap::new(),
        idempotency: name.to_owned(),
    };
    agents::join(conn, &secret, &request, "10.0.0.1").await.unwrap().0
}

/// An agent that does at once whatever it is told.
async fn play(agent: AgentId, world: &World, wakes: &Wakes, pool: &PgPool) {
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let Ok(mut tx) = pool.begin().await else { return };
        for held in tasks::held(&mut tx, agent).await.unwrap() {
            let held_back = matches!(held.task.work, Work::Deploy(_))
                && world.holds_back.load(Ordering::SeqCst)
                && !held.cancel;
            if held_back {
                continue;
            }
            let outcome = match held.cancel {
                true => Outcome::Cancelled { steps: Vec::new(), touched: false },
                false => done(world.answer(&held.task.work)),
            };
            let key = held.task.key;
            let finished = tasks::finish(&mut tx, agent, key, &outcome, 0).await.unwrap();
            if let Finish::Now(owner) = finished {
                tell_owner(&mut tx, &owner, key, &outcome).await.unwrap();
            }
        }
        tx.commit().await.unwrap();
        wakes.engine();
    }
}

fn done(answer: Option<Answer>) -> Outcome {
    let (steps, artifacts, exported) = (Vec::new(), Vec::new(), BTreeMap::new());
    Outcome::Succeeded { steps, artifacts, exported, answer }
}

impl World {
    fn answer(&self, work: &Work) -> Option<Answer> {
        match work {
            Work::Survey(observe) => Some(self.routed(observe.servers.iter().cloned())),
            Work::Route(route) => {
                let told = route.servers.iter().map(|server| (server.name.clone(), server.traffic));
                self.lanes.lock().unwrap().extend(told);
                Some(self.routed(route.servers.iter().map(|server| server.name.clone())))
            }
            Work::Observe(observe) => Some(Answer::Counters(self.count(&observe.servers))),
            Work::Measure(_) => {
                let output = self.printed.lock().unwrap().clone();
                Some(Answer::Measured(Measured { exit_code: Some(0), output }))
            }
            _ => None,
        }
    }

    fn routed(&self, names: impl Iterator<Item = String>) -> Answer {
        let mut lanes = self.lanes.lock().unwrap();
        let servers = names.map(|name| {
            let traffic = *lanes.entry(name.clone()).or_insert(Traffic::In { weight: 100 });
            ServerState { name, traffic, check: Check::Up, in_flight: 0, cut: 0 }
        });
        Answer::Routed(Routed { servers: servers.collect() })
    }

    /// 200 more requests to each server at every look.
    fn count(&self, names: &[String]) -> Counters {
        let requests = 200 * (1 + self.served.fetch_add(1, Ordering::SeqCst));
        let newest = self.newest.lock().unwrap();
        let server = |name: &String| {
            let share = if newest.contains(name) { self.errors.load(Ordering::SeqCst) } else { 1 };
            let (errors, latency_ms) = (requests * share / 1000, Some(20));
            ServerCounters { name: name.clone(), requests, errors, latency_ms }
        };
        Counters { life: "1".to_owned(), servers: names.iter().map(server).collect() }
    }
}

const WATCHED: &str = "group: shop
application: shop
hosts: {tags: {role: web}}
monitors:
  - {name: page, http: '{url}/', every: 1s}
  - {name: queue, command: {agent: web-1, run: queue}, fail-above: 10, every: 1s}
  - {name: noise, http: '{url}/none', every: 1s, dry-run: true}
";

#[tokio::test]
async fn a_deployment_begins_and_ends_with_a_look_at_its_monitors() {
    let stage = Stage::set(WATCHED, &["web-1", "web-2"]).await;
    let id = stage.deploy('a').await;
    let (status, cause) = stage.end(id).await;
    assert_eq!(status, "succeeded", "{cause}");
    let mut conn = stage.pool.acquire().await.unwrap();
    let samples = monitors::samples(&mut conn, id).await.unwrap();
    let state = stage.row(id).await.state.unwrap().0;
    let started = state.started_at.unwrap();
    let ended = state.finished_at.unwrap();
    for (name, look) in [("page", Look::Good), ("queue", Look::Value(1.0))] {
        let samples = &samples[name];
        assert_eq!(samples.last().unwrap().look, look);
        assert!(samples.last().unwrap().at <= ended + Millis::from_secs(1));
        assert!(samples.len() <= 2, "only what is needed is kept: {samples:?}");
    }
    assert!(
        matches!(samples["noise"].last().unwrap().look, Look::Bad { .. }),
        "shown, not acted on"
    );
    let first: Timestamp = Timestamp(stage.row(id).await.created_at);
    assert!(started > first, "it waited for the first look");
}

#[tokio::test]
async fn an_alarm_turns_a_deployment_back_and_says_why() {
    let stage = Stage::set(WATCHED, &["web-1", "web-2"]).await;
    stage.world.holds_back.store(true, Ordering::SeqCst);
    let id = stage.deploy('a').await;
    stage.until(id, |row| row.status == "running").await;
    stage.world.status.store(503, Ordering::SeqCst);
    let (status, cause) = stage.end(id).await;
    assert_eq!(cause, "monitor page: answered 503 instead of 200");
    assert!(status == "failed" || status == "rolled-back", "{status}");
    // What was red before is not the next one's doing, and a mend may go out.
    stage.world.holds_back.store(false, Ordering::SeqCst);
    let mend = stage.deploy('b').await;
    let running = stage.until(mend, |row| row.status != "queued").await;
    assert_eq!(running.state.unwrap().ailing, ["page"]);
    assert_eq!(stage.end(mend).await.0, "succeeded");
}

#[tokio::test]
async fn a_persons_word_counts_instead_of_what_is_found() {
    let stage = Stage::set(WATCHED, &["web-1", "web-2"]).await;
    stage.world.holds_back.store(true, Ordering::SeqCst);
    let id = stage.deploy('a').await;
    stage.until(id, |row| row.status == "running").await;
    stage.set_monitor("queue", Forced::Alarm).await;
    assert_eq!(stage.end(id).await.1, "monitor queue: set by ada: drill");
}

#[tokio::test]
async fn a_command_that_prints_nonsense_holds_the_end() {
    let stage = Stage::set(WATCHED, &["web-1", "web-2"]).await;
    *stage.world.printed.lock().unwrap() = "many".to_owned();
    let id = stage.deploy('a').await;
    let in_hold = |row: &deployments::Row| {
        row.waiting.iter().any(|waiting| waiting.what.starts_with("the hold"))
    };
    stage.until(id, in_hold).await;
    // Missing is looked at, so it began; and it is no success, so it does not end.
    let mut conn = stage.pool.acquire().await.unwrap();
    let since = stage.row(id).await.state.unwrap().step_since;
    loop {
        let samples = monitors::samples(&mut conn, id).await.unwrap();
        let newest = samples["queue"].last().unwrap();
        assert!(matches!(newest.look, Look::Missing { .. }), "{newest:?}");
        if newest.at > since {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(stage.row(id).await.status, "running");
    *stage.world.printed.lock().unwrap() = "3".to_owned();
    assert_eq!(stage.end(id).await.0, "succeeded");
}

const JUDGED: &str = "group: shop
application: shop
hosts: {tags: {role: web}}
strategy: {canary: {steps: [{weight: 25, hold: 1s}]}}
router: {port: 8080, haproxy: {agent: lb-1, backend: shop}}
monitors:
  - {name: rate, router: error-rate, fail-above: 90%, every: 1s}
analysis: {every: 1s, warm-up: 0s, min-samples: 400}
";

#[tokio::test]
async fn the_judge_passes_what_does_as_well_and_fails_what_does_worse() {
    let names = ["web-1", "web-2", "web-3", "web-4", "lb-1"];
    let stage = Stage::set(JUDGED, &names).await;
    let good = stage.deploy('a').await;
    let (status, cause) = stage.end(good).await;
    assert_eq!(status, "succeeded", "{cause}");
    let mut conn = stage.pool.acquire().await.unwrap();
    let (verdict, _) = monitors::last_verdict(&mut conn, good).await.unwrap().unwrap();
    assert_eq!(verdict.verdict, Verdict::Pass, "{}", verdict.reason);
    assert!(verdict.reason.contains("n = "), "{}", verdict.reason);
    *stage.world.newest.lock().unwrap() = vec!["web-1".to_owned()];
    stage.world.errors.store(30, Ordering::SeqCst);
    let bad = stage.deploy('b').await;
    let (status, cause) = stage.end(bad).await;
    assert_eq!(status, "rolled-back", "{cause}");
    assert!(cause.starts_with("fail, by the rule: at least 5 errors"), "{cause}");
}

const TRIED: &str = "group: shop
application: shop
hosts: {tags: {role: \"*\"}, selector: {any: [{tags: {role: blue}}, {tags: {role: green}}]}}
strategy:
  blue-green: {blue: {tags: {role: blue}}, green: {tags: {role: green}}, test: '{url}/',
    bake: 0s, keep-old: 0s}
router: {port: 8080, haproxy: {agent: lb-1, backend: shop}}
";

#[tokio::test]
async fn an_idle_set_gets_the_traffic_when_it_answers() {
    let stage = Stage::set(TRIED, &["blue-1", "green-1", "lb-1"]).await;
    stage.world.lanes.lock().unwrap().insert("green-1".to_owned(), Traffic::Out);
    stage.world.status.store(502, Ordering::SeqCst);
    let id = stage.deploy('a').await;
    let tried = |row: &deployments::Row| {
        row.waiting.iter().any(|waiting| waiting.what.contains("answered 502; it is tried again"))
    };
    stage.until(id, tried).await;
    stage.world.status.store(200, Ordering::SeqCst);
    let (status, cause) = stage.end(id).await;
    assert_eq!(status, "succeeded", "{cause}");
}
