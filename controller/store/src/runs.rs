//! Runs: the state row the engine advances, and what pages and commands read.

use crate::inbox;
use ::pipelines::command::Waiting;
use ::pipelines::ids::RunId;
use ::pipelines::run::trigger::Trigger;
use ::pipelines::run::{Event, State};
use ::pipelines::spec::pipeline::Pipeline;
use ::pipelines::time::Timestamp;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};

#[derive(Debug, Clone, FromRow)]
pub struct Row {
    pub id: i64,
    pub pipeline_id: i64,
    pub pipeline: String,
    pub number: i64,
    pub spec: Json<Pipeline>,
    pub trigger: Json<Trigger>,
    pub status: String,
    pub state: Json<State>,
    pub waiting: Json<Vec<Waiting>>,
    pub label: String,
    pub version: i32,
    pub stuck: Option<String>,
    pub created_at: i64,
    pub finished_at: Option<i64>,
}

/// A line of a list: no spec, no state.
#[derive(Debug, Clone, FromRow)]
pub struct Summary {
    pub id: i64,
    pub pipeline: String,
    pub number: i64,
    pub status: String,
    pub label: String,
    pub trigger: Json<Trigger>,
    pub waiting: Json<Vec<Waiting>>,
    pub stuck: Option<String>,
    pub created_at: i64,
    pub finished_at: Option<i64>,
}

/// What other unfinished runs of the pipeline are doing.
#[derive(Debug, Clone, FromRow)]
pub struct Neighbour {
    pub id: i64,
    pub stage: i32,
    pub entered: bool,
    pub stopping: bool,
}

impl Row {
    #[must_use]
    pub fn id(&self) -> RunId {
        RunId(self.id)
    }
}

/// Creates a run and tells the engine of it. Wake the engine after the commit.
pub async fn create(
    conn: &mut PgConnection,
    pipeline: i64,
    trigger: &Trigger,
    label: &str,
) -> sqlx::Result<RunId> {
    let (number, Json(spec), now): (i64, Json<Pipeline>, i64) = sqlx::query_as(
        "update pipelines set last_number = last_number + 1 where id = $1
         returning last_number, spec, ms(now())",
    )
    .bind(pipeline)
    .fetch_one(&mut *conn)
    .await?;
    let state = State::new(&spec, Timestamp(now));
    let id: i64 = sqlx::query_scalar(
        "insert into runs (pipeline_id, number, spec, trigger, status, state, label)
         values ($1, $2, $3, $4, $5, $6, $7) returning id",
    )
    .bind(pipeline)
    .bind(number)
    .bind(Json(&spec))
    .bind(Json(trigger))
    .bind(state.phase.as_str())
    .bind(Json(&state))
    .bind(label)
    .fetch_one(&mut *conn)
    .await?;
    inbox::post_run(conn, RunId(id), &Event::Tick).await?;
    Ok(RunId(id))
}

pub async fn by_id(conn: &mut PgConnection, id: RunId) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(
        "select runs.id, pipeline_id, pipelines.name as pipeline, number, runs.spec, trigger, status,
                state, waiting, label, runs.version, stuck, ms(runs.created_at) as created_at,
                ms(finished_at) as finished_at
         from runs join pipelines on pipelines.id = pipeline_id where runs.id = $1",
    )
    .bind(id.0)
    .fetch_optional(conn)
    .await
}

/// The run for deciding. Locks its pipeline first, so that runs that share stages are decided on one
/// after the other.
pub async fn lock(conn: &mut PgConnection, id: RunId) -> sqlx::Result<Option<Row>> {
    sqlx::query(
        "select from pipelines where id = (select pipeline_id from runs where id = $1) for update",
    )
    .bind(id.0)
    .execute(&mut *conn)
    .await?;
    by_id(conn, id).await
}

pub async fn neighbours(
    conn: &mut PgConnection,
    pipeline: i64,
    but: RunId,
) -> sqlx::Result<Vec<Neighbour>> {
    sqlx::query_as(
        "select id, (state->>'stage')::int as stage, (state->>'entered')::bool as entered,
                status = 'stopping' as stopping
         from runs where pipeline_id = $1 and finished_at is null and id <> $2 order by id",
    )
    .bind(pipeline)
    .bind(but.0)
    .fetch_all(conn)
    .await
}

/// What a decision left behind.
pub struct Save<'a> {
    pub state: &'a State,
    pub waiting: &'a [Waiting],
    pub label: &'a str,
    pub wake_at: Option<Timestamp>,
    /// The version the decision was made on.
    pub version: i32,
}

/// Saves a decision; false when the row was changed since it was read, and nothing was written.
pub async fn save(conn: &mut PgConnection, id: RunId, save: &Save<'_>) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update runs set state = $3, status = $4, waiting = $5, label = $6,
                wake_at = from_ms($7), version = version + 1,
                finished_at = case when $8 then now() end
         where id = $1 and version = $2",
    )
    .bind(id.0)
    .bind(save.version)
    .bind(Json(save.state))
    .bind(save.state.phase.as_str())
    .bind(Json(save.waiting))
    .bind(save.label)
    .bind(save.wake_at.map(|at| at.0))
    .bind(save.state.phase.is_final())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn mark_stuck(conn: &mut PgConnection, id: RunId, why: &str) -> sqlx::Result<()> {
    sqlx::query("update runs set stuck = $2 where id = $1")
        .bind(id.0)
        .bind(why)
        .execute(conn)
        .await
        .map(|_| ())
}

/// Newest first, older than `before`, of one pipeline or of all.
pub async fn list(
    conn: &mut PgConnection,
    pipeline: Option<&str>,
    before: Option<RunId>,
    limit: i64,
) -> sqlx::Result<Vec<Summary>> {
    sqlx::query_as(
        "select runs.id, pipelines.name as pipeline, number, status, label, trigger, waiting, stuck,
                ms(runs.created_at) as created_at, ms(finished_at) as finished_at
         from runs join pipelines on pipelines.id = pipeline_id
         where ($1::text is null or pipelines.name = $1) and ($2::bigint is null or runs.id < $2)
         order by runs.id desc limit $3",
    )
    .bind(pipeline)
    .bind(before.map(|id| id.0))
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// Keeps the buildspec a run's build will use, read at the run's own commit.
pub async fn put_spec_text(
    conn: &mut PgConnection,
    run: RunId,
    action: &str,
    text: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into run_specs (run_id, action, text) values ($1, $2, $3)
         on conflict (run_id, action) do update set text = excluded.text",
    )
    .bind(run.0)
    .bind(action)
    .bind(text)
    .execute(conn)
    .await
    .map(|_| ())
}

pub async fn spec_text(
    conn: &mut PgConnection,
    run: RunId,
    action: &str,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("select text from run_specs where run_id = $1 and action = $2")
        .bind(run.0)
        .bind(action)
        .fetch_optional(conn)
        .await
}
