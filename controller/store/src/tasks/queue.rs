//! Handing work out, claiming it, and calling it back.

use ::pipelines::ids::{AgentId, DeploymentId, Digest, RunId, TaskId};
use ::pipelines::protocol::task::Work;
use ::pipelines::time::Millis;
use sqlx::PgConnection;
use sqlx::types::Json;

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
               and exists (select from agents where agents.id = $1 and agents.state = 'active')
             order by id limit $2 for update skip locked)",
    )
    .bind(agent.0)
    .bind(slots)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
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
