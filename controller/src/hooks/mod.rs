//! Webhooks of forges. A delivery is verified over its raw bytes, noted, answered, and only then
//! worked on, by the engine.

mod github;

use crate::state::Controller;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use std::time::Duration;
use tower_http::timeout::RequestBodyTimeoutLayer;

/// GitHub's own limit on a delivery.
const BODY_MAX: usize = 25 << 20;
/// The longest pause within one.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

pub fn router() -> Router<Controller> {
    Router::new()
        .route("/hooks/github/{name}", post(github::receive))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        // A body that trickles in holds memory nobody has proved a right to.
        .layer(RequestBodyTimeoutLayer::new(BODY_TIMEOUT))
}
