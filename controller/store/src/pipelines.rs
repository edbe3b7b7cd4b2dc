//! Registered pipelines.

use ::pipelines::spec::pipeline::Pipeline;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};

#[derive(Debug, Clone, FromRow)]
pub struct Row {
    pub id: i64,
    pub name: String,
    pub text: String,
    pub spec: Json<Pipeline>,
    pub version: i32,
    pub webhook_counter: i32,
    pub updated_at: i64,
}

/// Registers the pipeline, or a new version of it when its text changed. Returns its version.
pub async fn put(conn: &mut PgConnection, text: &str, spec: &Pipeline) -> sqlx::Result<i32> {
    sqlx::query_scalar(
        "insert into pipelines (name, text, spec) values ($1, $2, $3)
         on conflict (name) do update
         set text = excluded.text, spec = excluded.spec, updated_at = now(),
             version = pipelines.version + (pipelines.text <> excluded.text)::int
         returning version",
    )
    .bind(&spec.name)
    .bind(text)
    .bind(Json(spec))
    .fetch_one(conn)
    .await
}

pub async fn list(conn: &mut PgConnection) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as(
        "select id, name, text, spec, version, webhook_counter, ms(updated_at) as updated_at
         from pipelines order by name",
    )
    .fetch_all(conn)
    .await
}

pub async fn by_name(conn: &mut PgConnection, name: &str) -> sqlx::Result<Option<Row>> {
    sqlx::query_as(
        "select id, name, text, spec, version, webhook_counter, ms(updated_at) as updated_at
         from pipelines where name = $1",
    )
    .bind(name)
    .fetch_optional(conn)
    .await
}

/// Makes a new webhook secret valid and the old one worthless; None when there is no such pipeline.
pub async fn rotate_webhook(conn: &mut PgConnection, name: &str) -> sqlx::Result<Option<i32>> {
    sqlx::query_scalar(
        "update pipelines set webhook_counter = webhook_counter + 1 where name = $1
         returning webhook_counter",
    )
    .bind(name)
    .fetch_optional(conn)
    .await
}
