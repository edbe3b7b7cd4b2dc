//! The pages with sample rows behind them, for looking at: screenshots and taste.

use super::server::Server;
use super::{sample, stage, steering};
use crate::Peer;
use axum::Extension;
use pipelines::ids::TaskId;
use pipelines::protocol::task::TaskKey;
use store::users::Role;

/// `PIPEYARD_SHOWCASE=127.0.0.1:8099 cargo test -p web showcase` serves until it is stopped; sign in
/// as `ada` with `secret`. Without the variable nobody asked for it.
#[tokio::test]
async fn showcase() {
    let Ok(address) = std::env::var("PIPEYARD_SHOWCASE") else { return };
    let server = Server::start().await;
    server.user("ada", Role::Admin).await;
    stage::fill(&server).await;
    let asking = sample::waiting_for_approval();
    steering::put(&server, "checkout", "", asking, |_| {}).await;
    steering::put_frozen(&server).await;
    let logs = server.app.logs.clone();
    tokio::spawn(async move {
        // The build at work goes on talking, so that the live parts of pages have something to do.
        let key = TaskKey { task: TaskId(2), attempt: 1 };
        for line in 1.. {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            let offset = logs.size(key).await.unwrap();
            let text = format!("\x1b[36mline {line}\x1b[0m of the build\n");
            logs.append(key, offset, text.as_bytes()).await.unwrap();
        }
    });
    let listener = tokio::net::TcpListener::bind(&address).await.unwrap();
    let peer = Peer { address: ([127, 0, 0, 1], 1).into(), tls: false };
    axum::serve(listener, server.router.clone().layer(Extension(peer))).await.unwrap();
}
