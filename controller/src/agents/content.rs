//! Artifacts going to and coming from agents.

use super::auth::Agent;
use crate::error::Failure;
use crate::state::Controller;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_LENGTH;
use axum::response::{IntoResponse as _, Response};
use futures::TryStreamExt as _;
use pipelines::ids::{Digest, TaskId};
use pipelines::protocol::report::UploadReply;
use pipelines::protocol::task::TaskKey;
use serde::Deserialize;
use store::objects::ObjectError;
use store::{artifacts, tasks};

/// The largest artifact.
const ARTIFACT_MAX: u64 = 8 << 30;

/// The bytes of an artifact that a task of this agent needs. Anything else is not there for it.
pub(super) async fn fetch(
    State(controller): State<Controller>,
    Agent(agent): Agent,
    Path(digest): Path<String>,
) -> Result<Response, Failure> {
    let digest: Digest = digest.parse().map_err(|_| Failure::NotFound)?;
    let mut conn = controller.pool.acquire().await?;
    if !tasks::may_fetch(&mut conn, agent.id, &digest).await? {
        return Err(Failure::NotFound);
    }
    drop(conn);
    let (size, content) = controller.objects.get(&digest).await?;
    Ok(([(CONTENT_LENGTH, size)], Body::from_stream(content)).into_response())
}

#[derive(Deserialize)]
pub(super) struct Upload {
    attempt: u32,
}

/// Takes an artifact in, verified while it arrives. One that is there already is not sent again.
pub(super) async fn upload(
    State(controller): State<Controller>,
    Agent(agent): Agent,
    Path((id, digest)): Path<(i64, String)>,
    Query(upload): Query<Upload>,
    body: Body,
) -> Result<Json<UploadReply>, Failure> {
    let digest: Digest = digest.parse().map_err(|_| Failure::NotFound)?;
    let key = TaskKey { task: TaskId(id), attempt: upload.attempt };
    let mut conn = controller.pool.acquire().await?;
    if !tasks::holds(&mut conn, agent.id, key).await? {
        return Err(Failure::Conflict("the task is not this agent's any more".to_owned()));
    }
    drop(conn);
    let content = body.into_data_stream().map_err(std::io::Error::other);
    let stored = controller.objects.put(Box::pin(content), Some(&digest), ARTIFACT_MAX).await;
    let artifact = stored.map_err(|error| match error {
        ObjectError::DigestMismatch { .. } | ObjectError::TooLarge { .. } => {
            Failure::Invalid(error.to_string())
        }
        other => Failure::from(other),
    })?;
    artifacts::note(&mut *controller.pool.acquire().await?, &artifact).await?;
    Ok(Json(UploadReply { artifact }))
}
