//! The changing part of a page, sent again whenever it looks different.

use super::{KEEP_ALIVE, STREAM_MAX};
use crate::Web;
use crate::auth::{Person, Viewer};
use crate::error::Result;
use crate::extract::Path;
use crate::pages;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;

/// Many changes in a row are one picture.
const SETTLE: Duration = Duration::from_millis(150);
/// A look without being woken: ages go on, and a wake-up may be lost.
const LOOK: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
enum Of {
    Run,
    Deployment,
}

pub async fn run(
    web: State<Web>,
    viewer: Viewer,
    path: Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    stream(web.0, viewer.0, Of::Run, path.0).await
}

pub async fn deployment(
    web: State<Web>,
    viewer: Viewer,
    path: Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    stream(web.0, viewer.0, Of::Deployment, path.0).await
}

async fn stream(
    web: Web,
    person: Person,
    of: Of,
    id: String,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let changes = web.wakes.pages_watch();
    let mut watching = Watching {
        web,
        person,
        of,
        id,
        changes,
        shown: String::new(),
        ready: VecDeque::new(),
        is_over: false,
    };
    // What does not exist is said now, not in the stream.
    watching.look().await?;
    let stream = futures::stream::unfold(watching, |mut watching| async move {
        let event = watching.next().await?;
        Some((Ok(event), watching))
    });
    let stream = stream.take_until(tokio::time::sleep(STREAM_MAX));
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

struct Watching {
    web: Web,
    person: Person,
    of: Of,
    id: String,
    changes: watch::Receiver<u64>,
    shown: String,
    ready: VecDeque<Event>,
    is_over: bool,
}

impl Watching {
    /// The next event; None ends the stream, also when something cannot be read: the browser asks
    /// again.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.is_over {
                return None;
            }
            tokio::select! {
                changed = self.changes.changed() => {
                    changed.ok()?;
                    tokio::time::sleep(SETTLE).await;
                }
                () = tokio::time::sleep(LOOK) => {}
            }
            self.look().await.ok()?;
        }
    }

    async fn look(&mut self) -> Result<()> {
        self.changes.mark_unchanged();
        let (html, title, is_over) = match self.of {
            Of::Run => pages::run::fragment(&self.web, &self.person, &self.id).await?,
            Of::Deployment => {
                pages::deployment::fragment(&self.web, &self.person, &self.id).await?
            }
        };
        if html != self.shown {
            // A carriage return would end the field it stands in.
            let data = html.replace('\r', " ");
            self.ready.push_back(Event::default().event("page").data(data));
            self.ready
                .push_back(Event::default().event("title").data(title.replace(['\r', '\n'], " ")));
            self.shown = html;
        }
        if is_over {
            self.is_over = true;
            self.ready.push_back(Event::default().event("end").data("end"));
        }
        Ok(())
    }
}
