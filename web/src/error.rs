//! The one error of this crate: what the caller sees, and where to go from there.
//!
//! It answers as JSON. For a browser, which says that it takes HTML, [`for_browsers`] turns the same
//! error into a page, or into the way to the sign-in page.

use crate::headers::Nonce;
use crate::shell::ErrorPage;
use askama::Template as _;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Serialize;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub status: StatusCode,
    /// Stable, for programs.
    pub code: &'static str,
    pub message: String,
    pub help: String,
    pub retry_after_secs: Option<u64>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    code: &'a str,
    message: &'a str,
    help: &'a str,
}

impl Error {
    pub fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Error {
        let (message, help) = (message.into(), help.into());
        Error { status, code, message, help, retry_after_secs: None }
    }

    pub fn not_found(what: impl std::fmt::Display, help: impl Into<String>) -> Error {
        Error::new(StatusCode::NOT_FOUND, "not-found", format!("there is no {what}"), help)
    }

    pub fn bad_request(message: impl Into<String>, help: impl Into<String>) -> Error {
        Error::new(StatusCode::BAD_REQUEST, "bad-request", message, help)
    }

    /// What was asked for does not fit the state of things.
    pub fn conflict(message: impl Into<String>, help: impl Into<String>) -> Error {
        Error::new(StatusCode::CONFLICT, "conflict", message, help)
    }

    pub fn unauthenticated() -> Error {
        Error::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "this needs a valid session or API token",
            "sign in, or run 'pipectl login'",
        )
    }

    pub fn forbidden(message: impl Into<String>, help: impl Into<String>) -> Error {
        Error::new(StatusCode::FORBIDDEN, "forbidden", message, help)
    }

    /// A defect of ours. The cause is logged, not shown.
    pub fn internal(cause: impl std::fmt::Display) -> Error {
        tracing::error!(error = %cause, "a request failed");
        Error::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something went wrong on the server",
            "try again; the controller's log says more",
        )
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        match error {
            store::Error::PoolTimedOut | store::Error::PoolClosed | store::Error::Io(_) => {
                tracing::warn!(%error, "the database cannot be reached");
                let mut error = Error::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "database-unreachable",
                    "the database cannot be reached",
                    "try again in a moment",
                );
                error.retry_after_secs = Some(2);
                error
            }
            other => Error::internal(other),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error::internal(error)
    }
}

impl From<askama::Error> for Error {
    fn from(error: askama::Error) -> Error {
        Error::internal(error)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let inner = Inner { code: self.code, message: &self.message, help: &self.help };
        let mut response = (self.status, axum::Json(Body { error: inner })).into_response();
        if let Some(secs) = self.retry_after_secs {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Shows errors to browsers as pages, and leads those who are not signed in to the sign-in page.
pub async fn for_browsers(request: Request, next: Next) -> Response {
    let browser = takes_html(request.headers());
    let nonce = request.extensions().get::<Nonce>().cloned().unwrap_or_default();
    let way_back = (request.method() == Method::GET).then(|| request.uri().to_string());
    let response = next.run(request).await;
    let Some(error) = response.extensions().get::<Error>().filter(|_| browser) else {
        return response;
    };
    if error.status == StatusCode::UNAUTHORIZED {
        return match way_back.filter(|path| path != "/") {
            Some(path) => {
                Redirect::to(&format!("/sign-in?next={}", crate::words::escape_query(&path)))
            }
            None => Redirect::to("/sign-in"),
        }
        .into_response();
    }
    let page = ErrorPage::new(error, nonce);
    let html = page.render().unwrap_or_else(|_| error.message.clone());
    let mut shown = (error.status, Html(html)).into_response();
    if let Some(wait) = response.headers().get(header::RETRY_AFTER) {
        shown.headers_mut().insert(header::RETRY_AFTER, wait.clone());
    }
    shown
}

fn takes_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn an_error_is_json_with_code_message_and_help() {
        let error = Error::not_found("pipeline 'x'", "see 'pipectl runs'");
        let response = error.into_response();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({"error": {
                "code": "not-found",
                "message": "there is no pipeline 'x'",
                "help": "see 'pipectl runs'",
            }})
        );
    }

    #[test]
    fn an_unreachable_database_is_a_reason_to_try_again() {
        let error = Error::from(store::Error::PoolTimedOut);
        assert_eq!(error.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(error.retry_after_secs, Some(2));
        assert_eq!(Error::from(store::Error::RowNotFound).code, "internal");
    }
}
