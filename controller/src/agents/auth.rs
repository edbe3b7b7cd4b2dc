//! Who speaks: the agent behind a credential.

use crate::error::Failure;
use crate::state::Controller;
use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use store::agents::Known;

/// A request from an agent that proved who it is. Revoked and unknown credentials never get here.
pub(super) struct Agent(pub Known);

impl FromRequestParts<Controller> for Agent {
    type Rejection = Failure;

    async fn from_request_parts(
        parts: &mut Parts,
        controller: &Controller,
    ) -> Result<Self, Failure> {
        let given = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let credential =
            given.and_then(store::tokens::from_authorization).ok_or(Failure::Unauthorized)?;
        let mut conn = controller.pool.acquire().await?;
        let known = store::agents::by_credential(&mut conn, &credential).await?;
        let known = known.ok_or(Failure::Unauthorized)?;
        controller.seen.note(known.id);
        Ok(Agent(known))
    }
}
