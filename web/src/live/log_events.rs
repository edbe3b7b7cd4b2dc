//! A log while it grows: whole lines as HTML, each event with the byte offset after it as its id, so
//! that a browser that comes back goes on where it was.

use super::ansi::Ansi;
use super::log::{LogPlace, find, wait_for_more};
use super::{KEEP_ALIVE, STREAM_MAX};
use crate::Web;
use crate::auth::Viewer;
use crate::error::Result;
use crate::extract::{Path, Query, id};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _};
use pipelines::ids::TaskId;
use pipelines::protocol::task::TaskKey;
use serde::Deserialize;
use std::convert::Infallible;

/// Bytes of log in one event.
const PIECE_MAX: usize = 64 << 10;

#[derive(Deserialize)]
pub struct From {
    #[serde(default)]
    offset: u64,
}

pub async fn events(
    State(web): State<Web>,
    _: Viewer,
    Path(task): Path<String>,
    Query(from): Query<From>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let task: TaskId = id("task", &task)?;
    let place = find(&web, task).await?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let tail = Tail {
        web,
        key: place.key,
        offset: last.unwrap_or(from.offset),
        ansi: Ansi::default(),
        is_over: false,
    };
    let stream = futures::stream::unfold(tail, |mut tail| async move {
        let event = tail.next().await?;
        Some((Ok(event), tail))
    });
    let stream = stream.take_until(tokio::time::sleep(STREAM_MAX));
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

struct Tail {
    web: Web,
    key: TaskKey,
    offset: u64,
    ansi: Ansi,
    is_over: bool,
}

impl Tail {
    /// The next event; None ends the stream, also when something cannot be read: the browser asks
    /// again.
    async fn next(&mut self) -> Option<Event> {
        // What is known to be stored already without a line's end.
        let mut looked_at = self.offset;
        while !self.is_over {
            let place = wait_for_more(&self.web, self.key, looked_at).await.ok()?;
            let piece = self.web.logs.read(self.key, self.offset, PIECE_MAX).await.ok()?;
            let whole = whole_lines(&piece, self.is_last(&place, piece.len()));
            if whole > 0 {
                self.offset += whole as u64;
                return Some(self.piece(&piece[..whole]));
            }
            if place.finished && self.offset >= place.size {
                self.is_over = true;
                return Some(Event::default().event("end").data("end"));
            }
            looked_at = place.size;
        }
        None
    }

    fn is_last(&self, place: &LogPlace, length: usize) -> bool {
        length >= PIECE_MAX || (place.finished && self.offset + length as u64 >= place.size)
    }

    fn piece(&mut self, bytes: &[u8]) -> Event {
        let html = self.ansi.render(bytes);
        Event::default().event("log").id(self.offset.to_string()).data(html)
    }
}

/// How much of the piece ends with a line; all of it when no line's end is to come.
fn whole_lines(piece: &[u8], is_last: bool) -> usize {
    match piece.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => at + 1,
        None if is_last => piece.len(),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_sent_when_it_is_whole() {
        assert_eq!(whole_lines(b"one\ntwo", false), 4);
        assert_eq!(whole_lines(b"two", false), 0);
        assert_eq!(whole_lines(b"two", true), 3);
        assert_eq!(whole_lines(b"", true), 0);
    }
}
