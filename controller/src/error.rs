//! How a machine's request can fail, and what it is told. Causes are logged, never sent.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use pipelines::protocol::UNKNOWN_AGENT;
use serde_json::json;

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("the credential is missing, unknown or revoked")]
    Unauthorized,
    #[error("{0}")]
    Refused(String),
    #[error("there is no such thing for this agent")]
    NotFound,
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Invalid(String),
    #[error("this agent is too old for the controller; upgrade it")]
    TooOld,
    #[error("the database is not reachable; try again")]
    Database(#[from] store::Error),
    #[error("the controller cannot read or write its files; try again")]
    Io(#[from] std::io::Error),
    #[error("the controller cannot use its object store; try again")]
    Objects(#[from] store::objects::ObjectError),
    #[error("the controller failed; try again")]
    Other(#[from] anyhow::Error),
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Failure::Unauthorized => StatusCode::UNAUTHORIZED,
            Failure::Refused(_) => StatusCode::FORBIDDEN,
            Failure::NotFound | Failure::Objects(store::objects::ObjectError::Missing(_)) => {
                StatusCode::NOT_FOUND
            }
            Failure::Conflict(_) => StatusCode::CONFLICT,
            Failure::Invalid(_) => StatusCode::BAD_REQUEST,
            Failure::TooOld => StatusCode::UPGRADE_REQUIRED,
            Failure::Database(_) | Failure::Io(_) | Failure::Objects(_) | Failure::Other(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = match self {
            Failure::Unauthorized => {
                json!({ "error": { "code": UNKNOWN_AGENT, "message": self.to_string() } })
            }
            _ => json!({ "error": { "message": self.to_string() } }),
        };
        let body = Json(body);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            tracing::warn!(error = %format!("{:#}", anyhow::Error::from(self)), "a request failed");
            return (status, [(RETRY_AFTER, "1")], body).into_response();
        }
        (status, body).into_response()
    }
}
