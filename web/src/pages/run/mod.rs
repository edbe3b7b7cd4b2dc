//! A run: its sentence, why it waits, what can be done, and its actions in order.

mod view;

use crate::Web;
use crate::auth::{Operator, Person, Posted, Viewer};
use crate::error::{Error, Result};
use crate::extract::Path;
use crate::headers::Nonce;
use crate::intent::{self, Decision};
use crate::shell::Shell;
use askama::Template;
use axum::extract::State;
use axum::response::{Html, Redirect};
use pipelines::ids::RunId;
use serde::Deserialize;
use store::history::{self, Of};
use view::View;

#[derive(Template)]
#[template(path = "run/page.html", blocks = ["live"])]
struct Page {
    shell: Shell,
    view: View,
}

pub async fn show(
    State(web): State<Web>,
    Viewer(person): Viewer,
    nonce: Nonce,
    Path(run): Path<String>,
) -> Result<Html<String>> {
    Ok(Html(page(&web, &person, nonce, &run).await?.render()?))
}

/// The part that changes, and the title.
pub async fn fragment(web: &Web, person: &Person, run: &str) -> Result<(String, String, bool)> {
    let page = page(web, person, Nonce::default(), run).await?;
    let title = format!("{} {} · Pipeyard", page.view.mark.glyph(), page.view.name);
    Ok((page.as_live().render()?, title, page.view.is_over))
}

async fn page(web: &Web, person: &Person, nonce: Nonce, run: &str) -> Result<Page> {
    let mut conn = web.pool.acquire().await?;
    let row = intent::run(&mut conn, run).await?;
    let tasks = store::tasks::of_run(&mut conn, row.id()).await?;
    let history = history::list(&mut conn, Of::Run(row.id()), 100).await?;
    let now = store::clock::now(&mut conn).await?;
    drop(conn);
    let failed = view::failed_task(&row, &tasks).map(store::tasks::Row::key);
    let tail = match failed {
        Some(key) => view::tail(&web.logs, key).await?,
        None => None,
    };
    let view = View::new(&row, &tasks, &history, now, person).with_tail(tail);
    let shell = Shell::new(nonce, Some(person), "").with_mark(view.mark.clone());
    Ok(Page { shell, view })
}

#[derive(Deserialize)]
pub struct Answer {
    answer: String,
    /// The attempt that was on the page: an older page decides nothing.
    attempt: String,
    #[serde(default)]
    comment: String,
}

pub async fn decide(
    State(web): State<Web>,
    Operator(person): Operator,
    Path((run, action)): Path<(String, String)>,
    Posted(answer): Posted<Answer>,
) -> Result<Redirect> {
    let approved = answer.answer == "approve";
    if !approved && answer.comment.trim().is_empty() {
        return Err(Error::bad_request("a rejection needs a reason", "go back and say why"));
    }
    let mut tx = web.pool.begin().await?;
    let row = intent::run(&mut tx, &run).await?;
    let decision = Decision {
        action: &action,
        approved,
        comment: &answer.comment,
        // What is no number is no attempt of this action either.
        attempt: Some(answer.attempt.parse().unwrap_or(0)),
    };
    intent::decide_approval(&mut tx, &row, &person, &decision).await?;
    tx.commit().await?;
    web.wakes.engine();
    Ok(Redirect::to(&format!("/runs/{}", RunId(row.id))))
}
