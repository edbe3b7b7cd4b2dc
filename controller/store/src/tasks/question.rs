//! Questions: tasks whose answer moves nothing by itself. Whoever asked looks for it.

use super::New;
use ::pipelines::ids::{AgentId, DeploymentId, TaskId};
use ::pipelines::protocol::report::Outcome;
use ::pipelines::time::Millis;
use sqlx::PgConnection;
use sqlx::types::Json;

/// Asks an agent, on a deployment's behalf or on a person's. Wake the agent after the commit.
pub async fn ask(
    conn: &mut PgConnection,
    agent: AgentId,
    deployment: Option<DeploymentId>,
    new: &New<'_>,
) -> sqlx::Result<TaskId> {
    let id: i64 = sqlx::query_scalar(
        "insert into tasks (role, kind, deployment_id, agent_id, attempt, work, needs, generation,
                            epoch, timeout_ms, claimed_at)
         values ('deploy', 'question', $1, $2, 1, $3, $4, $5, $6, $7, now()) returning id",
    )
    .bind(deployment.map(|id| id.0))
    .bind(agent.0)
    .bind(Json(new.work))
    .bind(new.needs())
    .bind(i64::try_from(new.generation).unwrap_or(i64::MAX))
    .bind(i64::try_from(new.epoch).unwrap_or(i64::MAX))
    .bind(i64::try_from(new.timeout.0).unwrap_or(i64::MAX))
    .fetch_one(conn)
    .await?;
    Ok(TaskId(id))
}

/// What a question came to; None while nobody answered.
pub async fn answer(conn: &mut PgConnection, question: TaskId) -> sqlx::Result<Option<Outcome>> {
    let outcome: Option<Option<Json<Outcome>>> =
        sqlx::query_scalar("select outcome from tasks where id = $1 and kind = 'question'")
            .bind(question.0)
            .fetch_optional(conn)
            .await?;
    Ok(outcome.flatten().map(|Json(outcome)| outcome))
}

/// What these questions came to; those that nobody answered yet are left out.
pub async fn answers(
    conn: &mut PgConnection,
    questions: &[TaskId],
) -> sqlx::Result<Vec<(TaskId, Outcome)>> {
    let ids: Vec<i64> = questions.iter().map(|id| id.0).collect();
    let rows: Vec<(i64, Json<Outcome>)> = sqlx::query_as(
        "select id, outcome from tasks
         where id = any($1) and kind = 'question' and outcome is not null",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(id, Json(outcome))| (TaskId(id), outcome)).collect())
}

/// Nobody waits for this answer any more.
pub async fn withdraw(conn: &mut PgConnection, question: TaskId) -> sqlx::Result<()> {
    sqlx::query(
        "update tasks set cancel = true, finished_at = now()
         where id = $1 and kind = 'question' and finished_at is null",
    )
    .bind(question.0)
    .execute(conn)
    .await
    .map(|_| ())
}

/// Removes at most `most` questions that are older than this, answered or not; how many those were.
pub async fn forget_questions(
    conn: &mut PgConnection,
    age: Millis,
    most: i64,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "delete from tasks where id in (
             select id from tasks
             where kind = 'question' and created_at < now() - $1 * interval '1 millisecond'
             order by created_at limit $2)",
    )
    .bind(i64::try_from(age.0).unwrap_or(i64::MAX))
    .bind(most)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
