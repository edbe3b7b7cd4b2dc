//! The pages with sample rows behind them, for looking at: screenshots and taste.

use super::server::Server;
use super::stage;
use crate::Peer;
use axum::Extension;
use store::users::Role;

/// `PIPEYARD_SHOWCASE=127.0.0.1:8099 cargo test -p web showcase -- --ignored`, then sign in as `ada`
/// with `secret`.
#[tokio::test]
#[ignore = "serves the sample pages until it is stopped"]
async fn showcase() {
    let address = std::env::var("PIPEYARD_SHOWCASE").unwrap_or("127.0.0.1:8099".to_owned());
    let server = Server::start().await;
    server.user("ada", Role::Admin).await;
    stage::fill(&server).await;
    let listener = tokio::net::TcpListener::bind(&address).await.unwrap();
    let peer = Peer { address: ([127, 0, 0, 1], 1).into(), tls: false };
    axum::serve(listener, server.router.clone().layer(Extension(peer))).await.unwrap();
}
