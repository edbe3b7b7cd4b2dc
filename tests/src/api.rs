//! What people do, through the JSON API.

use crate::wait;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

#[derive(Clone)]
pub struct Api {
    client: Client,
    url: String,
    pub token: String,
}

impl Api {
    /// Signs in.
    ///
    /// # Panics
    /// When that is refused.
    pub async fn login(url: &str, user: &str, password: &str) -> Api {
        let client = Client::builder().no_proxy().build().expect("a plain client");
        let mut api = Api { client, url: url.to_owned(), token: String::new() };
        let body = json!({ "user": user, "password": password });
        let answer = api.post("/api/v1/login", &body).await;
        api.token = answer["token"].as_str().expect("a login answers with a token").to_owned();
        api
    }

    /// The same person at another controller.
    #[must_use]
    pub fn at(&self, url: &str) -> Api {
        Api { url: url.to_owned(), ..self.clone() }
    }

    /// One request; None when the controller cannot be reached or is not ready.
    pub async fn try_request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Option<(StatusCode, Value)> {
        let mut request =
            self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return None;
        }
        Some((status, answer.json().await.unwrap_or(Value::Null)))
    }

    /// A request that must succeed, repeated while the controller is away.
    pub async fn get(&self, path: &str) -> Value {
        let what = format!("an answer to GET {path}");
        let (status, body) = wait::until(&what, || self.try_request(Method::GET, path, None)).await;
        assert!(status.is_success(), "GET {path}: {status} {body}");
        body
    }

    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.send(path, body).await;
        assert!(status.is_success(), "POST {path}: {status} {answer}");
        answer
    }

    /// A request that may be refused.
    pub async fn send(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let what = format!("an answer to POST {path}");
        wait::until(&what, || self.try_request(Method::POST, path, Some(body))).await
    }

    pub async fn apply(&self, files: &[(&str, &str)]) -> (StatusCode, Value) {
        let files: Vec<Value> =
            files.iter().map(|(path, text)| json!({ "path": path, "text": text })).collect();
        self.send("/api/v1/apply", &json!({ "files": files, "dry_run": false })).await
    }

    pub async fn join_token(&self, role: &str, tags: Value) -> String {
        let body = json!({ "role": role, "tags": tags, "uses": 20, "valid_secs": 3600 });
        let answer = self.post("/api/v1/join-tokens", &body).await;
        answer["token"].as_str().expect("a join token").to_owned()
    }

    /// The newest run's id, once there are at least `count`.
    pub async fn run_number(&self, count: usize) -> String {
        let what = format!("{count} runs");
        wait::until(&what, || async {
            let runs = self.get("/api/v1/runs?limit=50").await;
            let runs = list(&runs, "runs").clone();
            (runs.len() >= count).then(|| text(&runs[0], "id"))
        })
        .await
    }

    /// The run when it is over.
    pub async fn run_end(&self, run: &str) -> Value {
        let path = format!("/api/v1/runs/{run}");
        wait::until(&format!("the end of {run}"), || async {
            let run = self.get(&path).await;
            let over = !matches!(run["status"].as_str(), Some("running" | "stopping"));
            over.then_some(run)
        })
        .await
    }

    /// The deployment when `wanted` says so.
    pub async fn deployment(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/api/v1/deployments/{id}");
        wait::until(&format!("{id} to get there"), || async {
            let deployment = self.get(&path).await;
            wanted(&deployment).then_some(deployment)
        })
        .await
    }

    pub async fn deployment_end(&self, id: &str) -> Value {
        let unfinished = ["queued", "running", "failing", "rolling-back"];
        self.deployment(id, |d| !unfinished.contains(&d["status"].as_str().unwrap_or(""))).await
    }

    /// The group's newest deployment, once there are at least `count`.
    pub async fn newest_deployment(&self, count: usize) -> String {
        wait::until(&format!("{count} deployments"), || async {
            let all = self.get("/api/v1/deployments?limit=50").await;
            let all = list(&all, "deployments").clone();
            (all.len() >= count).then(|| text(&all[0], "id"))
        })
        .await
    }
}

/// A list, bare or under its name.
fn list<'a>(answer: &'a Value, name: &str) -> &'a Vec<Value> {
    let found = answer.as_array().or_else(|| answer[name].as_array());
    found.unwrap_or_else(|| panic!("no list of {name} in {answer}"))
}

/// A field as text, whatever it is.
#[must_use]
pub fn text(value: &Value, field: &str) -> String {
    match &value[field] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
