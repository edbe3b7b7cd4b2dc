//! Tasks for balancers, run without a controller.

use crate::balancer::Balancer;
use agent::context::{
    Cache, Cancel, Content, Dirs, LogWriter, ProgressSender, Settings, Since, Spool, TaskContext,
    TaskJournal,
};
use pipelines::ids::{DeploymentId, TaskId};
use pipelines::protocol::answer::{Answer, Counters, Routed, ServerState};
use pipelines::protocol::report::{ErrorCode, Outcome, TaskError};
use pipelines::protocol::route::{Observe, Route, ServerOrder, Traffic};
use pipelines::protocol::task::{Task, TaskKey, Work};
use pipelines::spec::group::Router;
use pipelines::time::Millis;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub const DRAIN: Millis = Millis::from_secs(20);
pub const READY: Millis = Millis::from_secs(20);

pub const fn to(weight: u16) -> Traffic {
    Traffic::In { weight }
}

pub fn order(name: &str, traffic: Traffic) -> ServerOrder {
    ServerOrder { name: name.into(), address: None, traffic, cohort: false }
}

pub fn route(router: Router, orders: &[(&str, Traffic)]) -> Route {
    Route {
        deployment: DeploymentId(1),
        group: "web".into(),
        router,
        servers: orders.iter().map(|(name, traffic)| order(name, *traffic)).collect(),
        drain: DRAIN,
        ready: READY,
        may_empty: false,
        partial: false,
    }
}

pub fn task(id: i64, generation: u64, work: Work) -> Task {
    let key = TaskKey { task: TaskId(id), attempt: 1 };
    Task { key, epoch: 1, generation, timeout: Millis::from_secs(120), work }
}

/// What one task did.
#[derive(Debug)]
pub struct Done {
    pub outcome: Outcome,
    pub log: String,
}

impl Done {
    pub fn routed(&self) -> &Routed {
        match &self.outcome {
            Outcome::Succeeded { answer: Some(Answer::Routed(routed)), .. } => routed,
            other => panic!("{other:#?}\n{}", self.log),
        }
    }

    pub fn server(&self, name: &str) -> &ServerState {
        self.routed().servers.iter().find(|server| server.name == name).unwrap()
    }

    /// The failure, which has to be the router's.
    pub fn refused(&self) -> &TaskError {
        match &self.outcome {
            Outcome::Failed { error, .. } => {
                assert_eq!(error.code, ErrorCode::RouterFailed, "{error:?}");
                error
            }
            other => panic!("{other:#?}\n{}", self.log),
        }
    }
}

/// Runs orders on a balancer.
pub async fn run(balancer: &Balancer, orders: &[(&str, Traffic)]) -> Done {
    run_route(balancer, route(balancer.router(), orders)).await
}

pub async fn run_route(balancer: &Balancer, route: Route) -> Done {
    run_with(balancer, route, 1, Cancel::default()).await
}

pub async fn run_with(balancer: &Balancer, route: Route, generation: u64, cancel: Cancel) -> Done {
    run_as(balancer, balancer.settings(), route, generation, cancel).await
}

pub async fn run_as(
    balancer: &Balancer,
    settings: Settings,
    route: Route,
    generation: u64,
    cancel: Cancel,
) -> Done {
    let ctx = context(balancer.dir(), settings, cancel);
    let task = task(1, generation, Work::Route(route.clone()));
    let outcome = agent::route::run(&task, &route, &ctx).await;
    let log = std::fs::read_to_string(ctx.dirs.task.join("log")).unwrap();
    Done { outcome, log }
}

pub async fn observe(balancer: &Balancer, servers: &[&str]) -> Counters {
    let servers = servers.iter().map(|name| (*name).to_owned()).collect();
    let observe = Observe { router: balancer.router(), servers };
    match agent::route::observe(&observe, &balancer.settings(), &balancer.dir().join("state")).await
    {
        Outcome::Succeeded { answer: Some(Answer::Counters(counters)), .. } => counters,
        other => panic!("{other:#?}"),
    }
}

fn context(dir: &Path, settings: Settings, cancel: Cancel) -> TaskContext {
    let state = dir.join("state");
    let task = tempfile::tempdir_in(dir).unwrap().keep();
    let cache = Arc::new(Cache::open(&state.join("cache"), 0).unwrap());
    let (progress, _) = ProgressSender::new();
    TaskContext {
        key: TaskKey { task: TaskId(1), attempt: 1 },
        log: LogWriter::new(Arc::new(Spool::open(&task.join("log")).unwrap())),
        progress,
        content: Content::local(cache, cancel.clone()),
        cancel,
        journal: TaskJournal::open(&task.join("journal")).unwrap(),
        dirs: Dirs { state, work: task.clone(), task },
        settings: Arc::new(settings),
        since: Since::now_after(Duration::ZERO),
    }
}
