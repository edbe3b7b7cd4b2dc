//! Runs: starting, listing, stopping, deciding their approvals. What one looks like in JSON is
//! `run_body`.

use super::page_size;
use super::run_body::{RunBody, RunSummary};
use crate::Web;
use crate::auth::{ByToken, Developer, Operator, Viewer};
use crate::error::{Error, Result};
use crate::extract::{Body, Path, Query, id};
use crate::intent::{self, Decision, NewRun};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pipelines::ids::RunId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub struct Wanted {
    commit: Option<String>,
    branch: Option<String>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

#[derive(Serialize)]
pub struct Created {
    run: String,
}

pub async fn create(
    State(web): State<Web>,
    ByToken(Developer(person)): ByToken<Developer>,
    Path(name): Path<String>,
    Body(wanted): Body<Wanted>,
) -> Result<(StatusCode, Json<Created>)> {
    let Wanted { commit, branch, variables } = wanted;
    let mut tx = web.pool.begin().await?;
    let pipeline = intent::pipeline(&mut tx, &name).await?;
    let new = NewRun { commit, branch, variables };
    let run = intent::start_run(&mut tx, &pipeline, &person, new).await?;
    tx.commit().await?;
    web.wakes.engine();
    web.wakes.pages();
    Ok((StatusCode::CREATED, Json(Created { run: run.to_string() })))
}

#[derive(Deserialize)]
pub struct Page {
    pipeline: Option<String>,
    before: Option<String>,
    limit: Option<i64>,
}

#[derive(Serialize)]
pub struct RunList {
    runs: Vec<RunSummary>,
    /// Pass it as `before` for the next page; None: this was the last one.
    next: Option<String>,
}

pub async fn list(
    State(web): State<Web>,
    _: Viewer,
    Query(page): Query<Page>,
) -> Result<Json<RunList>> {
    let before: Option<RunId> = page.before.as_deref().map(|text| id("run", text)).transpose()?;
    let limit = page_size(page.limit);
    let mut conn = web.pool.acquire().await?;
    let rows = store::runs::list(&mut conn, page.pipeline.as_deref(), before, limit).await?;
    let full = i64::try_from(rows.len()).is_ok_and(|count| count == limit);
    let next = rows.last().filter(|_| full).map(|row| RunId(row.id).to_string());
    Ok(Json(RunList { runs: rows.iter().map(RunSummary::from).collect(), next }))
}

pub async fn show(
    State(web): State<Web>,
    _: Viewer,
    Path(run): Path<String>,
) -> Result<Json<RunBody>> {
    let mut conn = web.pool.acquire().await?;
    let row = intent::run(&mut conn, &run).await?;
    let tasks = store::tasks::of_run(&mut conn, row.id()).await?;
    Ok(Json(RunBody::new(&row, &tasks)))
}

#[derive(Deserialize)]
pub struct Stop {
    #[serde(default)]
    reason: String,
    /// Do not wait for what runs: stop builds, abort deployments.
    #[serde(default)]
    abandon: bool,
}

#[derive(Serialize)]
pub struct Accepted {
    pub accepted: bool,
}

pub async fn stop(
    State(web): State<Web>,
    ByToken(Developer(person)): ByToken<Developer>,
    Path(run): Path<String>,
    Body(stop): Body<Stop>,
) -> Result<(StatusCode, Json<Accepted>)> {
    let mut tx = web.pool.begin().await?;
    let row = intent::run(&mut tx, &run).await?;
    intent::stop_run(&mut tx, &row, &person, &stop.reason, stop.abandon).await?;
    tx.commit().await?;
    web.wakes.engine();
    Ok((StatusCode::ACCEPTED, Json(Accepted { accepted: true })))
}

#[derive(Deserialize)]
pub struct Reason {
    #[serde(default)]
    reason: String,
}

pub async fn overrule(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path(run): Path<String>,
    Body(Reason { reason }): Body<Reason>,
) -> Result<(StatusCode, Json<Accepted>)> {
    let mut tx = web.pool.begin().await?;
    let row = intent::run(&mut tx, &run).await?;
    intent::override_run(&mut tx, &row, &person, &reason).await?;
    tx.commit().await?;
    web.wakes.engine();
    Ok((StatusCode::ACCEPTED, Json(Accepted { accepted: true })))
}

#[derive(Deserialize)]
pub struct Comment {
    #[serde(default)]
    comment: String,
}

pub async fn approve(
    web: State<Web>,
    person: ByToken<Operator>,
    path: Path<(String, String)>,
    body: Body<Comment>,
) -> Result<(StatusCode, Json<Accepted>)> {
    decide(web, person, path, body, true).await
}

pub async fn reject(
    web: State<Web>,
    person: ByToken<Operator>,
    path: Path<(String, String)>,
    body: Body<Comment>,
) -> Result<(StatusCode, Json<Accepted>)> {
    if body.0.comment.trim().is_empty() {
        return Err(Error::bad_request(
            "a rejection needs a reason",
            "say why: pipectl reject RUN ACTION -m 'the reason'",
        ));
    }
    decide(web, person, path, body, false).await
}

async fn decide(
    State(web): State<Web>,
    ByToken(Operator(person)): ByToken<Operator>,
    Path((run, action)): Path<(String, String)>,
    Body(Comment { comment }): Body<Comment>,
    approved: bool,
) -> Result<(StatusCode, Json<Accepted>)> {
    let mut tx = web.pool.begin().await?;
    let row = intent::run(&mut tx, &run).await?;
    let decision = Decision { action: &action, approved, comment: &comment, attempt: None };
    intent::decide_approval(&mut tx, &row, &person, &decision).await?;
    tx.commit().await?;
    web.wakes.engine();
    Ok((StatusCode::ACCEPTED, Json(Accepted { accepted: true })))
}
