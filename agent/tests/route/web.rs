//! Small applications for balancers to send requests to.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tokio::sync::watch;

/// An application that says its name.
pub struct Web {
    pub name: &'static str,
    pub address: SocketAddr,
    app: Arc<App>,
    serving: tokio::task::JoinHandle<()>,
}

struct App {
    name: &'static str,
    green: AtomicBool,
    failing: AtomicBool,
    /// Requests other than checks, and those of them that came while the check was red.
    requests: AtomicU32,
    while_red: AtomicU32,
    slow: AtomicU32,
    released: watch::Sender<bool>,
}

impl Web {
    pub async fn start(name: &'static str) -> Web {
        let app = Arc::new(App {
            name,
            green: AtomicBool::new(true),
            failing: AtomicBool::new(false),
            requests: AtomicU32::new(0),
            while_red: AtomicU32::new(0),
            slow: AtomicU32::new(0),
            released: watch::Sender::new(false),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/up", get(up))
            .route("/slow", get(slow))
            .fallback(get(page))
            .with_state(app.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Web { name, address, app, serving }
    }

    /// What the balancer's check finds.
    pub fn green(&self, green: bool) {
        self.app.green.store(green, Ordering::SeqCst);
    }

    /// Answers 500 to everything but checks.
    pub fn fail(&self, failing: bool) {
        self.app.failing.store(failing, Ordering::SeqCst);
    }

    pub fn requests(&self) -> u32 {
        self.app.requests.load(Ordering::SeqCst)
    }

    pub fn while_red(&self) -> u32 {
        self.app.while_red.load(Ordering::SeqCst)
    }

    /// Slow requests that have arrived here.
    pub fn slow(&self) -> u32 {
        self.app.slow.load(Ordering::SeqCst)
    }

    /// Lets slow requests end.
    pub fn release(&self) {
        self.app.released.send_replace(true);
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn up(State(app): State<Arc<App>>) -> StatusCode {
    if app.green.load(Ordering::SeqCst) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn page(State(app): State<Arc<App>>) -> impl IntoResponse {
    app.requests.fetch_add(1, Ordering::SeqCst);
    if !app.green.load(Ordering::SeqCst) {
        app.while_red.fetch_add(1, Ordering::SeqCst);
    }
    let failing = app.failing.load(Ordering::SeqCst);
    let status = if failing { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
    (status, app.name)
}

async fn slow(State(app): State<Arc<App>>) -> &'static str {
    app.slow.fetch_add(1, Ordering::SeqCst);
    let _ = app.released.subscribe().wait_for(|released| *released).await;
    app.name
}
