//! The pages: every path with its handler. A page's `mod.rs` makes view values ready to print with a
//! pure `view` function; its template only repeats and chooses.

mod agents;
mod confirm;
pub mod deployment;
mod group;
mod hosts;
mod lines;
mod log;
mod overview;
mod pipeline;
pub mod run;
mod sign_in;

use crate::Web;
use axum::Router;
use axum::routing::{get, post};

pub fn routes() -> Router<Web> {
    Router::new()
        .route("/", get(overview::show))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/pipelines/{name}", get(pipeline::show))
        .route("/pipelines/{name}/runs", post(pipeline::start))
        .route("/runs/{id}", get(run::show))
        .route("/runs/{id}/stop", get(confirm::ask_stop).post(confirm::stop))
        .route("/runs/{id}/override", get(confirm::ask_override_run).post(confirm::overrule_run))
        .route("/runs/{id}/actions/{action}", post(run::decide))
        .route("/tasks/{id}/log", get(log::show))
        .route("/tasks/{id}/log/raw", get(log::raw))
        .route("/deployments/{id}", get(deployment::show))
        .route("/deployments/{id}/steer", post(deployment::steer))
        .route("/deployments/{id}/decide", post(deployment::decide))
        .route("/deployments/{id}/promote", get(confirm::ask_promote).post(confirm::promote))
        .route("/deployments/{id}/override", get(confirm::ask_override).post(confirm::overrule))
        .route("/deployments/{id}/hosts/{host}/retry", post(deployment::retry))
        .route(
            "/deployments/{id}/hosts/{host}/exclude",
            get(confirm::ask_exclude).post(confirm::exclude),
        )
        .route("/deployments/{id}/abort", get(confirm::ask_abort).post(confirm::abort))
        .route("/groups/{name}", get(group::show))
        .route("/groups/{name}/drift", post(group::ask_drift))
        .route("/groups/{name}/rollback", get(confirm::ask_rollback).post(confirm::rollback))
        .route("/hosts", get(hosts::show))
        .route("/agents", get(agents::show))
}
