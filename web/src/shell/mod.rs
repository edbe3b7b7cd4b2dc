//! What surrounds every page: layout, styles, script, and the page for errors.

use crate::Web;
use crate::auth::Person;
use crate::error::{Error, Result};
use crate::headers::Nonce;
use crate::words::status::{Mark, Status};
use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::hash::{Hash as _, Hasher as _};
use std::sync::LazyLock;

/// Part of the binary, also in debug builds: a controller needs no files beside it.
const ASSETS: [(&str, &str, &str); 3] = [
    ("tokens.css", "text/css; charset=utf-8", include_str!("tokens.css")),
    ("page.css", "text/css; charset=utf-8", include_str!("page.css")),
    ("live.js", "text/javascript; charset=utf-8", include_str!("live.js")),
];

/// In every asset's URL, so that a browser keeps one for good and still gets the next version.
static FINGERPRINT: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = std::hash::DefaultHasher::new();
    ASSETS.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
});

pub fn routes() -> Router<Web> {
    Router::new().route("/assets/{fingerprint}/{name}", get(asset)).fallback(no_such_page)
}

async fn asset(Path((_, wanted)): Path<(String, String)>) -> Result<Response> {
    let found = ASSETS.iter().find(|(name, ..)| *name == wanted);
    let Some((_, kind, text)) = found else { return Err(no_such_page().await) };
    let headers = [
        (header::CONTENT_TYPE, *kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, *text).into_response())
}

async fn no_such_page() -> Error {
    Error::not_found("such page", "check the address, or start from the overview")
}

/// What the layout needs of every page.
#[derive(Debug, Clone)]
pub struct Shell {
    pub nonce: String,
    pub fingerprint: String,
    /// None on public pages.
    pub user: Option<ShellUser>,
    /// The status in the tab's title and icon.
    pub mark: Option<Mark>,
    /// The navigation entry this page belongs to.
    pub here: &'static str,
}

#[derive(Debug, Clone)]
pub struct ShellUser {
    pub name: String,
    pub role: &'static str,
    pub csrf: String,
}

pub struct NavEntry {
    pub path: &'static str,
    pub text: &'static str,
    pub is_here: bool,
}

impl Shell {
    pub fn new(nonce: Nonce, person: Option<&Person>, here: &'static str) -> Shell {
        let user = person.map(|person| ShellUser {
            name: person.name().to_owned(),
            role: person.user.role.as_str(),
            csrf: person.csrf().to_owned(),
        });
        let fingerprint = FINGERPRINT.clone();
        Shell { nonce: nonce.0, fingerprint, user, mark: None, here }
    }

    pub fn with_mark(mut self, mark: Mark) -> Shell {
        self.mark = Some(mark);
        self
    }

    pub fn csrf(&self) -> &str {
        self.user.as_ref().map_or("", |user| &user.csrf)
    }

    pub fn nav(&self) -> Vec<NavEntry> {
        let entries = [("/", "Overview"), ("/hosts", "Hosts"), ("/agents", "Agents")];
        let entry = |(path, text)| NavEntry { path, text, is_here: path == self.here };
        entries.into_iter().map(entry).collect()
    }

    /// The tab's icon: a dot in the status's colour, as a data URL.
    pub fn icon(&self) -> String {
        let colour = match self.mark.as_ref().map(|mark| mark.status) {
            Some(Status::Done) => "1c7040",
            Some(Status::Running) => "1f5fbf",
            Some(Status::Failed | Status::RolledBack) => "b3261e",
            Some(Status::Waiting | Status::NeedsYou) => "855300",
            Some(Status::NotYet | Status::Skipped) | None => "858078",
        };
        format!(
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E\
             %3Ccircle cx='4' cy='4' r='3.5' fill='%23{colour}'/%3E%3C/svg%3E"
        )
    }
}

/// An error as a page: what happened, and where to go.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage<'a> {
    shell: Shell,
    status: u16,
    message: &'a str,
    help: &'a str,
}

impl<'a> ErrorPage<'a> {
    pub fn new(error: &'a Error, nonce: Nonce) -> ErrorPage<'a> {
        let status = error.status.as_u16();
        let shell = Shell::new(nonce, None, "");
        ErrorPage { shell, status, message: &error.message, help: &error.help }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_script_stays_small_enough_to_read() {
        let script = include_str!("live.js");
        assert!(script.len() <= 10_000, "{} bytes", script.len());
    }
}
