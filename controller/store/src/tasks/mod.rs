//! Tasks: work handed to agents. A row is the order, its claim and its result in one.

mod finish;
mod place;
mod question;
mod queue;

pub use finish::*;
pub use place::places;
pub use question::*;
pub use queue::*;

use ::pipelines::ids::{AgentId, DeploymentId, Digest, RunId, TaskId};
use ::pipelines::protocol::report::{Outcome, Progress};
use ::pipelines::protocol::task::{Task, TaskKey, Work};
use ::pipelines::time::Millis;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};

/// A task, whoever it belongs to.
#[derive(Debug, Clone, FromRow)]
pub struct Row {
    pub id: i64,
    /// `build`, `host`, `route`, `launch`, `dismiss` or `question`.
    pub kind: String,
    pub run_id: Option<i64>,
    pub action: Option<String>,
    pub deployment_id: Option<i64>,
    pub attempt: i32,
    pub agent_id: Option<i64>,
    pub agent: Option<String>,
    /// The host it is about, where it is about one.
    pub host_id: Option<i64>,
    pub cancel: bool,
    pub progress: Option<Json<Progress>>,
    pub outcome: Option<Json<Outcome>>,
    pub log_size: Option<i64>,
    pub created_at: i64,
    pub claimed_at: Option<i64>,
    /// Its agent was heard to work on it; known of deployments' work on hosts.
    pub started_at: Option<i64>,
    pub finished_at: Option<i64>,
}

/// What became of a report of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    Yes,
    /// It is the first one of a task that had to wait for its turn; this deployment's deadlines move.
    Begun(DeploymentId),
    /// The task is not this agent's, or is over.
    NotCurrent,
}

/// A task an agent should hold.
#[derive(Debug, Clone, FromRow)]
struct HeldRow {
    id: i64,
    attempt: i32,
    work: Json<Work>,
    generation: i64,
    epoch: i64,
    timeout_ms: i64,
    cancel: bool,
}

/// What an agent should hold.
#[derive(Debug, Clone)]
pub struct Held {
    pub task: Task,
    pub cancel: bool,
}

/// Whom a finished task's result concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    Run {
        run: RunId,
        action: String,
    },
    /// A host's own work.
    Host {
        deployment: DeploymentId,
        host: AgentId,
    },
    /// A change of the balancer.
    Route {
        deployment: DeploymentId,
    },
    /// A host being made or taken away.
    Instance {
        deployment: DeploymentId,
        host: AgentId,
    },
    /// Whoever asked looks for the answer; for this deployment, where it was for one.
    Question {
        deployment: Option<DeploymentId>,
    },
}

impl Row {
    #[must_use]
    pub fn key(&self) -> TaskKey {
        TaskKey { task: TaskId(self.id), attempt: self.attempt.unsigned_abs() }
    }
}

macro_rules! select {
    ($tail:literal) => {
        concat!(
            "select tasks.id, tasks.kind, run_id, action, deployment_id, attempt, agent_id,
                    agents.name as agent, host_id, cancel, progress, outcome, log_size,
                    ms(tasks.created_at) as created_at, ms(claimed_at) as claimed_at,
                    ms(started_at) as started_at, ms(finished_at) as finished_at
             from tasks left join agents on agents.id = agent_id ",
            $tail
        )
    };
}

/// Everything the agent should hold now, oldest first.
pub async fn held(conn: &mut PgConnection, agent: AgentId) -> sqlx::Result<Vec<Held>> {
    let rows: Vec<HeldRow> = sqlx::query_as(
        "select id, attempt, work, generation, epoch, timeout_ms, cancel
         from tasks where agent_id = $1 and finished_at is null order by id",
    )
    .bind(agent.0)
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Held {
            cancel: row.cancel,
            task: Task {
                key: TaskKey { task: TaskId(row.id), attempt: row.attempt.unsigned_abs() },
                epoch: row.epoch.unsigned_abs(),
                generation: row.generation.unsigned_abs(),
                timeout: Millis(row.timeout_ms.unsigned_abs()),
                work: row.work.0,
            },
        })
        .collect())
}

pub async fn by_id(conn: &mut PgConnection, id: TaskId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(select!("where tasks.id = $1")).bind(id.0).fetch_optional(conn).await
}

/// What a task asks for.
pub async fn work(conn: &mut PgConnection, id: TaskId) -> sqlx::Result<Option<Work>> {
    let work: Option<Json<Work>> = sqlx::query_scalar("select work from tasks where id = $1")
        .bind(id.0)
        .fetch_optional(conn)
        .await?;
    Ok(work.map(|Json(work)| work))
}

pub async fn of_run(conn: &mut PgConnection, run: RunId) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(select!("where run_id = $1 order by tasks.id")).bind(run.0).fetch_all(conn).await
}

pub async fn of_deployment(
    conn: &mut PgConnection,
    deployment: DeploymentId,
) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(select!("where deployment_id = $1 and kind <> 'question' order by tasks.id"))
        .bind(deployment.0)
        .fetch_all(conn)
        .await
}

/// Whether the agent works on this attempt right now.
pub async fn holds(conn: &mut PgConnection, agent: AgentId, key: TaskKey) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from tasks where id = $1 and attempt = $2 and agent_id = $3
                        and finished_at is null)",
    )
    .bind(key.task.0)
    .bind(i32::try_from(key.attempt).unwrap_or(i32::MAX))
    .bind(agent.0)
    .fetch_one(conn)
    .await
}

/// Whether a task the agent holds needs this artifact.
pub async fn may_fetch(
    conn: &mut PgConnection,
    agent: AgentId,
    digest: &Digest,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from tasks where agent_id = $1 and finished_at is null
                        and $2 = any(needs))",
    )
    .bind(agent.0)
    .bind(digest.as_str())
    .fetch_one(conn)
    .await
}

/// Notes how far a task is. Not worth waiting for the disk: a later report says it all again.
pub async fn note_progress(
    conn: &mut PgConnection,
    agent: AgentId,
    key: TaskKey,
    progress: &Progress,
) -> sqlx::Result<Noted> {
    sqlx::query("set local synchronous_commit = off").execute(&mut *conn).await?;
    let row: Option<Option<i64>> = sqlx::query_scalar(
        "update tasks set progress = $4, started_at = coalesce(started_at, now())
         where id = $1 and attempt = $2 and agent_id = $3 and finished_at is null
         returning case when kind = 'host' and started_at = now()
                         and started_at > claimed_at + interval '1 second' then deployment_id end",
    )
    .bind(key.task.0)
    .bind(i32::try_from(key.attempt).unwrap_or(i32::MAX))
    .bind(agent.0)
    .bind(Json(progress))
    .fetch_optional(conn)
    .await?;
    Ok(match row {
        None => Noted::NotCurrent,
        Some(None) => Noted::Yes,
        Some(Some(deployment)) => Noted::Begun(DeploymentId(deployment)),
    })
}

/// Builds nobody will end: held by an agent that is silent or revoked, or far over their time.
/// Task, and the agent's name.
pub async fn abandoned_builds(
    conn: &mut PgConnection,
    silence: Millis,
) -> sqlx::Result<Vec<(TaskId, String)>> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "select tasks.id, agents.name from tasks join agents on agents.id = agent_id
         where tasks.role = 'build' and finished_at is null
           and (agents.state = 'revoked'
                or agents.seen_at <= now() - $1 * interval '1 millisecond'
                or claimed_at < now() - (timeout_ms + 120000) * interval '1 millisecond')",
    )
    .bind(i64::try_from(silence.0).unwrap_or(i64::MAX))
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(id, name)| (TaskId(id), name)).collect())
}
