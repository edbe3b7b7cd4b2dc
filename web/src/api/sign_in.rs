//! Getting an API token for a password, and asking whose token it is.

use crate::auth::{Viewer, check_password};
use crate::error::Result;
use crate::extract::Body;
use crate::{Peer, Web};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::users;

#[derive(Deserialize)]
pub struct Login {
    user: String,
    password: String,
    /// What the token is for: a host's name, a script's.
    name: Option<String>,
}

#[derive(Serialize)]
pub struct LoggedIn {
    token: String,
    user: String,
    role: &'static str,
}

/// Tokens from a login are for people, who log in again.
const TOKEN_DAYS: i32 = 90;

pub async fn login(
    State(web): State<Web>,
    peer: Peer,
    Body(login): Body<Login>,
) -> Result<Json<LoggedIn>> {
    let user = check_password(&web, peer, &login.user, &login.password).await?;
    let name: String = login.name.as_deref().unwrap_or("login").chars().take(100).collect();
    let mut conn = web.pool.acquire().await?;
    let token = users::create_token(&mut conn, user.id, &name, Some(TOKEN_DAYS)).await?;
    Ok(Json(LoggedIn { token, user: user.name, role: user.role.as_str() }))
}

#[derive(Serialize)]
pub struct WhoAmI {
    user: String,
    role: &'static str,
    server_version: &'static str,
}

pub async fn whoami(State(web): State<Web>, Viewer(person): Viewer) -> Json<WhoAmI> {
    Json(WhoAmI {
        user: person.user.name,
        role: person.user.role.as_str(),
        server_version: web.version,
    })
}
