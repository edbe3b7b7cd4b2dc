//! A controller for tests: it hands out tasks, keeps what it is told, and can be made to misbehave.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod agent;
pub mod bundle;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Json, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use pipelines::ids::{AgentId, TaskId};
use pipelines::protocol::join::{JoinReply, JoinRequest, Lease, Role};
use pipelines::protocol::poll::{PollReply, PollRequest};
use pipelines::protocol::report::{Body, LogReply, Outcome, Report, ReportReply, UploadReply};
use pipelines::protocol::task::{Artifact, Task, TaskKey};
use pipelines::time::Millis;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// Longest any test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What the controller knows and does.
pub struct World {
    pub role: Role,
    pub epoch: u64,
    pub lease: Lease,
    /// Handed out until the agent holds them or has finished them.
    pub tasks: Vec<Task>,
    pub cancel: Vec<TaskKey>,
    pub forget: Vec<TaskKey>,
    pub joins: Vec<JoinRequest>,
    pub polls: Vec<PollRequest>,
    pub logs: BTreeMap<TaskKey, Vec<u8>>,
    pub reports: Vec<Report>,
    pub artifacts: BTreeMap<String, Vec<u8>>,
    pub fetches: u32,
    /// Answer everything with 503.
    pub away: bool,
    /// Answer everything with 401 and this text.
    pub refuse: Option<&'static str>,
    /// Refusals so far.
    pub refused: u32,
    /// Keep the next join or report, but lose the answer.
    pub lose_answers: u32,
    /// Answer as many pieces of log and reports as a proxy would that has lost its way: 404.
    pub not_found: u32,
}

#[derive(Clone)]
pub struct Stub {
    pub url: String,
    world: Arc<Mutex<World>>,
    changed: Arc<watch::Sender<()>>,
}

impl Stub {
    /// Listens on a port of this machine, without TLS.
    pub async fn start(role: Role) -> Stub {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stub = Stub::new(role, url);
        let router = stub.router();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        stub
    }

    pub fn new(role: Role, url: String) -> Stub {
        let lease =
            Lease { silent_for_max: Millis::from_secs(20), heartbeat: Millis::from_secs(5) };
        let world = World {
            role,
            epoch: 1,
            lease,
            tasks: Vec::new(),
            cancel: Vec::new(),
            forget: Vec::new(),
            joins: Vec::new(),
            polls: Vec::new(),
            logs: BTreeMap::new(),
            reports: Vec::new(),
            artifacts: BTreeMap::new(),
            fetches: 0,
            away: false,
            refuse: None,
            refused: 0,
            lose_answers: 0,
            not_found: 0,
        };
        let world = Arc::new(Mutex::new(world));
        Stub { url, world, changed: Arc::new(watch::Sender::new(())) }
    }

    pub fn router(&self) -> Router {
        Router::new()
            .route("/agent/v1/join", post(join))
            .route("/agent/v1/poll", post(poll))
            .route("/agent/v1/tasks/{id}/log", post(log))
            .route("/agent/v1/tasks/{id}/report", post(report))
            .route("/agent/v1/artifacts/{digest}", get(artifact))
            .route("/agent/v1/tasks/{id}/artifacts/{digest}", put(upload))
            .layer(axum::extract::DefaultBodyLimit::max(1 << 28))
            .with_state(self.clone())
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Changes the world and lets held polls look at it again.
    pub fn change(&self, how: impl FnOnce(&mut World)) {
        how(&mut self.world());
        self.changed.send_replace(());
    }

    /// Waits until the world is so.
    pub async fn wait<T>(&self, what: &str, mut look: impl FnMut(&World) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(found) = look(&self.world()) {
                return found;
            }
            let late = timeout_at(deadline, changed.changed()).await;
            assert!(late.is_ok(), "waited too long for {what}; log:\n{}", self.log_text());
        }
    }

    pub async fn outcome(&self, key: TaskKey) -> Outcome {
        self.wait(&format!("the end of {key:?}"), |world| world.outcome(key)).await
    }

    fn log_text(&self) -> String {
        let world = self.world();
        world.logs.values().map(|log| String::from_utf8_lossy(log).into_owned()).collect()
    }
}

impl World {
    pub fn outcome(&self, key: TaskKey) -> Option<Outcome> {
        self.reports.iter().find_map(|report| match &report.body {
            Body::Finished { outcome, .. } if report.key == key => Some(outcome.clone()),
            Body::Finished { .. } | Body::Progress(_) => None,
        })
    }

    pub fn log(&self, key: TaskKey) -> String {
        String::from_utf8_lossy(self.logs.get(&key).map_or(&[][..], |log| log)).into_owned()
    }
}

fn away(stub: &Stub) -> Option<Response> {
    let mut world = stub.world();
    if let Some(text) = world.refuse {
        world.refused += 1;
        drop(world);
        stub.changed.send_replace(());
        return Some((StatusCode::UNAUTHORIZED, text).into_response());
    }
    world.away.then(|| (StatusCode::SERVICE_UNAVAILABLE, "away").into_response())
}

fn lost(stub: &Stub) -> Option<Response> {
    let mut world = stub.world();
    world.lose_answers = world.lose_answers.checked_sub(1)?;
    Some((StatusCode::BAD_GATEWAY, "the answer was lost").into_response())
}

fn not_found(stub: &Stub) -> Option<Response> {
    let mut world = stub.world();
    world.not_found = world.not_found.checked_sub(1)?;
    Some((StatusCode::NOT_FOUND, "no such page").into_response())
}

async fn join(State(stub): State<Stub>, Json(request): Json<JoinRequest>) -> Response {
    let mut reply = None;
    stub.change(|world| {
        reply = Some(JoinReply {
            agent: AgentId(1),
            role: world.role,
            name: request.name.clone(),
            credential: "credential".into(),
            tags: request.tags.clone(),
        });
        world.joins.push(request);
    });
    lost(&stub).unwrap_or_else(|| Json(reply).into_response())
}

async fn poll(State(stub): State<Stub>, Json(request): Json<PollRequest>) -> Response {
    if let Some(away) = away(&stub) {
        return away;
    }
    let deadline = Instant::now() + request.wait.to_std();
    let mut changed = stub.changed.subscribe();
    stub.change(|world| world.polls.push(request.clone()));
    changed.mark_unchanged();
    loop {
        let reply = answer(&stub.world(), &request);
        let empty = reply.tasks.is_empty() && reply.cancel.is_empty() && reply.forget.is_empty();
        if !empty || timeout_at(deadline, changed.changed()).await.is_err() {
            return away(&stub).unwrap_or_else(|| Json(reply).into_response());
        }
    }
}

fn answer(world: &World, request: &PollRequest) -> PollReply {
    let held = |key: &TaskKey| request.holding.contains(key);
    let fresh = |task: &&Task| !held(&task.key) && world.outcome(task.key).is_none();
    PollReply {
        epoch: world.epoch,
        lease: world.lease,
        tasks: world.tasks.iter().filter(fresh).cloned().collect(),
        cancel: world.cancel.iter().copied().filter(held).collect(),
        forget: world.forget.iter().copied().filter(held).collect(),
    }
}

#[derive(serde::Deserialize)]
struct Piece {
    attempt: u32,
    #[serde(default)]
    offset: usize,
}

async fn log(
    State(stub): State<Stub>,
    Path(id): Path<i64>,
    Query(piece): Query<Piece>,
    bytes: Bytes,
) -> Response {
    if let Some(away) = away(&stub).or_else(|| not_found(&stub)) {
        return away;
    }
    let key = TaskKey { task: TaskId(id), attempt: piece.attempt };
    let mut size = 0;
    stub.change(|world| {
        let log = world.logs.entry(key).or_default();
        if piece.offset <= log.len() {
            let known = (log.len() - piece.offset).min(bytes.len());
            assert_eq!(log[piece.offset..piece.offset + known], bytes[..known], "log rewritten");
            log.extend_from_slice(&bytes[known..]);
        }
        size = log.len() as u64;
    });
    Json(LogReply { size, current: true }).into_response()
}

async fn report(State(stub): State<Stub>, Json(report): Json<Report>) -> Response {
    if let Some(away) = away(&stub).or_else(|| not_found(&stub)) {
        return away;
    }
    stub.change(|world| {
        if let Body::Finished { log_size, .. } = &report.body {
            let stored = world.logs.get(&report.key).map_or(0, |log| log.len() as u64);
            assert!(stored >= *log_size, "finished before its log arrived");
        }
        world.reports.push(report);
    });
    lost(&stub).unwrap_or_else(|| Json(ReportReply { current: true }).into_response())
}

async fn artifact(State(stub): State<Stub>, Path(digest): Path<String>) -> Response {
    if let Some(away) = away(&stub) {
        return away;
    }
    let mut found = None;
    stub.change(|world| {
        world.fetches += 1;
        found = world.artifacts.get(&digest).cloned();
    });
    found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), IntoResponse::into_response)
}

async fn upload(
    State(stub): State<Stub>,
    Path((_, digest)): Path<(i64, String)>,
    bytes: Bytes,
) -> Response {
    let artifact = Artifact { digest: digest.parse().unwrap(), size: bytes.len() as u64 };
    stub.change(|world| {
        world.artifacts.insert(digest, bytes.to_vec());
    });
    Json(UploadReply { artifact }).into_response()
}
