//! The JSON API under `/api/v1`: what `pipectl` and scripts use.
//!
//! Keys are snake_case, instants RFC 3339, ids carry their prefix (`r-12`), and every error is
//! `{"error": {"code", "message", "help"}}`. The structs here are the promise; rows and wire types are
//! others.

mod agents;
mod apply;
mod deployment_body;
mod deployments;
pub mod drift;
mod groups;
mod join_tokens;
mod monitors;
mod pipelines;
mod plan;
mod run_body;
mod runs;
mod shared;
mod sign_in;
mod steering;
mod task_log;
mod tasks;
mod webhook;

use crate::Web;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

/// Pipeline files are small; so is everything else that is sent here.
const BODY_MAX: usize = 4 << 20;

/// Every path of the API with the methods it answers.
pub fn routes() -> Router<Web> {
    Router::new()
        .route("/api/v1/login", post(sign_in::login))
        .route("/api/v1/whoami", get(sign_in::whoami))
        .route("/api/v1/apply", post(apply::apply))
        .route("/api/v1/pipelines", get(pipelines::list))
        .route("/api/v1/pipelines/{name}/runs", post(runs::create))
        .route("/api/v1/pipelines/{name}/webhook", get(webhook::show).post(webhook::rotate))
        .route("/api/v1/groups", get(groups::list))
        .route("/api/v1/groups/{name}/rollback", post(groups::rollback))
        .route("/api/v1/groups/{name}/monitors", get(monitors::list))
        .route("/api/v1/groups/{name}/monitors/{monitor}", post(monitors::set))
        .route("/api/v1/groups/{name}/deployments", post(groups::deploy))
        .route("/api/v1/groups/{name}/plan", post(plan::show))
        .route("/api/v1/groups/{name}/drift", post(drift::show))
        .route("/api/v1/runs", get(runs::list))
        .route("/api/v1/runs/{id}", get(runs::show))
        .route("/api/v1/runs/{id}/stop", post(runs::stop))
        .route("/api/v1/runs/{id}/override", post(runs::overrule))
        .route("/api/v1/runs/{id}/actions/{action}/approve", post(runs::approve))
        .route("/api/v1/runs/{id}/actions/{action}/reject", post(runs::reject))
        .route("/api/v1/tasks/{id}/log", get(task_log::read))
        .route("/api/v1/deployments", get(deployments::list))
        .route("/api/v1/deployments/{id}", get(deployments::show))
        .merge(steering_routes())
        .route("/api/v1/agents", get(agents::list))
        .route("/api/v1/hosts", get(agents::hosts))
        .route("/api/v1/agents/{name}/drain", post(agents::drain))
        .route("/api/v1/agents/{name}/undrain", post(agents::undrain))
        .route("/api/v1/agents/{name}/revoke", post(agents::revoke))
        .route("/api/v1/join-tokens", post(join_tokens::create))
        .route("/api/v1/{*rest}", get(no_such_call).post(no_such_call))
        .layer(DefaultBodyLimit::max(BODY_MAX))
}

fn steering_routes() -> Router<Web> {
    Router::new()
        .route("/api/v1/deployments/{id}/abort", post(steering::abort))
        .route("/api/v1/deployments/{id}/pause", post(steering::pause))
        .route("/api/v1/deployments/{id}/resume", post(steering::resume))
        .route("/api/v1/deployments/{id}/promote", post(steering::promote))
        .route("/api/v1/deployments/{id}/override", post(steering::overrule))
        .route("/api/v1/deployments/{id}/approve", post(steering::approve))
        .route("/api/v1/deployments/{id}/reject", post(steering::reject))
        .route("/api/v1/deployments/{id}/hosts/{host}/retry", post(steering::retry))
        .route("/api/v1/deployments/{id}/hosts/{host}/exclude", post(steering::exclude))
}

async fn no_such_call(_: crate::auth::Viewer) -> crate::error::Error {
    crate::error::Error::not_found("such call", "pipectl and server may differ in version")
}

/// How many lines of a list one answer holds.
fn page_size(limit: Option<i64>) -> i64 {
    limit.unwrap_or(20).clamp(1, 200)
}
