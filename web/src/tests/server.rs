//! The real router on a real database, called without a network.

use crate::{App, Peer, Programs, router};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use pipelines::protocol::join::Lease;
use pipelines::time::Millis;
use serde_json::Value;
use store::keys::Keys;
use store::logs::Logs;
use store::objects::Objects;
use store::users::{self, Role};
use store::wake::Wakes;
use tower::ServiceExt as _;

pub struct Server {
    pub app: App,
    pub router: Router,
    pub directory: tempfile::TempDir,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// `location` of a redirect.
    pub fn location(&self) -> &str {
        self.headers.get("location").map_or("", |value| value.to_str().unwrap())
    }
}

impl Server {
    pub async fn start() -> Server {
        let database = store::testing::database().await;
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let app = App {
            pool: database.pool.clone(),
            objects: Objects::local(&at("objects")).unwrap(),
            logs: Logs::new(at("logs")).unwrap(),
            wakes: Wakes::default(),
            keys: Keys::load(&at("key")).unwrap(),
            lease: Lease {
                silent_for_max: Millis::from_secs(30),
                heartbeat: Millis::from_secs(10),
            },
            ca_sha256: Some("0f".repeat(32)),
            ca_pem: Some("-----BEGIN CERTIFICATE-----\n".to_owned()),
            programs: Programs::new(vec![at("programs")]),
            public_url: "https://pipeyard.example:8443".to_owned(),
            version: "test",
        };
        Server { router: router(app.clone()), app, directory }
    }

    /// A user of that role and an API token of theirs.
    pub async fn user(&self, name: &str, role: Role) -> String {
        let mut conn = self.app.pool.acquire().await.unwrap();
        let hash = users::hash_password("secret");
        let id = users::create(&mut conn, name, &hash, role).await.unwrap();
        users::create_token(&mut conn, id, "test", None).await.unwrap()
    }

    pub async fn send(&self, mut request: Request<Body>) -> Answer {
        request
            .extensions_mut()
            .insert(Peer { address: ([127, 0, 0, 1], 40_000).into(), tls: false });
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(call(Method::GET, path, token, None)).await
    }

    pub async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.send(call(Method::POST, path, token, Some(body))).await
    }

    /// Signs in as a browser does; returns the cookie and the token its forms carry.
    pub async fn sign_in(&self, user: &str) -> Browser {
        let form = format!("user={user}&password=secret");
        let answer = self.send(form_request("/sign-in", None, &form)).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
        let cookie = answer.headers["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let page = self.send(page_request("/", &cookie)).await.text();
        let csrf = page.split("name=\"csrf\" value=\"").nth(1).map(|rest| &rest[..32]);
        Browser { csrf: csrf.unwrap_or_default().to_owned(), cookie }
    }
}

pub struct Browser {
    pub cookie: String,
    pub csrf: String,
}

pub fn call(method: Method, path: &str, token: &str, body: Option<Value>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).header("accept", "*/*");
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    match body {
        Some(body) => request
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap(),
        None => request.body(Body::empty()).unwrap(),
    }
}

pub fn page_request(path: &str, cookie: &str) -> Request<Body> {
    Request::builder()
        .uri(path)
        .header("accept", "text/html")
        .header("cookie", cookie)
        .body(Body::empty())
        .unwrap()
}

pub fn form_request(path: &str, cookie: Option<&str>, form: &str) -> Request<Body> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("accept", "text/html")
        .header("content-type", "application/x-www-form-urlencoded");
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    request.body(Body::from(form.to_owned())).unwrap()
}
