//! A form sent from one of our pages, proved by the token of the session.

use super::person::Person;
use crate::Web;
use crate::error::{Error, Result};
use axum::Form;
use axum::extract::{FromRequest, FromRequestParts as _, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The form's own fields, after its token was found to be the session's.
#[derive(Debug, Clone)]
pub struct Posted<T>(pub T);

#[derive(Deserialize)]
struct Signed<T> {
    #[serde(default)]
    csrf: String,
    #[serde(flatten)]
    fields: T,
}

impl<T: DeserializeOwned> FromRequest<Web> for Posted<T> {
    type Rejection = Error;

    async fn from_request(request: Request, web: &Web) -> Result<Posted<T>> {
        let (mut parts, body) = request.into_parts();
        let person = Person::from_request_parts(&mut parts, web).await?;
        let request = Request::from_parts(parts, body);
        let Form(form) =
            Form::<Signed<T>>::from_request(request, web).await.map_err(|rejection| {
                Error::bad_request(rejection.body_text(), "send the page's form")
            })?;
        // An empty token is what programs have; they have no session another site could ride on.
        let ours = person.csrf();
        if !ours.is_empty() && form.csrf != ours {
            return Err(Error::forbidden(
                "this form is out of date",
                "go back, reload the page and try again",
            ));
        }
        Ok(Posted(form.fields))
    }
}
