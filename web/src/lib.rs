//! Stand-in until the pages land.
use axum::Router;
use pipelines::protocol::join::Lease;
use store::{PgPool, keys::Keys, logs::Logs, objects::Objects, wake::Wakes};
#[derive(Clone)]
pub struct App {
    pub pool: PgPool,
    pub objects: Objects,
    pub logs: Logs,
    pub wakes: Wakes,
    pub keys: Keys,
    pub lease: Lease,
    pub ca_sha256: Option<String>,
    pub public_url: String,
    pub version: &'static str,
}
pub fn router(_app: App) -> Router {
    Router::new()
}
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    pub address: std::net::SocketAddr,
    pub tls: bool,
}
