//! Plans and drift: questions to agents and what is made of the answers. The agents' part is played
//! here, by hand, through the store.

mod deploy;
mod drift;
mod plan;
mod start;

use super::sample;
use super::server::Server;
use axum::http::StatusCode;
use bytes::Bytes;
use pipelines::command::Serving;
use pipelines::ids::{AgentId, DeploymentId};
use pipelines::protocol::answer::{Answer, Change, FileChange};
use pipelines::protocol::join::{JoinRequest, Role as AgentRole};
use pipelines::protocol::report::{ErrorCode, Outcome, TaskError};
use pipelines::protocol::task::{Artifact, Purpose, Revision, Task, Work};
use pipelines::time::Millis;
use serde_json::json;
use std::time::{Duration, Instant};
use store::users::Role;
use store::{PgPool, agents, artifacts, deployments, groups, tasks};

async fn join(server: &Server, name: &str) -> AgentId {
    let mut conn = server.app.pool.acquire().await.unwrap();
    let tags = [("role".to_owned(), "web".to_owned())].into();
    let minute = Millis::from_secs(60);
    let (id, secret) =
        agents::create_join_token(&mut conn, AgentRole::Deploy, &tags, 1, minute, "ada")
            .await
            .unwrap();
    let request = JoinRequest {
        protocol: 1,
        token: id,
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        tags: Default::default(),
        idempotency: name.to_owned(),
    };
    agents::join(&mut conn, &secret, &request, "10.0.0.1").await.unwrap().0
}

/// A group of three hosts and an operator's token.
async fn installation(group: &str) -> (Server, String, Vec<AgentId>) {
    let server = Server::start().await;
    let token = server.user("oda", Role::Operator).await;
    let body = json!({"files": [{"path": "group.yml", "text": group}], "dry_run": false});
    let answer = server.post("/api/v1/apply", &token, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let mut hosts = Vec::new();
    for number in 1..=3 {
        hosts.push(join(&server, &format!("host-{number}")).await);
    }
    (server, token, hosts)
}

/// Content the controller has.
async fn artifact(server: &Server, content: &'static str) -> Artifact {
    let bytes = futures::stream::iter([Ok(Bytes::from_static(content.as_bytes()))]);
    let artifact = server.app.objects.put(bytes, None, 1000).await.unwrap();
    let mut conn = server.app.pool.acquire().await.unwrap();
    artifacts::note(&mut conn, &artifact).await.unwrap();
    artifact
}

/// Host and group are noted to serve this since a successful deployment.
async fn serves(server: &Server, hosts: &[AgentId], revision: &Revision) -> DeploymentId {
    let mut conn = server.app.pool.acquire().await.unwrap();
    let group = groups::by_name(&mut conn, "production").await.unwrap().unwrap();
    let purpose = Purpose::Forward;
    let order = deployments::Order { group: group.id, revision, purpose, by: "ada", run: None };
    let id = deployments::create(&mut conn, &order).await.unwrap().unwrap();
    let row = sample::deployment();
    let (plan, mut state) = (row.plan.unwrap().0, row.state.unwrap().0);
    state.phase = pipelines::deploy::Phase::Succeeded;
    let save =
        deployments::Save { plan: &plan, state: &state, waiting: &[], wake_at: None, version: 0 };
    assert!(deployments::save(&mut conn, id, &save).await.unwrap());
    for host in hosts {
        let serving = Serving::Revision(revision.clone());
        groups::record_host(&mut conn, group.id, *host, id, &serving).await.unwrap();
    }
    groups::record_good(&mut conn, group.id, hosts, revision).await.unwrap();
    id
}

/// Plays these hosts' agents: answers one question each, and returns the tasks they got.
async fn play(
    pool: PgPool,
    hosts: Vec<AgentId>,
    answer: impl Fn(AgentId, &Task) -> Outcome,
) -> Vec<Task> {
    let mut got = Vec::new();
    for host in hosts {
        let until = Instant::now() + Duration::from_secs(10);
        let task = loop {
            let mut conn = pool.acquire().await.unwrap();
            if let Some(held) = tasks::held(&mut conn, host).await.unwrap().pop() {
                break held.task;
            }
            assert!(Instant::now() < until, "{host} was never asked");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let mut conn = pool.acquire().await.unwrap();
        if let Work::Preview(deploy) = &task.work {
            let digest = &deploy.revision.bundle.digest;
            assert!(tasks::may_fetch(&mut conn, host, digest).await.unwrap(), "it may download");
        }
        let outcome = answer(host, &task);
        tasks::finish(&mut conn, host, task.key, &outcome, 0).await.unwrap();
        got.push(task);
    }
    got
}

fn said(answer: Answer) -> Outcome {
    let (steps, artifacts, exported) = (Vec::new(), Vec::new(), Default::default());
    Outcome::Succeeded { steps, artifacts, exported, answer: Some(answer) }
}

fn failed(message: &str) -> Outcome {
    let error = TaskError {
        code: ErrorCode::AgentError,
        message: message.to_owned(),
        step: None,
        command: None,
        touched: false,
    };
    Outcome::Failed { steps: Vec::new(), error, artifacts: Vec::new() }
}

fn change(path: &str, change: Change) -> FileChange {
    FileChange { path: path.to_owned(), change }
}

/// What agents were asked and have not answered.
async fn open_questions(server: &Server, hosts: &[AgentId]) -> usize {
    let mut conn = server.app.pool.acquire().await.unwrap();
    let mut open = 0;
    for host in hosts {
        open += tasks::held(&mut conn, *host).await.unwrap().len();
    }
    open
}
