//! Registering pipelines and groups: all files or none, all problems at once.
//!
//! `read` parses every file, `check` looks across them and at what is registered, and the handler
//! writes in one transaction. A dry run does the same and takes it back.

mod check;
mod not_yet;
mod read;

use crate::Web;
use crate::auth::{ByToken, Developer};
use crate::error::Result;
use crate::extract::Body;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pipelines::deploy::Event;
use pipelines::run::trigger::sources;
use pipelines::spec::Problem;
use pipelines::spec::pipeline::SourceFrom;
use read::{File, Spec};
use serde::{Deserialize, Serialize};
use store::PgConnection;

#[derive(Deserialize)]
pub struct Files {
    files: Vec<Sent>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
pub struct Sent {
    path: String,
    text: String,
}

#[derive(Serialize)]
struct Applied {
    dry_run: bool,
    changes: Vec<Change>,
    /// Files that were taken although something in them is doubtful.
    warnings: Vec<FileProblems>,
}

#[derive(Serialize)]
struct Change {
    file: String,
    /// pipeline, group
    kind: &'static str,
    name: String,
    /// created, updated, unchanged
    change: &'static str,
    version: i32,
    /// From what is registered to the file, as `diff -u` would show it.
    diff: String,
}

#[derive(Serialize)]
struct Refused {
    error: RefusedBecause,
    files: Vec<FileProblems>,
}

#[derive(Serialize)]
struct RefusedBecause {
    code: &'static str,
    message: String,
    help: &'static str,
}

#[derive(Serialize)]
struct FileProblems {
    file: String,
    problems: Vec<ProblemBody>,
}

#[derive(Serialize)]
struct ProblemBody {
    severity: String,
    code: String,
    message: String,
    help: String,
    line: Option<u32>,
    column: Option<u32>,
}

impl From<&Problem> for ProblemBody {
    fn from(problem: &Problem) -> ProblemBody {
        let Problem { severity, code, message, help, line, column } = problem;
        ProblemBody {
            severity: severity.to_string(),
            code: code.to_string(),
            message: message.clone(),
            help: help.clone(),
            line: *line,
            column: *column,
        }
    }
}

pub async fn apply(
    State(web): State<Web>,
    ByToken(Developer(person)): ByToken<Developer>,
    Body(Files { files, dry_run }): Body<Files>,
) -> Result<Response> {
    let mut files: Vec<File> =
        files.into_iter().map(|sent| File::read(sent.path, sent.text)).collect();
    let mut tx = web.pool.begin().await?;
    let registered = store::groups::list(&mut tx).await?;
    let registered: Vec<String> = registered.into_iter().map(|group| group.name).collect();
    check::across(&mut files, &registered);
    if files.is_empty() || files.iter().any(File::is_refused) {
        return Ok(refusal(&files));
    }
    let mut changes = Vec::new();
    for file in &files {
        changes.extend(register(&mut tx, file).await?);
    }
    if dry_run {
        tx.rollback().await?;
    } else {
        tx.commit().await?;
        tracing::info!(by = person.name(), files = files.len(), "specs were applied");
        web.wakes.engine();
        web.wakes.pages();
    }
    let applied = Applied { dry_run, changes, warnings: problems(&files) };
    Ok(Json(applied).into_response())
}

async fn register(conn: &mut PgConnection, file: &File) -> Result<Option<Change>> {
    let Some(spec) = &file.spec else { return Ok(None) };
    let (kind, before, version) = match spec {
        Spec::Group(group) => {
            let before = store::groups::by_name(conn, &group.name).await?;
            let version = store::groups::put(conn, &file.text, group).await?;
            tell_waiting(conn, before.as_ref()).await?;
            ("group", before.map(|row| row.text), version)
        }
        Spec::Pipeline(pipeline) => {
            for (_, source) in sources(pipeline) {
                if let SourceFrom::Repository(name) = &source.from {
                    store::repositories::ensure(conn, name).await?;
                }
            }
            let before = store::pipelines::by_name(conn, &pipeline.name).await?;
            let version = store::pipelines::put(conn, &file.text, pipeline).await?;
            ("pipeline", before.map(|row| row.text), version)
        }
    };
    let change = match &before {
        None => "created",
        Some(text) if *text == file.text => "unchanged",
        Some(_) => "updated",
    };
    Ok(Some(Change {
        file: file.path.clone(),
        kind,
        name: spec.name().to_owned(),
        change,
        version,
        diff: diff(before.as_deref().unwrap_or_default(), &file.text, &file.path),
    }))
}

/// What waits in the group's queue may start now, or wait for something else.
async fn tell_waiting(conn: &mut PgConnection, group: Option<&store::groups::Row>) -> Result<()> {
    let Some(group) = group else { return Ok(()) };
    for (deployment, status) in store::deployments::unfinished(conn, group.id).await? {
        if status == "queued" {
            store::inbox::post_deployment(conn, deployment, &Event::Tick).await?;
        }
    }
    Ok(())
}

/// Empty when nothing differs.
fn diff(before: &str, after: &str, path: &str) -> String {
    let diff = similar::TextDiff::from_lines(before, after);
    diff.unified_diff().context_radius(3).header("registered", path).to_string()
}

fn problems(files: &[File]) -> Vec<FileProblems> {
    let with_problems = files.iter().filter(|file| !file.problems.is_empty());
    let files = with_problems.map(|file| FileProblems {
        file: file.path.clone(),
        problems: file.problems.iter().map(ProblemBody::from).collect(),
    });
    files.collect()
}

fn refusal(files: &[File]) -> Response {
    let bad = files.iter().filter(|file| file.is_refused()).count();
    let message = match (files.len(), bad) {
        (0, _) => "no files were given".to_owned(),
        (total, bad) => format!("{bad} of {} cannot be used", crate::words::count(total, "file")),
    };
    let error = RefusedBecause {
        code: "invalid-files",
        message,
        help: "nothing was registered; mend what is listed and apply again",
    };
    let refused = Refused { error, files: problems(files) };
    (StatusCode::UNPROCESSABLE_ENTITY, Json(refused)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_reads_like_diff_u() {
        let text = diff("a\nb\n", "a\nc\n", "pipeline.yml");
        assert_eq!(text, "--- registered\n+++ pipeline.yml\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
        assert_eq!(diff("a\n", "a\n", "x"), "");
    }
}
