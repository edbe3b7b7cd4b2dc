//! Signing in and out.

use crate::auth::{
    Posted, Viewer, check_password, ended_session_cookie, require_same_origin, session_cookie,
};
use crate::error::{Error, Result};
use crate::extract::Query;
use crate::headers::Nonce;
use crate::shell::Shell;
use crate::words::safe_path;
use crate::{Peer, Web};
use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use serde::Deserialize;
use store::users;

#[derive(Template)]
#[template(path = "sign_in/page.html")]
struct Page {
    shell: Shell,
    next: String,
    user: String,
    message: Option<String>,
}

#[derive(Deserialize)]
pub struct Next {
    next: Option<String>,
}

pub async fn show(nonce: Nonce, Query(next): Query<Next>) -> Result<Html<String>> {
    let next = safe_path(next.next.as_deref());
    let shell = Shell::new(nonce, None, "");
    Ok(Html(Page { shell, next, user: String::new(), message: None }.render()?))
}

#[derive(Deserialize)]
pub struct Credentials {
    user: String,
    password: String,
    next: Option<String>,
}

pub async fn sign_in(
    State(web): State<Web>,
    peer: Peer,
    nonce: Nonce,
    headers: HeaderMap,
    jar: CookieJar,
    Form(given): Form<Credentials>,
) -> Result<Response> {
    // Another site must not be able to sign somebody in as somebody else.
    require_same_origin(&headers)?;
    let next = safe_path(given.next.as_deref());
    let user = match check_password(&web, peer, &given.user, &given.password).await {
        Ok(user) => user,
        Err(error) if error.status.is_client_error() => {
            return refused(nonce, next, given.user, error);
        }
        Err(error) => return Err(error),
    };
    let mut conn = web.pool.acquire().await?;
    // Always a new session: one from before the password was checked proves nothing.
    let (secret, _) = users::start_session(&mut conn, user.id).await?;
    Ok((jar.add(session_cookie(peer, secret)), Redirect::to(&next)).into_response())
}

fn refused(nonce: Nonce, next: String, user: String, error: Error) -> Result<Response> {
    let shell = Shell::new(nonce, None, "");
    let page = Page { shell, next, user, message: Some(error.message) };
    Ok((error.status, Html(page.render()?)).into_response())
}

#[derive(Deserialize)]
pub struct Nothing {}

pub async fn sign_out(
    State(web): State<Web>,
    peer: Peer,
    Viewer(person): Viewer,
    jar: CookieJar,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response> {
    if let Some(secret) = person.session() {
        let mut conn = web.pool.acquire().await?;
        users::end_session(&mut conn, secret).await?;
    }
    Ok((jar.add(ended_session_cookie(peer)), Redirect::to("/sign-in")).into_response())
}
