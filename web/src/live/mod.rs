//! What changes while somebody looks: server-sent events with rendered pieces of pages and of logs.
//!
//! A stream ends by itself after a while, so that the browser comes back and is asked again who it is.

pub mod ansi;
mod fragments;
pub mod log;
mod log_events;

use crate::Web;
use axum::Router;
use axum::routing::get;
use std::time::Duration;

/// How long one stream lives.
const STREAM_MAX: Duration = Duration::from_secs(600);
/// Between two lines that keep proxies from closing an idle stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub fn routes() -> Router<Web> {
    Router::new()
        .route("/tasks/{id}/log/events", get(log_events::events))
        .route("/runs/{id}/events", get(fragments::run))
        .route("/deployments/{id}/events", get(fragments::deployment))
}
