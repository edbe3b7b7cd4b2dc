//! A deployment: its sentence, why it waits, buttons, the plan's steps, the hosts, what happened.

mod view;

use crate::Web;
use crate::auth::{Operator, Person, Posted, Viewer};
use crate::error::{Error, Result};
use crate::extract::Path;
use crate::headers::Nonce;
use crate::intent::approving::{self, Answer, Seen};
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
    let known = web.drifts.known(&row.group_name);
    let view = View::new(&row, &tasks, &history, now, person).with_watch(&watch, now).with_drift(
        known.as_ref(),
        &row,
        now,
    );
    let shell = Shell::new(nonce, Some(person), "").with_mark(view.mark.clone());
    Ok(Page { shell, view })
}

#[derive(Deserialize)]
pub struct Wanted {
    wanted: String,
    /// The step and the generation that were on the page, for a promotion.
    #[serde(default)]
    step: String,
    #[serde(default)]
    generation: String,
}

/// What can be taken back at once needs no page that asks again.
pub async fn steer(
    State(web): State<Web>,
    Operator(person): Operator,
    Path(id): Path<String>,
    Posted(Wanted { wanted, step, generation }): Posted<Wanted>,
) -> Result<Redirect> {
    let wanted = match wanted.as_str() {
        "pause" => Steer::Pause { reason: String::new() },
        "resume" => Steer::Resume,
        "promote" => Steer::Promote {
            full: false,
            // What is no number is no step of this plan either.
            step: Some(step.parse().unwrap_or(0)),
            generation: Some(generation.parse().unwrap_or(0)),
        },
        other => {
            return Err(Error::bad_request(format!("'{other}' cannot be done"), "use the buttons"));
        }
    };
    do_it(&web, &person, &id, wanted).await
}

pub async fn retry(
    State(web): State<Web>,
    Operator(person): Operator,
    Path((id, host)): Path<(String, String)>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Redirect> {
    do_it(&web, &person, &id, Steer::Retry { host }).await
}

/// A button without a choice.
#[derive(Deserialize)]
pub struct Nothing {}

/// Records the wish and shows the deployment again.
pub async fn do_it(web: &Web, person: &Person, id: &str, wanted: Steer) -> Result<Redirect> {
    let mut tx = web.pool.begin().await?;
    let row = intent::deployment(&mut tx, id).await?;
    intent::steer(&mut tx, &row, person, wanted, web.lease.silent_for_max).await?;
    tx.commit().await?;
    web.wakes.engine();
    Ok(Redirect::to(&format!("/deployments/{}", row.id())))
}

/// An answer to an approval, with what was on the page: an older page decides nothing.
#[derive(Deserialize)]
pub struct Decision {
    answer: String,
    step: String,
    generation: String,
    plan: String,
    bundle: String,
    #[serde(default)]
    comment: String,
}

pub async fn decide(
    State(web): State<Web>,
    Operator(person): Operator,
    Path(id): Path<String>,
    Posted(decision): Posted<Decision>,
) -> Result<Redirect> {
    let seen = Seen {
        // What is no number was never on a page.
        step: decision.step.parse().unwrap_or(0),
        generation: decision.generation.parse().unwrap_or(0),
        plan: decision.plan,
        bundle: decision.bundle,
    };
    let approved = decision.answer == "approve";
    let answer = Answer { seen: &seen, approved, comment: &decision.comment };
    let mut tx = web.pool.begin().await?;
    let row = intent::deployment(&mut tx, &id).await?;
    approving::decide(&mut tx, &row, &person, &answer).await?;
    tx.commit().await?;
    web.wakes.engine();
    Ok(Redirect::to(&format!("/deployments/{}", row.id())))
}
