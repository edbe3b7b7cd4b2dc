//! axum's extractors with our errors.

use crate::Web;
use crate::error::{Error, Result};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// The request's body as JSON.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Web> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, web: &Web) -> Result<Body<T>> {
        match axum::Json::<T>::from_request(request, web).await {
            Ok(axum::Json(value)) => Ok(Body(value)),
            Err(rejection) => {
                let mut error =
                    Error::bad_request(rejection.body_text(), "send JSON as documented");
                error.status = rejection.status();
                Err(error)
            }
        }
    }
}

/// A part of the path: an id or a name. What cannot be one names nothing that exists.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Web> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Path<T>> {
        match axum::extract::Path::<T>::from_request_parts(parts, web).await {
            Ok(axum::extract::Path(value)) => Ok(Path(value)),
            Err(_) => Err(Error::not_found("such page", "check the address")),
        }
    }
}

/// The query string.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Web> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Query<T>> {
        match axum::extract::Query::<T>::from_request_parts(parts, web).await {
            Ok(axum::extract::Query(value)) => Ok(Query(value)),
            Err(rejection) => {
                Err(Error::bad_request(rejection.body_text(), "check the parameters"))
            }
        }
    }
}

/// Reads an id with or without its prefix; what is no id names nothing that exists.
pub fn id<T: std::str::FromStr>(kind: &str, text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::not_found(format!("{kind} '{text}'"), ""))
}
