//! Messages of agents as values Postgres can keep: it has no place for NUL in text, and a build may
//! print or be called anything.

use crate::error::Failure;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

/// A JSON body in which every NUL is the replacement character.
pub(super) struct Clean<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Clean<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|error| Failure::Invalid(error.to_string()))?;
        parse(&body).map(Clean).map_err(|error| Failure::Invalid(error.to_string()))
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    const ESCAPED: &str = "\\u0000";
    let text = std::str::from_utf8(body).unwrap_or_default();
    if text.contains(ESCAPED) {
        // An escaped backslash before it makes it harmless text, which this garbles and nothing else.
        return serde_json::from_str(&text.replace(ESCAPED, "\\ufffd"));
    }
    serde_json::from_slice(body)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_nul_becomes_a_character_that_can_be_kept() {
        let text: String = super::parse(br#""echo \u0000""#).unwrap();
        assert_eq!(text, "echo \u{fffd}");
        let text: String = super::parse(br#""plain""#).unwrap();
        assert_eq!(text, "plain");
        assert!(super::parse::<String>(b"\xff").is_err());
    }
}
