//! How a host becomes an agent: the line to run on it, the script the line fetches, the programs the
//! script installs.
//!
//! Whoever asks gets these without credentials: nothing in them is secret, the token is in the line
//! alone. What must not be possible is that somebody in between puts code of his own in their place.
//! So the line carries the digest of what is fetched first, and each step proves the next
//! (`docs/decisions/0010-joining-in-one-line.md`).

pub mod line;
mod programs;
mod script;

pub use programs::Programs;

use crate::Web;
use crate::error::{Error, Result};
use crate::extract::Path;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use programs::{Found, Program};
use tokio_util::io::ReaderStream;

/// Read from a program's file at a time, in bytes.
const PIECE: usize = 128 * 1024;

pub fn routes() -> Router<Web> {
    Router::new()
        .route("/install.sh", get(install_script))
        .route("/install/ca.pem", get(authority))
        .route("/install/SHA256SUMS", get(sums))
        .route("/install/{program}", get(program))
}

/// The text of the script, as every host gets it.
///
/// # Errors
/// When a program is there and cannot be read.
pub async fn script_text(web: &Web) -> Result<String> {
    let (programs, url, ca) = (web.programs.clone(), web.public_url.clone(), web.ca_pem.clone());
    blocking(move || Ok(script::render(&url, ca.as_deref(), &programs.sums()?))).await
}

async fn install_script(State(web): State<Web>) -> Result<Response> {
    let text = script_text(&web).await?;
    Ok(([(header::CONTENT_TYPE, "text/x-shellscript; charset=utf-8")], text).into_response())
}

async fn authority(State(web): State<Web>) -> Result<Response> {
    let Some(pem) = web.ca_pem.clone() else {
        return Err(Error::not_found(
            "certificate authority of this controller's own",
            "it speaks plain HTTP, or has a proxy with a public certificate in front",
        ));
    };
    Ok(([(header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response())
}

/// What `sha256sum -c` reads.
async fn sums(State(web): State<Web>) -> Result<String> {
    let programs = web.programs.clone();
    blocking(move || Ok(script::lines_of(&programs.sums()?))).await
}

async fn program(
    State(web): State<Web>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let Some(program) = Program::called(&name) else {
        return Err(Error::not_found("such program", "/install/SHA256SUMS lists what there is"));
    };
    let programs = web.programs.clone();
    let Some(found) = blocking(move || programs.open(program)).await? else {
        return Err(Error::not_found(
            format!("{program} at this controller"),
            "put it beside pipeyard-controller, or into a directory named with --programs",
        ));
    };
    let tag = format!("\"{}\"", found.sha256);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    Ok(streamed(found, tag))
}

fn streamed(found: Found, tag: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, found.size.to_string()),
        (header::ETAG, tag),
        // To be asked about again, not to be fetched again.
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    let file = tokio::fs::File::from_std(found.file);
    let body = Body::from_stream(ReaderStream::with_capacity(file, PIECE));
    (headers, body).into_response()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other);
    done.flatten().map_err(|error| {
        tracing::warn!(%error, "cannot read the programs that hosts install");
        Error::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unreadable",
            "the controller cannot read its programs",
            "its log says which; the user it runs as needs to read them",
        )
    })
}
