//! What happened to whom and when: appended in the transaction that changed the state, never read to
//! decide anything.

use ::pipelines::command::Waiting;
use ::pipelines::ids::{DeploymentId, RunId};
use serde::Serialize;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};

#[derive(Debug, Clone, FromRow)]
pub struct Row {
    pub id: i64,
    pub at: i64,
    pub event: Json<serde_json::Value>,
    pub status: String,
    pub waiting: Json<Vec<Waiting>>,
}

/// Whose history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Run(RunId),
    Deployment(DeploymentId),
}

pub async fn append<E: Serialize + Sync>(
    conn: &mut PgConnection,
    of: Of,
    epoch: u64,
    event: &E,
    status: &str,
    waiting: &[Waiting],
) -> sqlx::Result<()> {
    let (run, deployment) = match of {
        Of::Run(id) => (Some(id.0), None),
        Of::Deployment(id) => (None, Some(id.0)),
    };
    sqlx::query(
        "insert into history (run_id, deployment_id, epoch, event, status, waiting)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(run)
    .bind(deployment)
    .bind(i64::try_from(epoch).unwrap_or(i64::MAX))
    .bind(Json(event))
    .bind(status)
    .bind(Json(waiting))
    .execute(conn)
    .await
    .map(|_| ())
}

/// The newest `limit` entries, oldest first.
pub async fn list(conn: &mut PgConnection, of: Of, limit: i64) -> sqlx::Result<Vec<Row>> {
    let query = match of {
        Of::Run(id) => sqlx::query_as(
            "select id, ms(at) as at, event, status, waiting from history
             where run_id = $1 order by id desc limit $2",
        )
        .bind(id.0),
        Of::Deployment(id) => sqlx::query_as(
            "select id, ms(at) as at, event, status, waiting from history
             where deployment_id = $1 order by id desc limit $2",
        )
        .bind(id.0),
    };
    let mut rows: Vec<Row> = query.bind(limit).fetch_all(conn).await?;
    rows.reverse();
    Ok(rows)
}
