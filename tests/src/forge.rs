//! A forge elsewhere: one public repository over smart HTTP, served by git's own CGI program.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

pub struct Forge {
    directory: Arc<TempDir>,
    port: u16,
}

impl Forge {
    /// Serves an empty repository that anyone may fetch from.
    ///
    /// # Panics
    /// When git or the network of this machine refuses.
    pub async fn start() -> Forge {
        let directory = Arc::new(tempfile::tempdir().expect("a directory for a forge"));
        let made = Command::new("git")
            .args(["init", "--quiet", "--bare", "--initial-branch=main"])
            .arg(directory.path().join("app.git"))
            .status()
            .expect("running git");
        assert!(made.success(), "git init");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound port").port();
        let router = Router::new().fallback(serve).with_state(directory.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Forge { directory, port }
    }

    /// Where a pipeline fetches it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}/app.git", self.port)
    }

    /// Where its owner pushes: the directory itself.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.directory.path().join("app.git")
    }
}

async fn serve(State(directory): State<Arc<TempDir>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a small request");
    let header = |name: &str| {
        let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let environment = [
        ("REQUEST_METHOD", parts.method.to_string()),
        ("PATH_INFO", parts.uri.path().to_owned()),
        ("QUERY_STRING", parts.uri.query().unwrap_or_default().to_owned()),
        ("CONTENT_TYPE", header("content-type")),
        ("HTTP_CONTENT_ENCODING", header("content-encoding")),
        ("GIT_PROTOCOL", header("git-protocol")),
        ("CONTENT_LENGTH", body.len().to_string()),
    ];
    let output = run(directory.path(), &environment, body).await;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").expect("a CGI header");
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let mut response = Response::builder().status(StatusCode::OK);
    for line in head.lines() {
        let (name, value) = line.split_once(": ").expect("a header line");
        match name {
            "Status" => {
                let code = value.split(' ').next().and_then(|code| code.parse::<u16>().ok());
                response = response.status(code.expect("a status code"));
            }
            name => response = response.header(name, value),
        }
    }
    response.body(Body::from(output[end + 4..].to_vec())).expect("a response")
}

async fn run(root: &Path, environment: &[(&str, String)], body: Bytes) -> Vec<u8> {
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("running git http-backend");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(&body).await.expect("writing the request");
    drop(stdin);
    child.wait_with_output().await.expect("an answer").stdout
}
