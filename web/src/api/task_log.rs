//! A task's log as it is: bytes, in ranges, with a held request for what comes next.

use crate::Web;
use crate::auth::Viewer;
use crate::error::{Error, Result};
use crate::extract::{Path, Query, id};
use crate::live::log::{LogPlace, find, wait_for_more};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use pipelines::ids::TaskId;
use serde::Deserialize;
use std::time::Duration;

/// One answer's bytes at most.
const PIECE_MAX: usize = 1 << 20;
/// A request is held this long at most, below what proxies bear.
const WAIT_MAX: Duration = Duration::from_secs(25);

/// Where the next piece starts.
pub const NEXT_HEADER: &str = "pipeyard-log-next";
/// `true` when nothing will ever follow that offset.
pub const FINAL_HEADER: &str = "pipeyard-log-final";

#[derive(Deserialize)]
pub struct Range {
    #[serde(default)]
    offset: u64,
    /// Refuses another attempt's log instead of mixing the two.
    attempt: Option<u32>,
    /// Milliseconds to hold the request while there is nothing new.
    #[serde(default)]
    wait: u64,
}

pub async fn read(
    State(web): State<Web>,
    _: Viewer,
    Path(task): Path<String>,
    Query(range): Query<Range>,
) -> Result<Response> {
    let task: TaskId = id("task", &task)?;
    let mut place = find(&web, task).await?;
    if range.attempt.is_some_and(|attempt| attempt != place.key.attempt) {
        return Err(Error::not_found(format!("such attempt of task {task}"), ""));
    }
    let wait = Duration::from_millis(range.wait).min(WAIT_MAX);
    let has_news = |place: &LogPlace| place.size > range.offset || place.finished;
    if !has_news(&place) && !wait.is_zero() {
        let more = wait_for_more(&web, place.key, range.offset);
        // Nothing in time is an answer as well: an empty one.
        let _ = tokio::time::timeout(wait, more).await;
        place = find(&web, task).await?;
    }
    let piece = web.logs.read(place.key, range.offset, PIECE_MAX).await?;
    let next = range.offset + piece.len() as u64;
    let is_final = place.finished && next >= place.size;
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/plain; charset=utf-8".to_owned()),
        (NEXT_HEADER, next.to_string()),
        (FINAL_HEADER, is_final.to_string()),
    ];
    Ok((headers, piece).into_response())
}
