//! Deployments: listing and showing. Steering them is `steering`; what one looks like
//! in JSON is `deployment_body`.

use super::deployment_body::{DeploymentBody, DeploymentSummary};
use super::page_size;
use crate::Web;
use crate::auth::Viewer;
use crate::error::Result;
use crate::extract::{Path, Query, id};
use crate::intent;
use crate::words::monitor::Watch;
use axum::Json;
use axum::extract::State;
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
