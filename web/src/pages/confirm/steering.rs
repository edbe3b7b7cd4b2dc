//! The same for what people want of a deployment at work.

use super::{Page, Reason};
use crate::Web;
use crate::auth::{Operator, Person, Posted};
use crate::error::Result;
use crate::extract::Path;
use crate::headers::Nonce;
use crate::intent::{self, Steer};
use crate::pages::deployment::do_it;
use crate::words;
use axum::extract::State;
use axum::response::{Html, Redirect};
use pipelines::command::Waiting;
use pipelines::deploy::Step;
use serde::Deserialize;
use store::deployments::Row;

async fn row(web: &Web, id: &str) -> Result<Row> {
    let mut conn = web.pool.acquire().await?;
    intent::deployment(&mut conn, id).await
}

fn page(nonce: Nonce, person: &Person, row: &Row, question: String, button: &'static str) -> Page {
    let mut page = Page::new(nonce, person, question, button);
    page.back = format!("/deployments/{}", row.id());
    page
}

pub async fn ask_promote(
    State(web): State<Web>,
    Operator(person): Operator,
    nonce: Nonce,
    Path(id): Path<String>,
) -> Result<Html<String>> {
    let row = row(&web, &id).await?;
    let question = format!("Promote {} of {} to its end?", row.id(), row.revision.label);
    let mut page = page(nonce, &person, &row, question, "Promote to the end");
    page.effects = promote_effects(&row);
    page.at = row.state.as_ref().map(|state| (state.step + 1, state.generation));
    page.action = format!("{}/promote", page.back);
    page.reason = false;
    page.html()
}

/// Where it stood when the page was made.
#[derive(Deserialize)]
pub struct At {
    #[serde(default)]
    step: String,
    #[serde(default)]
    generation: String,
}

fn promote_effects(row: &Row) -> Vec<String> {
    let mut effects = vec![
        "Every hold that is still to come is skipped, with the judging it waits for.".to_owned(),
        "Monitors, failing hosts and approvals stop it as before.".to_owned(),
    ];
    let (Some(plan), Some(state)) = (&row.plan, &row.state) else { return effects };
    let held = |step: &&Step| matches!(step, Step::Hold { .. } | Step::Retire { .. });
    let ahead = plan.steps.iter().skip(state.step).filter(held);
    let holds: Vec<String> = ahead.map(|step| step.sentence(plan)).collect();
    if !holds.is_empty() {
        effects.insert(1, format!("They are: {}.", holds.join("; ")));
    }
    effects
}

pub async fn promote(
    State(web): State<Web>,
    Operator(person): Operator,
    Path(id): Path<String>,
    Posted(At { step, generation }): Posted<At>,
) -> Result<Redirect> {
    let (step, generation) = (step.parse().ok(), generation.parse().ok());
    do_it(&web, &person, &id, Steer::Promote { full: true, step, generation }).await
}

pub async fn ask_override(
    State(web): State<Web>,
    Operator(person): Operator,
    nonce: Nonce,
    Path(id): Path<String>,
) -> Result<Html<String>> {
    let row = row(&web, &id).await?;
    let question = format!("Let {} of {} start now?", row.id(), row.revision.label);
    let mut page = page(nonce, &person, &row, question, "Let it start");
    page.effects = override_effects(&row.waiting);
    page.action = format!("{}/override", page.back);
    page.reason_needed = true;
    page.html()
}

fn override_effects(waiting: &[Waiting]) -> Vec<String> {
    let waits = waiting.iter().map(|waiting| format!("It waits: {}.", waiting.what));
    waits.chain(["Your name and your reason are kept in its history.".to_owned()]).collect()
}

pub async fn ask_override_run(
    State(web): State<Web>,
    Operator(person): Operator,
    nonce: Nonce,
    Path(id): Path<String>,
) -> Result<Html<String>> {
    let mut conn = web.pool.acquire().await?;
    let row = intent::run(&mut conn, &id).await?;
    let name = words::run::name(&row.pipeline, row.number);
    let mut page = Page::new(nonce, &person, format!("Let {name} go on now?"), "Let it go on");
    page.back = format!("/runs/{}", row.id());
    page.effects = override_effects(&row.waiting);
    page.effects.push("No other freeze of its pipeline holds it back either.".to_owned());
    page.action = format!("{}/override", page.back);
    page.reason_needed = true;
    page.html()
}

pub async fn overrule_run(
    State(web): State<Web>,
    Operator(person): Operator,
    Path(id): Path<String>,
    Posted(Reason { reason, .. }): Posted<Reason>,
) -> Result<Redirect> {
    let mut tx = web.pool.begin().await?;
    let row = intent::run(&mut tx, &id).await?;
    intent::override_run(&mut tx, &row, &person, &reason).await?;
    tx.commit().await?;
    web.wakes.engine();
    Ok(Redirect::to(&format!("/runs/{}", row.id())))
}

pub async fn overrule(
    State(web): State<Web>,
    Operator(person): Operator,
    Path(id): Path<String>,
    Posted(Reason { reason, .. }): Posted<Reason>,
) -> Result<Redirect> {
    do_it(&web, &person, &id, Steer::Override { reason }).await
}

pub async fn ask_exclude(
    State(web): State<Web>,
    Operator(person): Operator,
    nonce: Nonce,
    Path((id, host)): Path<(String, String)>,
) -> Result<Html<String>> {
    let row = row(&web, &id).await?;
    let question = format!("Leave {host} out of {}?", row.id());
    let mut page = page(nonce, &person, &row, question, "Leave it out");
    page.effects = vec![
        "The deployment goes on without it, and does not count it any more.".to_owned(),
        "It stays as it is now and catches up with the next deployment.".to_owned(),
    ];
    page.action = format!("{}/hosts/{host}/exclude", page.back);
    page.reason_needed = true;
    page.html()
}

pub async fn exclude(
    State(web): State<Web>,
    Operator(person): Operator,
    Path((id, host)): Path<(String, String)>,
    Posted(Reason { reason, .. }): Posted<Reason>,
) -> Result<Redirect> {
    do_it(&web, &person, &id, Steer::Exclude { host, reason }).await
}
