//! A pipeline: how its newest run went, a button to start one, and the runs before.

use super::lines::RunLine;
use crate::Web;
use crate::auth::{Developer, Posted, Viewer};
use crate::error::Result;
use crate::extract::Path;
use crate::headers::Nonce;
use crate::intent::{self, NewRun};
use crate::shell::Shell;
use askama::Template;
use axum::extract::State;
use axum::response::{Html, Redirect};
use pipelines::time::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;
use store::users::Role;
use store::{pipelines as registered, runs};

#[derive(Template)]
#[template(path = "pipeline/page.html")]
struct Page {
    shell: Shell,
    view: View,
    may_start: bool,
}

struct View {
    name: String,
    version: i32,
    sentence: String,
    stages: Vec<StageLine>,
    text: String,
    runs: Vec<RunLine>,
}

struct StageLine {
    name: String,
    actions: String,
}

pub async fn show(
    State(web): State<Web>,
    viewer: Viewer,
    nonce: Nonce,
    Path(name): Path<String>,
) -> Result<Html<String>> {
    let mut conn = web.pool.acquire().await?;
    let pipeline = intent::pipeline(&mut conn, &name).await?;
    let rows = runs::list(&mut conn, Some(&name), None, 30).await?;
    let now = store::clock::now(&mut conn).await?;
    drop(conn);
    let view = view(&pipeline, &rows, now);
    let mut shell = Shell::new(nonce, Some(&viewer.0), "");
    if let Some(newest) = view.runs.first() {
        shell = shell.with_mark(newest.mark.clone());
    }
    let may_start = viewer.0.may(Role::Developer);
    Ok(Html(Page { shell, view, may_start }.render()?))
}

fn view(pipeline: &registered::Row, rows: &[runs::Summary], now: Timestamp) -> View {
    let runs: Vec<RunLine> = rows.iter().map(|row| RunLine::new(row, now)).collect();
    let name = &pipeline.name;
    let sentence = match runs.first() {
        Some(newest) => format!("{}: {}, {}", newest.name, newest.mark.word, newest.created.ago),
        None => format!("{name} has not run yet"),
    };
    let stages = pipeline.spec.stages.iter().map(|stage| {
        let actions = stage.actions.iter();
        let actions: Vec<String> =
            actions.map(|action| format!("{} ({})", action.name, action.kind())).collect();
        StageLine { name: stage.name.clone(), actions: actions.join(", ") }
    });
    View {
        name: name.clone(),
        version: pipeline.version,
        sentence,
        stages: stages.collect(),
        text: pipeline.text.clone(),
        runs,
    }
}

#[derive(Deserialize)]
pub struct Start {}

pub async fn start(
    State(web): State<Web>,
    Developer(person): Developer,
    Path(name): Path<String>,
    Posted(Start {}): Posted<Start>,
) -> Result<Redirect> {
    let mut tx = web.pool.begin().await?;
    let pipeline = intent::pipeline(&mut tx, &name).await?;
    let new = NewRun { commit: None, branch: None, variables: BTreeMap::new() };
    let run = intent::start_run(&mut tx, &pipeline, &person, new).await?;
    tx.commit().await?;
    web.wakes.engine();
    web.wakes.pages();
    Ok(Redirect::to(&format!("/runs/{run}")))
}
