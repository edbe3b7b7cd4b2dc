//! Tasks: work handed to agents. A row is the order, its claim and its result in one.

use ::pipelines::ids::{AgentId, DeploymentId, Digest, RunId, TaskId};
use ::pipelines::protocol::report::{Outcome, Progress};
use ::pipelines::protocol::task::{Task, TaskKey, Work};
use ::pipelines::time::Millis;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};

/// A task of one run's action or of one deployment's host.
#[derive(Debug, Clone, FromRow)]
pub struct Row {
    pub id: i64,
    pub role: String,
    pub run_id: Option<i64>,
    pub action: Option<String>,
    pub deployment_id: Option<i64>,
    pub attempt: i32,
    pub agent_id: Option<i64>,
    pub agent: Option<String>,
    pub cancel: bool,
    pub progress: Option<Json<Progress>>,
    pub outcome: Option<Json<Outcome>>,
    pub log_size: Option<i64>,
    pub created_at: i64,
    pub claimed_at: Option<i64>,
    pub finished_at: Option<i64>,
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
    Run { run: RunId, action: String },
    Deployment { deployment: DeploymentId, host: AgentId },
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
            "select tasks.id, tasks.role, run_id, action, deployment_id, attempt, agent_id,
                    agents.name as agent, cancel, progress, outcome, log_size,
                    ms(tasks.created_at) as created_at, ms(claimed_at) as claimed_at,
                    ms(finished_at) as finished_at
             from tasks left join agents on agents.id = agent_id ",
            $tail
        )
    };
}

/// Everything an agent will be told, and the artifacts it may fetch for it.
#[derive(Debug, Clone)]
pub struct New<'a> {
    pub work: &'a Work,
    pub needs: Vec<Digest>,
    pub generation: u64,
    pub epoch: u64,
    pub timeout: Millis,
}

impl New<'_> {
    fn needs(&self) -> Vec<String> {
        self.needs.iter().map(ToString::to_string).collect()
    }
}

/// Queues a build; nothing when this attempt was queued before.
pub async fn queue_build(
    conn: &mut PgConnection,
    run: RunId,
    action: &str,
    attempt: u32,
    new: &New<'_>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into tasks (role, run_id, action, attempt, work, needs, epoch, timeout_ms)
         values ('build', $1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
    )
    .bind(run.0)
    .bind(action)
    .bind(i32::try_from(attempt).unwrap_or(i32::MAX))
    .bind(Json(new.work))
    .bind(new.needs())
    .bind(i64::try_from(new.epoch).unwrap_or(i64::MAX))
    .bind(i64::try_from(new.timeout.0).unwrap_or(i64::MAX))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Hands a host its work; nothing when this attempt was handed out before.
pub async fn queue_host(
    conn: &mut PgConnection,
    deployment: DeploymentId,
    host: AgentId,
    attempt: u32,
    new: &New<'_>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into tasks (role, deployment_id, agent_id, attempt, work, needs, generation, epoch,
                            timeout_ms, claimed_at)
         values ('deploy', $1, $2, $3, $4, $5, $6, $7, $8, now()) on conflict do nothing",
    )
    .bind(deployment.0)
    .bind(host.0)
    .bind(i32::try_from(attempt).unwrap_or(i32::MAX))
    .bind(Json(new.work))
    .bind(new.needs())
    .bind(i64::try_from(new.generation).unwrap_or(i64::MAX))
    .bind(i64::try_from(new.epoch).unwrap_or(i64::MAX))
    .bind(i64::try_from(new.timeout.0).unwrap_or(i64::MAX))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Claims up to `slots` queued builds for an agent; two agents never get the same one.
pub async fn claim_builds(
    conn: &mut PgConnection,
    agent: AgentId,
    slots: i64,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "update tasks set agent_id = $1, claimed_at = now() where id in (
             select id from tasks
             where agent_id is null and finished_at is null and role = 'build' and not cancel
             order by id limit $2 for update skip locked)",
    )
    .bind(agent.0)
    .bind(slots)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
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

pub async fn of_run(conn: &mut PgConnection, run: RunId) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(select!("where run_id = $1 order by tasks.id")).bind(run.0).fetch_all(conn).await
}

pub async fn of_deployment(
    conn: &mut PgConnection,
    deployment: DeploymentId,
) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(select!("where deployment_id = $1 order by tasks.id"))
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
) -> sqlx::Result<bool> {
    sqlx::query("set local synchronous_commit = off").execute(&mut *conn).await?;
    let done = sqlx::query(
        "update tasks set progress = $4
         where id = $1 and attempt = $2 and agent_id = $3 and finished_at is null",
    )
    .bind(key.task.0)
    .bind(i32::try_from(key.attempt).unwrap_or(i32::MAX))
    .bind(agent.0)
    .bind(Json(progress))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The result of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// Written now; tell the owner.
    Now(Owner),
    /// This very attempt was finished by this agent before: a repeated report.
    Before,
    /// Not this agent's task, or given up already.
    NotCurrent,
}

/// Ends a task with the agent's word for it.
pub async fn finish(
    conn: &mut PgConnection,
    agent: AgentId,
    key: TaskKey,
    outcome: &Outcome,
    log_size: u64,
) -> sqlx::Result<Finish> {
    let row: Option<OwnerRow> = sqlx::query_as(
        "update tasks set outcome = $4, log_size = $5, finished_at = now()
         where id = $1 and attempt = $2 and agent_id = $3 and finished_at is null
         returning run_id, action, deployment_id, agent_id",
    )
    .bind(key.task.0)
    .bind(i32::try_from(key.attempt).unwrap_or(i32::MAX))
    .bind(agent.0)
    .bind(Json(outcome))
    .bind(i64::try_from(log_size).unwrap_or(i64::MAX))
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(owner) = row.and_then(OwnerRow::owner) {
        return Ok(Finish::Now(owner));
    }
    let before: bool = sqlx::query_scalar(
        "select exists (select from tasks where id = $1 and attempt = $2 and agent_id = $3
                        and outcome = $4)",
    )
    .bind(key.task.0)
    .bind(i32::try_from(key.attempt).unwrap_or(i32::MAX))
    .bind(agent.0)
    .bind(Json(outcome))
    .fetch_one(conn)
    .await?;
    Ok(if before { Finish::Before } else { Finish::NotCurrent })
}

#[derive(FromRow)]
struct OwnerRow {
    run_id: Option<i64>,
    action: Option<String>,
    deployment_id: Option<i64>,
    agent_id: Option<i64>,
}

impl OwnerRow {
    fn owner(self) -> Option<Owner> {
        match (self.run_id, self.action, self.deployment_id, self.agent_id) {
            (Some(run), Some(action), ..) => Some(Owner::Run { run: RunId(run), action }),
            (_, _, Some(deployment), Some(host)) => Some(Owner::Deployment {
                deployment: DeploymentId(deployment),
                host: AgentId(host),
            }),
            _ => None,
        }
    }
}

/// Ends a task without its agent: it was never delivered, or its agent is gone.
pub async fn give_up(
    conn: &mut PgConnection,
    task: TaskId,
    outcome: &Outcome,
) -> sqlx::Result<Option<Owner>> {
    let row: Option<OwnerRow> = sqlx::query_as(
        "update tasks set outcome = $2, finished_at = now()
         where id = $1 and finished_at is null
         returning run_id, action, deployment_id, agent_id",
    )
    .bind(task.0)
    .bind(Json(outcome))
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(OwnerRow::owner))
}

/// Asks for a build to be stopped; returns its task and whether an agent has it.
pub async fn cancel_build(
    conn: &mut PgConnection,
    run: RunId,
    action: &str,
    attempt: u32,
) -> sqlx::Result<Option<(TaskId, bool)>> {
    let row: Option<(i64, bool)> = sqlx::query_as(
        "update tasks set cancel = true
         where run_id = $1 and action = $2 and attempt = $3 and finished_at is null
         returning id, agent_id is not null",
    )
    .bind(run.0)
    .bind(action)
    .bind(i32::try_from(attempt).unwrap_or(i32::MAX))
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|(id, taken)| (TaskId(id), taken)))
}

/// Asks for a host's work to be stopped.
pub async fn cancel_host(
    conn: &mut PgConnection,
    deployment: DeploymentId,
    host: AgentId,
    attempt: u32,
) -> sqlx::Result<()> {
    sqlx::query(
        "update tasks set cancel = true
         where deployment_id = $1 and agent_id = $2 and attempt = $3 and finished_at is null",
    )
    .bind(deployment.0)
    .bind(host.0)
    .bind(i32::try_from(attempt).unwrap_or(i32::MAX))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Deploy tasks the deployment no longer waits for: finished deployments leave none behind.
pub async fn close_deployment(
    conn: &mut PgConnection,
    deployment: DeploymentId,
) -> sqlx::Result<()> {
    sqlx::query(
        "update tasks set finished_at = now(), cancel = true
         where deployment_id = $1 and finished_at is null",
    )
    .bind(deployment.0)
    .execute(conn)
    .await
    .map(|_| ())
}

/// Builds held by agents that fell silent: task, and the agent's name.
pub async fn builds_held_by(
    conn: &mut PgConnection,
    agents: &[i64],
) -> sqlx::Result<Vec<(TaskId, String)>> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "select tasks.id, agents.name from tasks join agents on agents.id = agent_id
         where agent_id = any($1) and tasks.role = 'build' and finished_at is null",
    )
    .bind(agents)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(id, name)| (TaskId(id), name)).collect())
}
