//! What runs and deployments have been told and have not decided on yet.

use ::pipelines::ids::{DeploymentId, RunId};
use ::pipelines::{deploy, run};
use sqlx::PgConnection;
use sqlx::types::Json;

/// Tells a run something. Wake the engine after the commit (`wake::Wakes::engine`).
pub async fn post_run(conn: &mut PgConnection, run: RunId, event: &run::Event) -> sqlx::Result<()> {
    sqlx::query("insert into inbox (run_id, event) values ($1, $2)")
        .bind(run.0)
        .bind(Json(event))
        .execute(&mut *conn)
        .await?;
    // What was stuck is tried again with what is new.
    sqlx::query("update runs set stuck = null where id = $1 and stuck is not null")
        .bind(run.0)
        .execute(conn)
        .await
        .map(|_| ())
}

/// Tells a deployment something.
pub async fn post_deployment(
    conn: &mut PgConnection,
    deployment: DeploymentId,
    event: &deploy::Event,
) -> sqlx::Result<()> {
    sqlx::query("insert into inbox (deployment_id, event) values ($1, $2)")
        .bind(deployment.0)
        .bind(Json(event))
        .execute(&mut *conn)
        .await?;
    sqlx::query("update deployments set stuck = null where id = $1 and stuck is not null")
        .bind(deployment.0)
        .execute(conn)
        .await
        .map(|_| ())
}

/// Takes all of a run's events out, oldest first.
pub async fn take_run(conn: &mut PgConnection, run: RunId) -> sqlx::Result<Vec<run::Event>> {
    let mut rows: Vec<(i64, Json<run::Event>)> =
        sqlx::query_as("delete from inbox where run_id = $1 returning id, event")
            .bind(run.0)
            .fetch_all(conn)
            .await?;
    rows.sort_by_key(|(id, _)| *id);
    Ok(rows.into_iter().map(|(_, Json(event))| event).collect())
}

/// Takes all of a deployment's events out, oldest first.
pub async fn take_deployment(
    conn: &mut PgConnection,
    deployment: DeploymentId,
) -> sqlx::Result<Vec<deploy::Event>> {
    let mut rows: Vec<(i64, Json<deploy::Event>)> =
        sqlx::query_as("delete from inbox where deployment_id = $1 returning id, event")
            .bind(deployment.0)
            .fetch_all(conn)
            .await?;
    rows.sort_by_key(|(id, _)| *id);
    Ok(rows.into_iter().map(|(_, Json(event))| event).collect())
}

/// Unfinished runs and deployments with something to look at now, stuck ones left out.
pub async fn due(conn: &mut PgConnection, limit: i64) -> sqlx::Result<Due> {
    let runs: Vec<i64> = sqlx::query_scalar(
        "select id from runs where finished_at is null and stuck is null and (
             wake_at <= now() or exists (select from inbox where inbox.run_id = runs.id))
         order by id limit $1",
    )
    .bind(limit)
    .fetch_all(&mut *conn)
    .await?;
    let deployments: Vec<i64> = sqlx::query_scalar(
        "select id from deployments where finished_at is null and stuck is null and (
             wake_at <= now() or exists (
                 select from inbox where inbox.deployment_id = deployments.id))
         order by id limit $1",
    )
    .bind(limit)
    .fetch_all(&mut *conn)
    .await?;
    Ok(Due {
        runs: runs.into_iter().map(RunId).collect(),
        deployments: deployments.into_iter().map(DeploymentId).collect(),
    })
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    pub runs: Vec<RunId>,
    pub deployments: Vec<DeploymentId>,
}

impl Due {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.deployments.is_empty()
    }
}
