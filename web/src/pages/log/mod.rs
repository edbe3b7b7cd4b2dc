//! A task's log: a part of it with links to the rest, and what is added while it is written.

use crate::Web;
use crate::auth::Viewer;
use crate::error::Result;
use crate::extract::{Path, Query, id};
use crate::headers::Nonce;
use crate::live::ansi::Ansi;
use crate::live::log::{LogPlace, find};
use crate::shell::Shell;
use crate::words;
use crate::words::status::{Mark, mark};
use askama::Template;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use pipelines::ids::{DeploymentId, RunId, TaskId};
use serde::Deserialize;
use store::tasks::Row;

/// Bytes on one page. Browsers stay quick, and their search finds everything that is shown.
const PAGE: u64 = 256 << 10;

#[derive(Template)]
#[template(path = "log/page.html")]
struct Page {
    shell: Shell,
    view: View,
}

struct View {
    id: String,
    title: String,
    mark: Mark,
    owner_url: String,
    owner: String,
    steps: Vec<StepLink>,
    earlier: Option<u64>,
    later: Option<u64>,
    html: String,
    /// Where the live part goes on; None when nothing will be added here.
    live_from: Option<u64>,
    size: String,
    error: Option<String>,
}

struct StepLink {
    mark: Mark,
    name: String,
    took: String,
    offset: u64,
    message: Option<String>,
}

#[derive(Deserialize)]
pub struct Range {
    from: Option<u64>,
}

pub async fn show(
    State(web): State<Web>,
    Viewer(person): Viewer,
    nonce: Nonce,
    Path(task): Path<String>,
    Query(range): Query<Range>,
) -> Result<Html<String>> {
    let task: TaskId = id("task", &task)?;
    let place = find(&web, task).await?;
    let mut conn = web.pool.acquire().await?;
    let row = store::tasks::by_id(&mut conn, task).await?;
    let row = row.ok_or_else(|| crate::error::Error::not_found(format!("task {task}"), ""))?;
    drop(conn);
    // Without a place: the end, where the news are.
    let from = range.from.unwrap_or(place.size.saturating_sub(PAGE)).min(place.size);
    let bytes = web.logs.read(place.key, from.saturating_sub(1), PAGE as usize + 1).await?;
    let view = view(&row, place, from, &bytes);
    let shell = Shell::new(nonce, Some(&person), "").with_mark(view.mark.clone());
    Ok(Html(Page { shell, view }.render()?))
}

/// `bytes` start one before `from`, to see whether a line starts there.
fn view(row: &Row, place: LogPlace, from: u64, bytes: &[u8]) -> View {
    let (start, end) = whole_lines(from, bytes, from + PAGE >= place.size && place.finished);
    let shown = &bytes[start..end];
    let first = from.saturating_sub(1) + start as u64;
    let next = first + shown.len() as u64;
    let at_end = next + PAGE / 4 >= place.size && from + PAGE >= place.size;
    let (owner_url, owner) = match (row.run_id, row.deployment_id) {
        (Some(run), _) => {
            let action = row.action.as_deref().unwrap_or_default();
            (format!("/runs/{}", RunId(run)), format!("{action} of run {}", RunId(run)))
        }
        (None, Some(deployment)) => {
            let deployment = DeploymentId(deployment);
            (format!("/deployments/{deployment}"), format!("deployment {deployment}"))
        }
        (None, None) => ("/".to_owned(), "nothing".to_owned()),
    };
    let on = row.agent.as_ref().map(|agent| format!(" on {agent}")).unwrap_or_default();
    let steps = words::task::steps(row).iter().map(|step| StepLink {
        mark: mark(words::task::step_status(step.status), false),
        name: step.name.clone(),
        took: step.took.map(|took| took.to_string()).unwrap_or_default(),
        offset: step.log_offset,
        message: step.message.clone(),
    });
    View {
        id: row.key().task.to_string(),
        title: format!("Log of {owner}{on}"),
        mark: mark(words::task::state(row), false),
        owner_url,
        owner,
        steps: steps.collect(),
        earlier: (first > 0).then(|| first.saturating_sub(PAGE)),
        later: (!at_end).then_some(next),
        html: Ansi::default().render(shown),
        live_from: (at_end && !place.finished).then_some(next),
        size: size(place.size),
        error: words::task::error(row).map(|error| error.message.clone()),
    }
}

/// The part of `bytes` that is whole lines from `from` on: first and last index.
fn whole_lines(from: u64, bytes: &[u8], is_last: bool) -> (usize, usize) {
    let start = match from {
        0 => 0,
        _ => bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len().min(1), |at| at + 1),
    };
    let end = match bytes.iter().rposition(|byte| *byte == b'\n') {
        _ if is_last => bytes.len(),
        Some(at) => at + 1,
        // One line longer than a page: shown in pieces.
        None if bytes.len() as u64 > PAGE => bytes.len(),
        None => start,
    };
    (start, end.max(start))
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} kB", bytes / 1024),
        _ => format!("{:.1} MB", bytes as f64 / 1_048_576.0),
    }
}

/// All of it, as it is.
pub async fn raw(State(web): State<Web>, _: Viewer, Path(task): Path<String>) -> Result<Response> {
    let task: TaskId = id("task", &task)?;
    let place = find(&web, task).await?;
    let logs = web.logs.clone();
    // Read piece by piece: a log may be larger than memory should bear.
    let pieces = futures::stream::try_unfold(0u64, move |offset| {
        let logs = logs.clone();
        async move {
            let piece: Bytes = logs.read(place.key, offset, PAGE as usize).await?;
            let next = offset + piece.len() as u64;
            Ok::<_, std::io::Error>((!piece.is_empty()).then_some((piece, next)))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"{task}.log\"")),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_and_ends_with_a_line() {
        assert_eq!(whole_lines(0, b"one\ntwo\nthr", false), (0, 8));
        assert_eq!(whole_lines(0, b"one\ntwo\nthr", true), (0, 11));
        // From 4 on: the byte before it is a line's end.
        assert_eq!(whole_lines(4, b"\ntwo\n", false), (1, 5));
        assert_eq!(whole_lines(5, b"two\nthree\n", false), (4, 10));
        assert_eq!(whole_lines(0, b"", false), (0, 0));
        assert_eq!(whole_lines(0, b"no end", false), (0, 0));
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(
            (size(12), size(2048), size(1_572_864)),
            ("12 B".into(), "2 kB".into(), "1.5 MB".into())
        );
    }
}
