//! Pages that name the effect before something is stopped or taken back, and then do it.

mod steering;

pub use steering::{
    ask_exclude, ask_override, ask_override_run, ask_promote, exclude, overrule, overrule_run,
    promote,
};

use crate::Web;
use crate::auth::{Developer, Operator, Person, Posted};
use crate::error::Result;
use crate::extract::{Path, Query};
use crate::headers::Nonce;
use crate::intent::{self, Steer};
use crate::pages::deployment::do_it;
use crate::shell::Shell;
use crate::words;
use askama::Template;
use axum::extract::State;
use axum::response::{Html, Redirect};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "confirm/page.html")]
struct Page {
    shell: Shell,
    question: String,
    effects: Vec<String>,
    /// Where the form goes and where not doing it leads.
    action: String,
    back: String,
    button: &'static str,
    reason: bool,
    /// Nothing happens without it.
    reason_needed: bool,
    abandon: bool,
    to: Option<String>,
    /// The step that was shown, counted from 1, and the generation of its orders.
    at: Option<(usize, u64)>,
}

impl Page {
    fn new(nonce: Nonce, person: &Person, question: String, button: &'static str) -> Page {
        Page {
            shell: Shell::new(nonce, Some(person), ""),
            question,
            effects: Vec::new(),
            action: String::new(),
            back: String::new(),
            button,
            reason: true,
            reason_needed: false,
            abandon: false,
            to: None,
            at: None,
        }
    }

    fn html(self) -> Result<Html<String>> {
        Ok(Html(self.render()?))
    }
}

#[derive(Deserialize)]
pub struct Reason {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    abandon: String,
}

pub async fn ask_stop(
    State(web): State<Web>,
    Developer(person): Developer,
    nonce: Nonce,
    Path(run): Path<String>,
) -> Result<Html<String>> {
    let mut conn = web.pool.acquire().await?;
    let row = intent::run(&mut conn, &run).await?;
    let name = words::run::name(&row.pipeline, row.number);
    let mut page = Page::new(nonce, &person, format!("Stop {name}?"), "Stop the run");
    page.effects = vec![
        "No further action of it starts.".to_owned(),
        "Builds and deployments that are running are brought to their end, unless you tick the box."
            .to_owned(),
    ];
    page.back = format!("/runs/{}", row.id());
    page.action = format!("{}/stop", page.back);
    page.abandon = true;
    page.html()
}

pub async fn stop(
    State(web): State<Web>,
    Developer(person): Developer,
    Path(run): Path<String>,
    Posted(Reason { reason, abandon }): Posted<Reason>,
) -> Result<Redirect> {
    let mut tx = web.pool.begin().await?;
    let row = intent::run(&mut tx, &run).await?;
    intent::stop_run(&mut tx, &row, &person, &reason, !abandon.is_empty()).await?;
    tx.commit().await?;
    web.wakes.engine();
    Ok(Redirect::to(&format!("/runs/{}", row.id())))
}

pub async fn ask_abort(
    State(web): State<Web>,
    Operator(person): Operator,
    nonce: Nonce,
    Path(id): Path<String>,
) -> Result<Html<String>> {
    let mut conn = web.pool.acquire().await?;
    let row = intent::deployment(&mut conn, &id).await?;
    let question = format!("Abort {} of {} to {}?", row.id(), row.revision.label, row.group_name);
    let mut page = Page::new(nonce, &person, question, "Abort the deployment");
    page.effects = abort_effects(&row);
    page.back = format!("/deployments/{}", row.id());
    page.action = format!("{}/abort", page.back);
    page.html()
}

fn abort_effects(row: &store::deployments::Row) -> Vec<String> {
    let (Some(plan), Some(state)) = (&row.plan, &row.state) else {
        return vec!["It has not begun: nothing was changed.".to_owned()];
    };
    let touched = state.hosts.values().filter(|host| host.touched).count();
    let touched_words = words::count(touched, "host");
    let after = match (touched, plan.rollback.stop) {
        (0, _) => "No host was changed yet, so none has to be changed back.".to_owned(),
        (_, true) => format!("{touched_words} that it changed return to their earlier revision."),
        (_, false) => {
            format!(
                "{touched_words} that it changed stay as they are: the group asks for no rollback."
            )
        }
    };
    vec!["Work that is running on hosts is stopped.".to_owned(), after]
}

pub async fn abort(
    State(web): State<Web>,
    Operator(person): Operator,
    Path(id): Path<String>,
    Posted(Reason { reason, .. }): Posted<Reason>,
) -> Result<Redirect> {
    do_it(&web, &person, &id, Steer::Abort { reason }).await
}

#[derive(Deserialize)]
pub struct To {
    to: Option<String>,
}

pub async fn ask_rollback(
    State(web): State<Web>,
    Operator(person): Operator,
    nonce: Nonce,
    Path(name): Path<String>,
    Query(To { to }): Query<To>,
) -> Result<Html<String>> {
    let mut conn = web.pool.acquire().await?;
    let group = intent::group(&mut conn, &name).await?;
    let target = intent::rollback_target(&mut conn, &group, to.as_deref()).await?;
    let question = format!("Bring {name} back to {}?", target.label);
    let mut page = Page::new(nonce, &person, question, "Go back");
    page.effects = vec![
        match &group.base {
            Some(base) => format!("Its hosts serve {} now.", base.label),
            None => "What its hosts serve now is not known.".to_owned(),
        },
        "A deployment of the earlier revision is ordered; it runs by the group's strategy."
            .to_owned(),
    ];
    page.back = format!("/groups/{name}");
    page.action = format!("{}/rollback", page.back);
    page.reason = false;
    // The digest, so that the page orders what it named whatever happens in between.
    page.to = Some(target.bundle.digest.to_string());
    page.html()
}

pub async fn rollback(
    State(web): State<Web>,
    Operator(person): Operator,
    Path(name): Path<String>,
    Posted(To { to }): Posted<To>,
) -> Result<Redirect> {
    let mut tx = web.pool.begin().await?;
    let group = intent::group(&mut tx, &name).await?;
    let (deployment, _) = intent::roll_back(&mut tx, &group, &person, to.as_deref()).await?;
    tx.commit().await?;
    web.wakes.engine();
    web.wakes.pages();
    Ok(Redirect::to(&format!("/deployments/{deployment}")))
}
