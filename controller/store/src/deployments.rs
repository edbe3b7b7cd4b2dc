//! Deployments: the state row the engine advances, and what pages and commands read.

use crate::inbox;
use ::pipelines::command::Waiting;
use ::pipelines::deploy::{Event, Plan, State};
use ::pipelines::ids::{DeploymentId, RunId, TaskId};
use ::pipelines::protocol::task::{Purpose, Revision};
use ::pipelines::spec::group::{Group, NewerDeployment};
use ::pipelines::time::Timestamp;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};

#[derive(Debug, Clone, FromRow)]
pub struct Row {
    pub id: i64,
    pub group_id: i64,
    pub group_name: String,
    pub run_id: Option<i64>,
    pub action: Option<String>,
    pub attempt: Option<i32>,
    pub purpose: String,
    pub revision: Json<Revision>,
    /// None until the engine first looked at it.
    pub plan: Option<Json<Plan>>,
    pub status: String,
    pub state: Option<Json<State>>,
    pub waiting: Json<Vec<Waiting>>,
    pub version: i32,
    pub stuck: Option<String>,
    /// When its balancer was last read for it.
    pub surveyed_at: Option<i64>,
    pub created_by: String,
    pub created_at: i64,
    pub finished_at: Option<i64>,
}

impl Row {
    #[must_use]
    pub fn id(&self) -> DeploymentId {
        DeploymentId(self.id)
    }

    #[must_use]
    pub fn purpose(&self) -> Purpose {
        if self.purpose == "rollback" { Purpose::Rollback } else { Purpose::Forward }
    }
}

/// The order for a new deployment.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    pub group: i64,
    pub revision: &'a Revision,
    pub purpose: Purpose,
    pub by: &'a str,
    /// The run's action that waits for it: run, action, attempt.
    pub run: Option<(RunId, &'a str, u32)>,
}

macro_rules! select {
    ($tail:literal) => {
        concat!(
            "select deployments.id, group_id, groups.name as group_name, run_id, action, attempt,
                    purpose, revision, plan, status, state, waiting, deployments.version, stuck,
                    ms(surveyed_at) as surveyed_at,
                    created_by, ms(deployments.created_at) as created_at,
                    ms(finished_at) as finished_at
             from deployments join groups on groups.id = group_id ",
            $tail
        )
    };
}

/// A deployment the group has no room for, by its `newer: reject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected {
    /// The unfinished one in its way.
    pub by: DeploymentId,
}

/// Creates a queued deployment, or finds the one this run's action created before. Wake the engine
/// after the commit. What it does to those before it is the group's `newer`; none is ever stopped at
/// work. A rollback is never rejected, and takes the place of whatever waits: those who wait would undo
/// it.
pub async fn create(
    conn: &mut PgConnection,
    order: &Order<'_>,
) -> sqlx::Result<Result<DeploymentId, Rejected>> {
    let spec: Json<Group> = sqlx::query_scalar("select spec from groups where id = $1")
        .bind(order.group)
        .fetch_one(&mut *conn)
        .await?;
    let forward = order.purpose == Purpose::Forward;
    if forward
        && spec.newer == NewerDeployment::Reject
        && created_before(conn, order).await?.is_none()
        && let Some((by, _)) = unfinished(conn, order.group).await?.into_iter().next()
    {
        return Ok(Err(Rejected { by }));
    }
    let (id, new) = insert(conn, order).await?;
    if new {
        inbox::post_deployment(conn, id, &Event::Tick).await?;
        let overtakes = !forward || spec.newer == NewerDeployment::Supersede;
        for other in queued(conn, order.group).await?.into_iter().filter(|_| overtakes) {
            if other != id {
                let event = Event::Supersede { by: id.to_string() };
                inbox::post_deployment(conn, other, &event).await?;
            }
        }
    }
    Ok(Ok(id))
}

/// The one this run's action created before.
async fn created_before(
    conn: &mut PgConnection,
    order: &Order<'_>,
) -> sqlx::Result<Option<DeploymentId>> {
    let Some((run, action, attempt)) = order.run else { return Ok(None) };
    let id: Option<i64> = sqlx::query_scalar(
        "select id from deployments where run_id = $1 and action = $2 and attempt = $3",
    )
    .bind(run.0)
    .bind(action)
    .bind(i32::try_from(attempt).ok())
    .fetch_optional(conn)
    .await?;
    Ok(id.map(DeploymentId))
}

/// The order's deployment, and whether it is new.
async fn insert(conn: &mut PgConnection, order: &Order<'_>) -> sqlx::Result<(DeploymentId, bool)> {
    let (run, action, attempt) = match order.run {
        Some((run, action, attempt)) => (Some(run.0), Some(action), i32::try_from(attempt).ok()),
        None => (None, None, None),
    };
    let purpose = match order.purpose {
        Purpose::Forward => "forward",
        Purpose::Rollback => "rollback",
    };
    let created: Option<i64> = sqlx::query_scalar(
        "insert into deployments
             (group_id, run_id, action, attempt, purpose, revision, status, created_by)
         values ($1, $2, $3, $4, $5, $6, 'queued', $7)
         on conflict (run_id, action, attempt) do nothing returning id",
    )
    .bind(order.group)
    .bind(run)
    .bind(action)
    .bind(attempt)
    .bind(purpose)
    .bind(Json(order.revision))
    .bind(order.by)
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(id) = created {
        return Ok((DeploymentId(id), true));
    }
    let before = created_before(conn, order).await?;
    Ok((before.ok_or(sqlx::Error::RowNotFound)?, false))
}

/// The deployments of a group that go forward and have not begun: a newer one may take their place.
pub async fn queued(conn: &mut PgConnection, group: i64) -> sqlx::Result<Vec<DeploymentId>> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "select id from deployments
         where group_id = $1 and finished_at is null and status = 'queued' and purpose = 'forward'",
    )
    .bind(group)
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(DeploymentId).collect())
}

pub async fn by_id(conn: &mut PgConnection, id: DeploymentId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(select!("where deployments.id = $1")).bind(id.0).fetch_optional(conn).await
}

/// The unfinished deployments of a group, oldest first, with their status.
pub async fn unfinished(
    conn: &mut PgConnection,
    group: i64,
) -> sqlx::Result<Vec<(DeploymentId, String)>> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "select id, status from deployments where group_id = $1 and finished_at is null order by id",
    )
    .bind(group)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(id, status)| (DeploymentId(id), status)).collect())
}

/// Deployments that wait for work on a host, or at a balancer, whose agent is not among these: they must
/// hear that it fell silent.
pub async fn waiting_for_others(
    conn: &mut PgConnection,
    alive: &[i64],
) -> sqlx::Result<Vec<DeploymentId>> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "select id from deployments
         where status in ('running', 'failing', 'rolling-back') and stuck is null
           and (exists (select from jsonb_each(state->'hosts') as host
                        where jsonb_typeof(host.value->'work') = 'object' and host.key::bigint <> all($1))
                or (jsonb_array_length(state->'routes') > 0
                    and (plan->'router'->>'agent')::bigint <> all($1)))",
    )
    .bind(alive)
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(DeploymentId).collect())
}

/// What a decision left behind.
pub struct Save<'a> {
    pub plan: &'a Plan,
    pub state: &'a State,
    pub waiting: &'a [Waiting],
    pub wake_at: Option<Timestamp>,
    /// The version the decision was made on.
    pub version: i32,
}

/// Saves a decision; false when the row was changed since it was read, and nothing was written.
pub async fn save(
    conn: &mut PgConnection,
    id: DeploymentId,
    save: &Save<'_>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update deployments set plan = $3, state = $4, status = $5, waiting = $6,
                wake_at = from_ms($7), version = version + 1,
                finished_at = case when $8 then now() end
         where id = $1 and version = $2",
    )
    .bind(id.0)
    .bind(save.version)
    .bind(Json(save.plan))
    .bind(Json(save.state))
    .bind(save.state.phase.as_str())
    .bind(Json(save.waiting))
    .bind(save.wake_at.map(|at| at.0))
    .bind(save.state.phase.is_final())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The question about its balancer that was asked last, and when.
pub async fn survey(
    conn: &mut PgConnection,
    id: DeploymentId,
) -> sqlx::Result<Option<(TaskId, Timestamp)>> {
    let row: Option<(i64, i64)> = sqlx::query_as(
        "select tasks.id, ms(tasks.created_at) from deployments
         join tasks on tasks.id = survey_task where deployments.id = $1",
    )
    .bind(id.0)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|(task, at)| (TaskId(task), Timestamp(at))))
}

/// It asks about its balancer.
pub async fn surveys(conn: &mut PgConnection, id: DeploymentId, task: TaskId) -> sqlx::Result<()> {
    sqlx::query("update deployments set survey_task = $2 where id = $1")
        .bind(id.0)
        .bind(task.0)
        .execute(conn)
        .await
        .map(|_| ())
}

/// The balancer's answer was written down just now.
pub async fn surveyed(conn: &mut PgConnection, id: DeploymentId) -> sqlx::Result<()> {
    sqlx::query("update deployments set survey_task = null, surveyed_at = now() where id = $1")
        .bind(id.0)
        .execute(conn)
        .await
        .map(|_| ())
}

pub async fn mark_stuck(conn: &mut PgConnection, id: DeploymentId, why: &str) -> sqlx::Result<()> {
    sqlx::query("update deployments set stuck = $2 where id = $1")
        .bind(id.0)
        .bind(why)
        .execute(conn)
        .await
        .map(|_| ())
}

/// Newest first, older than `before`, of one group or of all.
pub async fn list(
    conn: &mut PgConnection,
    group: Option<&str>,
    before: Option<DeploymentId>,
    limit: i64,
) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(select!(
        "where ($1::text is null or groups.name = $1)
           and ($2::bigint is null or deployments.id < $2)
         order by deployments.id desc limit $3"
    ))
    .bind(group)
    .bind(before.map(|id| id.0))
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// The revisions that were deployed to the group with success, each once, with its last deployment
/// that went forward. Newest first by that one: a return to a revision does not make it newer.
pub async fn good_revisions(
    conn: &mut PgConnection,
    group: i64,
    limit: i64,
) -> sqlx::Result<Vec<(DeploymentId, Revision)>> {
    let rows: Vec<(i64, Json<Revision>)> = sqlx::query_as(
        "select coalesce(max(id) filter (where purpose = 'forward'), max(id)) as id,
                (array_agg(revision order by id desc))[1] as revision
         from deployments where group_id = $1 and status = 'succeeded'
         group by revision->'bundle'->>'digest' order by 1 desc limit $2",
    )
    .bind(group)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(id, Json(revision))| (DeploymentId(id), revision)).collect())
}

/// The newest revision with a digest that begins so which was ordered for the group: its label and commit
/// are known then.
pub async fn revision_by_digest(
    conn: &mut PgConnection,
    group: i64,
    digits: &str,
) -> sqlx::Result<Option<Revision>> {
    let revision: Option<Json<Revision>> = sqlx::query_scalar(
        "select revision from deployments
         where group_id = $1 and starts_with(revision->'bundle'->>'digest', $2)
         order by id desc limit 1",
    )
    .bind(group)
    .bind(digits)
    .fetch_optional(conn)
    .await?;
    Ok(revision.map(|Json(revision)| revision))
}
