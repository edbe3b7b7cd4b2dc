//! Joining.

use super::clean::Clean;
use crate::error::Failure;
use crate::state::Controller;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::{Extension, Json};
use pipelines::ids::is_name;
use pipelines::protocol::VERSION_FLOOR;
use pipelines::protocol::join::{JoinReply, JoinRequest};
use store::agents::JoinError;
use web::Peer;

/// Tags an agent may bring.
const TAGS_MAX: usize = 64;

pub(super) async fn join(
    State(controller): State<Controller>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Clean(request): Clean<JoinRequest>,
) -> Result<Json<JoinReply>, Failure> {
    if request.protocol < VERSION_FLOOR {
        return Err(Failure::TooOld);
    }
    if !is_name(&request.name) {
        return Err(Failure::Invalid(
            "an agent's name is 1 to 64 letters, digits, '-', '_' and '.'".to_owned(),
        ));
    }
    let fits =
        |text: &str| !text.is_empty() && text.len() <= 256 && !text.contains(char::is_control);
    let tags_fit = request.tags.len() <= TAGS_MAX
        && request.tags.iter().all(|(key, value)| fits(key) && (value.is_empty() || fits(value)));
    if !tags_fit || !fits(&request.idempotency) || request.version.len() > 64 {
        return Err(Failure::Invalid("a tag or another field is empty or too long".to_owned()));
    }
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let secret = given.and_then(store::tokens::from_authorization).ok_or(Failure::Unauthorized)?;
    let address = peer.address.ip().to_canonical().to_string();
    let mut tx = controller.pool.begin().await?;
    let joined = store::agents::join(&mut tx, &secret, &request, &address).await;
    let (agent, credential, role, tags) = joined.map_err(|error| match error {
        JoinError::Token => Failure::Refused(error.to_string()),
        JoinError::NameTaken(_) => Failure::Conflict(error.to_string()),
        JoinError::Sql(error) => Failure::from(error),
    })?;
    tx.commit().await?;
    tracing::info!(agent = request.name, role = role.as_str(), "an agent joined");
    controller.wakes.engine();
    controller.wakes.pages();
    Ok(Json(JoinReply { agent, role, name: request.name, credential, tags }))
}
