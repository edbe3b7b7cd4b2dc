//! Deployments: listing, showing, steering. What one looks like in JSON is `deployment_body`.

use super::deployment_body::{DeploymentBody, DeploymentSummary};
use super::page_size;
use super::runs::Accepted;
use crate::Web;
use crate::auth::{ByToken, Operator, Person, Viewer};
use crate::error::Result;
use crate::extract::{Body, Path, Query, id};
use crate::intent::{self, Steer};
use crate::words::monitor::Watch;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pipelines::ids::DeploymentId;
use serde::{Deserialize, Serialize};
use store::history::{self, Of};

/// Lines of history in one answer; older ones are of interest to an audit only.
const HISTORY_MAX: i64 = 200;

#[derive(Deserialize)]
pub struct Page {
    group: Option<String>,
    before: Option<String>,
    limit: Option<i64>,
}

#[derive(Serialize)]
pub struct DeploymentList {
    deployments: Vec<DeploymentSummary>,
    next: Option<String>,
}

pub async fn list(
    State(web): State<Web>,
    _: Viewer,
    Query(page): Query<Page>,
) -> Result<Json<DeploymentList>> {
    let before: Option<DeploymentId> =
        page.before.as_deref().map(|text| id("deployment", text)).transpose()?;
    let limit = page_size(page.limit);
    let mut conn = web.pool.acquire().await?;
    let rows = store::deployments::list(&mut conn, page.group.as_deref(), before, limit).await?;
    let full = i64::try_from(rows.len()).is_ok_and(|count| count == limit);
    let next = rows.last().filter(|_| full).map(|row| row.id().to_string());
    let deployments = rows.iter().map(DeploymentSummary::from).collect();
    Ok(Json(DeploymentList { deployments, next }))
}

pub async fn show(
    State(web): State<Web>,
    _: Viewer,
    Path(deployment): Path<String>,
) -> Result<Json<DeploymentBody>> {
    let mut conn = web.pool.acquire().await?;
    let row = intent::deployment(&mut conn, &deployment).await?;
    let tasks = store::tasks::of_deployment(&mut conn, row.id()).await?;
    let history = history::list(&mut conn, Of::Deployment(row.id()), HISTORY_MAX).await?;
    let now = store::clock::now(&mut conn).await?;
    let watch = Watch::of(&mut conn, &row, now).await?;
    Ok(Json(DeploymentBody::new(&row, &tasks, &history).with_watch(&watch)))
}

#[derive(Deserialize)]
pub struct Reason {
    #[serde(default)]
    reason: String,
}

pub async fn abort(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path(deployment): Path<String>,
    Body(Reason { reason }): Body<Reason>,
) -> Result<(StatusCode, Json<Accepted>)> {
    steer(&web, &person, &deployment, Steer::Abort, &reason).await
}

pub async fn pause(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path(deployment): Path<String>,
    Body(Reason { reason }): Body<Reason>,
) -> Result<(StatusCode, Json<Accepted>)> {
    steer(&web, &person, &deployment, Steer::Pause, &reason).await
}

pub async fn resume(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path(deployment): Path<String>,
    Body(Reason { reason }): Body<Reason>,
) -> Result<(StatusCode, Json<Accepted>)> {
    steer(&web, &person, &deployment, Steer::Resume, &reason).await
}

async fn steer(
    web: &Web,
    person: &Person,
    deployment: &str,
    wanted: Steer,
    reason: &str,
) -> Result<(StatusCode, Json<Accepted>)> {
    let mut tx = web.pool.begin().await?;
    let row = intent::deployment(&mut tx, deployment).await?;
    intent::steer(&mut tx, &row, person, wanted, reason).await?;
    tx.commit().await?;
    web.wakes.engine();
    Ok((StatusCode::ACCEPTED, Json(Accepted { accepted: true })))
}
