//! Ending tasks: by the agent's word, or by ours.

use super::Owner;
use ::pipelines::ids::{AgentId, DeploymentId, RunId, TaskId};
use ::pipelines::protocol::report::Outcome;
use ::pipelines::protocol::task::TaskKey;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};

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
        "update tasks set outcome = $4, log_size = $5, finished_at = now(),
                -- a secret is kept no longer than it is needed
                work = work #- '{launch,token}'
         where id = $1 and attempt = $2 and agent_id = $3 and finished_at is null
         returning kind, run_id, action, deployment_id, host_id",
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
    kind: String,
    run_id: Option<i64>,
    action: Option<String>,
    deployment_id: Option<i64>,
    host_id: Option<i64>,
}

impl OwnerRow {
    fn owner(self) -> Option<Owner> {
        let deployment = self.deployment_id.map(DeploymentId);
        let host = self.host_id.map(AgentId);
        Some(match self.kind.as_str() {
            "build" => Owner::Run { run: RunId(self.run_id?), action: self.action? },
            "host" => Owner::Host { deployment: deployment?, host: host? },
            "route" => Owner::Route { deployment: deployment? },
            "launch" | "dismiss" => Owner::Instance { deployment: deployment?, host: host? },
            "question" => Owner::Question { deployment },
            _ => return None,
        })
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
         returning kind, run_id, action, deployment_id, host_id",
    )
    .bind(task.0)
    .bind(Json(outcome))
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(OwnerRow::owner))
}
