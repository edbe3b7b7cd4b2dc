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
    pub(super) fn needs(&self) -> Vec<String> {
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
        "insert into tasks (role, kind, run_id, action, attempt, work, needs, epoch, timeout_ms)
         values ('build', 'build', $1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
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

/// What a deployment asks of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Of the host's own agent.
    Host(AgentId),
    /// Of the agent beside the balancer.
    Route(AgentId),
    /// Of the agent that makes hosts, about the second one.
    Launch(AgentId, AgentId),
    Dismiss(AgentId, AgentId),
}

impl Order {
    /// Kind, who does it, whom it is about.
    fn columns(self) -> (&'static str, AgentId, Option<i64>) {
        match self {
            Order::Host(host) => ("host", host, Some(host.0)),
            Order::Route(agent) => ("route", agent, None),
            Order::Launch(agent, host) => ("launch", agent, Some(host.0)),
            Order::Dismiss(agent, host) => ("dismiss", agent, Some(host.0)),
        }
    }

    /// Who does it.
    #[must_use]
    pub fn agent(self) -> AgentId {
        self.columns().1
    }
}

/// Hands an agent a part of a deployment; nothing when this attempt was handed out before.
pub async fn queue_order(
    conn: &mut PgConnection,
    deployment: DeploymentId,
    order: Order,
    attempt: u32,
    new: &New<'_>,
) -> sqlx::Result<()> {
    let (kind, agent, host) = order.columns();
    sqlx::query(
        "insert into tasks (role, kind, deployment_id, agent_id, host_id, attempt, work, needs,
                            generation, epoch, timeout_ms, claimed_at)
         values ('deploy', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now()) on conflict do nothing",
    )
    .bind(kind)
    .bind(deployment.0)
    .bind(agent.0)
    .bind(host)
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

/// Asks for a part of a deployment to be stopped: the host's own work, or the balancer's.
pub async fn cancel_order(
    conn: &mut PgConnection,
    deployment: DeploymentId,
    order: Order,
    attempt: u32,
) -> sqlx::Result<()> {
    let (kind, agent, host) = order.columns();
    sqlx::query(
        "update tasks set cancel = true
         where deployment_id = $1 and kind = $2 and agent_id = $3
           and host_id is not distinct from $4 and attempt = $5 and finished_at is null",
    )
    .bind(deployment.0)
    .bind(kind)
    .bind(agent.0)
    .bind(host)
    .bind(i32::try_from(attempt).unwrap_or(i32::MAX))
    .execute(conn)
    .await
    .map(|_| ())
}

/// Tasks the deployment no longer waits for: finished deployments leave none behind.
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
