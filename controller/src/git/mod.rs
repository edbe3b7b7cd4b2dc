//! The built-in git server: smart HTTP with git's own programs behind it.
//!
//! A push is noticed by comparing the repository's refs with the last ones looked at, in one
//! transaction with the runs it starts. So a push whose notice was lost (a killed controller, a
//! database that was away) is noticed at the next look.

mod refs;
mod smart;

use crate::state::Controller;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use pipelines::ids::is_name;
use serde::Deserialize;
use store::users::{Role, User};

pub use refs::{notice_all, notice_pushes};

pub fn router() -> Router<Controller> {
    Router::new()
        .route("/git/{repository}/info/refs", get(advertise))
        .route("/git/{repository}/git-upload-pack", post(upload_pack))
        .route("/git/{repository}/git-receive-pack", post(receive_pack))
        // Packs are streamed into git, which has limits of its own.
        .layer(DefaultBodyLimit::disable())
}

/// The two services git asks for; nothing else is ever started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Service {
    #[serde(rename = "git-upload-pack")]
    UploadPack,
    #[serde(rename = "git-receive-pack")]
    ReceivePack,
}

#[derive(Deserialize)]
struct Advertise {
    service: Service,
}

async fn advertise(
    State(controller): State<Controller>,
    Path(repository): Path<String>,
    Query(query): Query<Advertise>,
    headers: HeaderMap,
) -> Response {
    let opened = open(&controller, &repository, &headers, query.service).await;
    match opened {
        Ok(opened) => smart::advertise(&opened.directory, query.service, &headers).await,
        Err(refusal) => refusal,
    }
}

async fn upload_pack(
    State(controller): State<Controller>,
    Path(repository): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    match open(&controller, &repository, &headers, Service::UploadPack).await {
        Ok(opened) => smart::serve(&opened.directory, Service::UploadPack, request).await,
        Err(refusal) => refusal,
    }
}

async fn receive_pack(
    State(controller): State<Controller>,
    Path(repository): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let opened = match open(&controller, &repository, &headers, Service::ReceivePack).await {
        Ok(opened) => opened,
        Err(refusal) => return refusal,
    };
    // Its own task: a client that hangs up must not keep the push from being noticed.
    let work = tokio::spawn(async move {
        let response = smart::serve(&opened.directory, Service::ReceivePack, request).await;
        let noticed = notice_pushes(&controller, &opened.name, &opened.user.name).await;
        if let Err(error) = noticed {
            tracing::warn!(error = %format!("{error:#}"), repository = opened.name,
                "a push is not noticed yet; it will be at the next look");
        }
        response
    });
    work.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// A repository somebody may use.
struct Opened {
    name: String,
    directory: std::path::PathBuf,
    user: User,
}

/// Who asks, whether they may, and where the repository is; made on first use.
async fn open(
    controller: &Controller,
    repository: &str,
    headers: &HeaderMap,
    service: Service,
) -> Result<Opened, Response> {
    let user = user(controller, headers).await?;
    let wanted = match service {
        Service::UploadPack => Role::Viewer,
        Service::ReceivePack => Role::Developer,
    };
    if user.role < wanted {
        let text =
            format!("{} may not do this: it takes the role {}\n", user.name, wanted.as_str());
        return Err((StatusCode::FORBIDDEN, text).into_response());
    }
    let name = repository.strip_suffix(".git").unwrap_or(repository);
    if !is_name(name) {
        return Err(not_found());
    }
    let unavailable = |_| StatusCode::SERVICE_UNAVAILABLE.into_response();
    let mut conn = controller.pool.acquire().await.map_err(unavailable)?;
    if !store::repositories::exists(&mut conn, name).await.map_err(unavailable)? {
        return Err(not_found());
    }
    let directory = controller.sources.repository(name);
    let at = directory.clone();
    let made = tokio::task::spawn_blocking(move || crate::sources::bare_repository(&at)).await;
    match made {
        Ok(Ok(())) => Ok(Opened { name: name.to_owned(), directory, user }),
        Ok(Err(error)) => {
            tracing::error!(error = %format!("{error:#}"), repository = name, "cannot make a repository");
            Err(StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
        Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
    }
}

fn not_found() -> Response {
    let text = "no such repository; a pipeline that names it as its source makes it\n";
    (StatusCode::NOT_FOUND, text).into_response()
}

async fn user(controller: &Controller, headers: &HeaderMap) -> Result<User, Response> {
    let refusal = || {
        let text = "give an API token as the password (pipectl login makes one)\n";
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"Pipeyard\"")], text)
            .into_response()
    };
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = given.and_then(store::tokens::from_authorization).ok_or_else(refusal)?;
    let unavailable = |_| StatusCode::SERVICE_UNAVAILABLE.into_response();
    let mut conn = controller.pool.acquire().await.map_err(unavailable)?;
    let user = store::users::by_token(&mut conn, &token).await.map_err(unavailable)?;
    user.ok_or_else(refusal)
}
