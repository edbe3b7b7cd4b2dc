//! The controller as this agent sees it: the requests of `pipelines::protocol`, one method each.
//!
//! Nothing here repeats a request; who calls decides that. No method decides anything.

use bytes::Bytes;
use pipelines::ids::Digest;
use pipelines::protocol::join::{JoinReply, JoinRequest};
use pipelines::protocol::poll::{PollReply, PollRequest};
use pipelines::protocol::report::{LogReply, Report, ReportReply, UploadReply};
use pipelines::protocol::task::{Artifact, TaskKey};
use pipelines::protocol::whoami::{LeaveReply, LeaveRequest, WhoamiReply};
use pipelines::protocol::{AGENT_HEADER, UNKNOWN_AGENT};
use reqwest::header::CONTENT_LENGTH;
use reqwest::{RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::time::Duration;
use tokio_util::io::ReaderStream;

/// Time for an exchange that is not held open.
const SHORT: Duration = Duration::from_secs(15);
/// How much longer than asked for a held poll may take before the connection counts as dead.
const HELD_EXTRA: Duration = Duration::from_secs(10);
/// Longest text of a refusal that is kept.
const REFUSAL_LEN_MAX: usize = 1000;

/// A request that did not work.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("cannot reach the controller: {0}")]
    Unreachable(String),
    #[error("the controller answered {status}: {message}")]
    Refused { status: u16, code: Option<String>, message: String },
    #[error("cannot read {path}: {source}")]
    File { path: String, source: std::io::Error },
}

impl CallError {
    /// Whether the same request may work later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            CallError::Unreachable(_) => true,
            CallError::Refused { status, .. } => {
                *status >= 500 || matches!(status, 408 | 425 | 429)
            }
            CallError::File { .. } => false,
        }
    }

    /// Whether the controller itself said that it does not know this agent, or not any more.
    #[must_use]
    pub fn is_unknown_agent(&self) -> bool {
        let CallError::Refused { status: 401, code: Some(code), .. } = self else { return false };
        code == UNKNOWN_AGENT
    }
}

/// A refusal as the controller writes it; something on the way may write anything.
#[derive(Deserialize)]
struct Refusal {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    code: Option<String>,
    message: String,
}

impl From<reqwest::Error> for CallError {
    fn from(error: reqwest::Error) -> CallError {
        CallError::Unreachable(reason(&error))
    }
}

/// Why a request failed. reqwest's own text says which step; the reason a person needs is the
/// innermost one.
#[must_use]
pub fn reason(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    reason.to_string()
}

/// Cheap to clone; all clones share one small pool of connections.
#[derive(Clone)]
pub struct Controller {
    http: reqwest::Client,
    url: String,
    name: String,
    credential: String,
}

impl Controller {
    #[must_use]
    pub fn new(http: reqwest::Client, url: &str, name: &str, credential: &str) -> Controller {
        Controller {
            http,
            url: url.trim_end_matches('/').to_owned(),
            name: name.to_owned(),
            credential: credential.to_owned(),
        }
    }

    /// # Errors
    /// When the controller refuses the token or cannot be reached.
    pub async fn join(&self, request: &JoinRequest) -> Result<JoinReply, CallError> {
        json(self.post("join").timeout(SHORT).json(request)).await
    }

    /// # Errors
    /// When the controller cannot be reached in time, or does not know this agent any more.
    pub async fn poll(&self, request: &PollRequest) -> Result<PollReply, CallError> {
        let limit = request.wait.to_std() + HELD_EXTRA;
        json(self.post("poll").timeout(limit).json(request)).await
    }

    /// Who this agent is to the controller.
    ///
    /// # Errors
    /// See [`Controller::poll`].
    pub async fn whoami(&self) -> Result<WhoamiReply, CallError> {
        let url = format!("{}/agent/v1/whoami", self.url);
        json(self.signed(self.http.get(url)).timeout(SHORT)).await
    }

    /// Ends this agent's credential.
    ///
    /// # Errors
    /// See [`Controller::poll`]; and when it has work and does not insist.
    pub async fn leave(&self, request: LeaveRequest) -> Result<LeaveReply, CallError> {
        json(self.post("leave").timeout(SHORT).json(&request)).await
    }

    /// # Errors
    /// See [`Controller::poll`].
    pub async fn log(
        &self,
        key: TaskKey,
        offset: u64,
        bytes: Bytes,
    ) -> Result<LogReply, CallError> {
        let TaskKey { task, attempt } = key;
        let path = format!("tasks/{}/log?attempt={attempt}&offset={offset}", task.0);
        json(self.post(&path).timeout(SHORT).body(bytes)).await
    }

    /// # Errors
    /// See [`Controller::poll`].
    pub async fn report(&self, report: &Report) -> Result<ReportReply, CallError> {
        let path = format!("tasks/{}/report", report.key.task.0);
        json(self.post(&path).timeout(SHORT).json(report)).await
    }

    /// The bytes of an artifact, to be read as they arrive.
    ///
    /// # Errors
    /// See [`Controller::poll`].
    pub async fn artifact(&self, digest: &Digest) -> Result<Response, CallError> {
        let url = format!("{}/agent/v1/artifacts/{digest}", self.url);
        checked(self.signed(self.http.get(url)).send().await?).await
    }

    /// # Errors
    /// See [`Controller::poll`]; and when the file cannot be read.
    pub async fn upload(
        &self,
        key: TaskKey,
        artifact: &Artifact,
        file: &Path,
    ) -> Result<UploadReply, CallError> {
        let TaskKey { task, attempt } = key;
        let (url, digest) = (&self.url, &artifact.digest);
        let url = format!("{url}/agent/v1/tasks/{}/artifacts/{digest}?attempt={attempt}", task.0);
        let body = tokio::fs::File::open(file)
            .await
            .map_err(|source| CallError::File { path: file.display().to_string(), source })?;
        let body = reqwest::Body::wrap_stream(ReaderStream::with_capacity(body, 128 * 1024));
        json(self.signed(self.http.put(url)).header(CONTENT_LENGTH, artifact.size).body(body)).await
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.signed(self.http.post(format!("{}/agent/v1/{path}", self.url)))
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        request.header(AGENT_HEADER, &self.name).bearer_auth(&self.credential)
    }
}

async fn json<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, CallError> {
    Ok(checked(request.send().await?).await?.json().await?)
}

async fn checked(response: Response) -> Result<Response, CallError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = response.text().await.unwrap_or_default();
    let (code, mut message) = match serde_json::from_str::<Refusal>(&text) {
        Ok(Refusal { error }) => (error.code, error.message),
        Err(_) => (None, text),
    };
    message.truncate(message.floor_char_boundary(REFUSAL_LEN_MAX));
    Err(CallError::Refused { status: status.as_u16(), code, message: message.trim().to_owned() })
}
