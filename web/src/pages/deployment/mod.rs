//! A deployment: its sentence, why it waits, buttons, the plan's steps, the hosts, what happened.

mod view;

use crate::Web;
use crate::auth::{Operator, Person, Posted, Viewer};
use crate::error::{Error, Result};
use crate::extract::Path;
use crate::headers::Nonce;
use crate::intent::{self, Steer};
use crate::shell::Shell;
use crate::words::monitor::Watch;
use askama::Template;
use axum::extract::State;
use axum::response::{Html, Redirect};
use serde::Deserialize;
use store::history::{self, Of};
use view::View;

#[derive(Template)]
#[template(path = "deployment/page.html", blocks = ["live"])]
struct Page {
    shell: Shell,
    view: View,
}

pub async fn show(
    State(web): State<Web>,
    Viewer(person): Viewer,
    nonce: Nonce,
    Path(deployment): Path<String>,
) -> Result<Html<String>> {
    Ok(Html(page(&web, &person, nonce, &deployment).await?.render()?))
}

/// The part that changes, the title, and whether it is over.
pub async fn fragment(web: &Web, person: &Person, id: &str) -> Result<(String, String, bool)> {
    let page = page(web, person, Nonce::default(), id).await?;
    let title = format!("{} {} · Pipeyard", page.view.mark.glyph(), page.view.id);
    Ok((page.as_live().render()?, title, page.view.is_over))
}

async fn page(web: &Web, person: &Person, nonce: Nonce, id: &str) -> Result<Page> {
    let mut conn = web.pool.acquire().await?;
    let row = intent::deployment(&mut conn, id).await?;
    let tasks = store::tasks::of_deployment(&mut conn, row.id()).await?;
    let history = history::list(&mut conn, Of::Deployment(row.id()), 200).await?;
    let now = store::clock::now(&mut conn).await?;
    let watch = Watch::of(&mut conn, &row, now).await?;
    drop(conn);
    let view = View::new(&row, &tasks, &history, now, person).with_watch(&watch, now);
    let shell = Shell::new(nonce, Some(person), "").with_mark(view.mark.clone());
    Ok(Page { shell, view })
}

#[derive(Deserialize)]
pub struct Wanted {
    wanted: String,
}

/// What can be taken back at once needs no page that asks again.
pub async fn steer(
    State(web): State<Web>,
    Operator(person): Operator,
    Path(id): Path<String>,
    Posted(Wanted { wanted }): Posted<Wanted>,
) -> Result<Redirect> {
    let wanted = match wanted.as_str() {
        "pause" => Steer::Pause,
        "resume" => Steer::Resume,
        other => {
            return Err(Error::bad_request(format!("'{other}' cannot be done"), "use the buttons"));
        }
    };
    let mut tx = web.pool.begin().await?;
    let row = intent::deployment(&mut tx, &id).await?;
    intent::steer(&mut tx, &row, &person, wanted, "").await?;
    tx.commit().await?;
    web.wakes.engine();
    Ok(Redirect::to(&format!("/deployments/{}", row.id())))
}
