//! What people see: pages, and the JSON that `pipectl` and scripts use.
//!
//! This crate never calls the controller. A page or a call writes down what somebody wants (a run, an
//! event in an inbox), wakes whoever should look, and answers; the engine acts. Everything shown is
//! read from the store and put into words by pure functions in `words`.

mod api;
mod auth;
mod drifts;
mod error;
mod extract;
mod headers;
mod health;
mod install;
mod intent;
mod live;
mod pages;
mod questions;
mod revision;
mod shell;
#[cfg(test)]
mod tests;
mod words;

pub use install::Programs;

use axum::Router;
use axum::middleware;
use pipelines::protocol::join::Lease;
use std::net::SocketAddr;
use std::sync::Arc;
use store::PgPool;
use store::keys::Keys;
use store::logs::Logs;
use store::objects::Objects;
use store::wake::Wakes;

/// Who is at the other end of the connection. The listener puts it into every request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    pub address: SocketAddr,
    pub tls: bool,
}

/// Everything handlers use.
#[derive(Clone)]
pub struct App {
    pub pool: PgPool,
    pub objects: Objects,
    pub logs: Logs,
    pub wakes: Wakes,
    pub keys: Keys,
    /// How long an agent may be silent before pages call it lost.
    pub lease: Lease,
    /// Fingerprint of the CA that agents are to trust; None when there is no TLS.
    pub ca_sha256: Option<String>,
    /// That CA's certificate as PEM, for hosts that are to join.
    pub ca_pem: Option<String>,
    /// What hosts install.
    pub programs: Programs,
    /// How others reach this server: `https://pipeyard.example:8443`, without a slash at the end.
    pub public_url: String,
    pub version: &'static str,
}

/// The handlers' state: the application and what belongs to this crate alone.
#[derive(Clone)]
struct Web {
    app: App,
    attempts: Arc<auth::Attempts>,
    drifts: Arc<drifts::Drifts>,
}

impl std::ops::Deref for Web {
    type Target = App;
    fn deref(&self) -> &App {
        &self.app
    }
}

/// All routes of this crate, ready to be merged into the controller's router.
pub fn router(app: App) -> Router {
    let web = Web { app, attempts: Arc::default(), drifts: Arc::default() };
    Router::new()
        .merge(pages::routes())
        .merge(live::routes())
        .merge(api::routes())
        .merge(shell::routes())
        .merge(health::routes())
        .merge(install::routes())
        .layer(middleware::from_fn(error::for_browsers))
        .layer(middleware::from_fn(headers::secure))
        .with_state(web)
}
