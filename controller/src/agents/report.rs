//! Logs and reports of running tasks.

use super::auth::Agent;
use super::clean::Clean;
use super::tell_owner;
use crate::error::Failure;
use crate::state::Controller;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use pipelines::deploy;
use pipelines::ids::TaskId;
use pipelines::protocol::LOG_CHUNK_MAX;
use pipelines::protocol::report::{Body, LogReply, Report, ReportReply};
use pipelines::protocol::task::TaskKey;
use serde::Deserialize;
use store::inbox;
use store::tasks::{self, Finish, Noted};

#[derive(Deserialize)]
pub(super) struct Piece {
    attempt: u32,
    offset: u64,
}

/// Stores a piece of log. The answer's `size` is where the next piece starts.
pub(super) async fn log(
    State(controller): State<Controller>,
    Agent(agent): Agent,
    Path(id): Path<i64>,
    Query(piece): Query<Piece>,
    body: Bytes,
) -> Result<Json<LogReply>, Failure> {
    let key = TaskKey { task: TaskId(id), attempt: piece.attempt };
    if body.len() > LOG_CHUNK_MAX {
        return Err(Failure::Invalid(format!("a piece of log is at most {LOG_CHUNK_MAX} bytes")));
    }
    let mut conn = controller.pool.acquire().await?;
    let current = tasks::holds(&mut conn, agent.id, key).await?;
    drop(conn);
    if !current {
        return Ok(Json(LogReply { size: controller.logs.size(key).await?, current }));
    }
    let size = controller.logs.append(key, piece.offset, &body).await?;
    Ok(Json(LogReply { size, current }))
}

pub(super) async fn report(
    State(controller): State<Controller>,
    Agent(agent): Agent,
    Path(id): Path<i64>,
    Clean(report): Clean<Report>,
) -> Result<Json<ReportReply>, Failure> {
    if report.key.task != TaskId(id) {
        return Err(Failure::Invalid("the report is about another task".to_owned()));
    }
    let current = match &report.body {
        Body::Progress(progress) => {
            let mut tx = controller.pool.begin().await?;
            let noted = tasks::note_progress(&mut tx, agent.id, report.key, progress).await?;
            if let Noted::Begun(deployment) = noted {
                inbox::post_deployment(&mut tx, deployment, &deploy::Event::Tick).await?;
            }
            tx.commit().await?;
            if matches!(noted, Noted::Begun(_)) {
                controller.wakes.engine();
            }
            noted != Noted::NotCurrent
        }
        Body::Finished { outcome, log_size } => {
            // The agent reports the end after its whole log was acknowledged. Bytes that are missing
            // all the same were lost here (a crash of this machine), and a result is worth more.
            let stored = controller.logs.size(report.key).await?;
            if stored < (*log_size).min(store::logs::SIZE_MAX) {
                let task = report.key.task;
                tracing::warn!(%task, stored, log_size, "a finished task's log is not complete");
            }
            let mut tx = controller.pool.begin().await?;
            let done = tasks::finish(&mut tx, agent.id, report.key, outcome, *log_size).await?;
            if let Finish::Now(owner) = &done {
                tell_owner(&mut tx, owner, report.key, outcome).await?;
            }
            tx.commit().await?;
            controller.wakes.engine();
            done != Finish::NotCurrent
        }
    };
    controller.wakes.pages();
    Ok(Json(ReportReply { current }))
}
