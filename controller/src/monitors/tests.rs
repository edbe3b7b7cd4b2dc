//! Strangers that answer monitors, and a real database behind the facts.

mod deployed;
mod strangers;

use super::http::Client;
use crate::destination::Policy;
use axum::Router;

/// Needs a provider for TLS, as the program has one.
fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new(Policy { allow_local: true }).unwrap()
}

/// Serves until the test ends; returns where.
async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}
