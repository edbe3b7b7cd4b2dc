//! Sends a task's log, its progress and its end, in this order and again until acknowledged.

use super::Link;
use super::held::{Finished, Held};
use crate::backoff::Backoff;
use crate::controller::CallError;
use bytes::Bytes;
use pipelines::protocol::LOG_CHUNK_MAX;
use pipelines::protocol::report::{Body, Progress, Report, Step};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long log bytes wait for company.
const COALESCE: Duration = Duration::from_millis(50);
/// As many log bytes do not wait.
const COALESCE_BYTES: u64 = 64 * 1024;
/// Report numbers of one life; see [`Held::life`].
const REPORTS_PER_LIFE: u64 = 1_000_000;

/// Whether the controller still wants to hear of the task.
#[derive(PartialEq)]
enum Wanted {
    Yes,
    No,
}

/// Sends everything about one task, and releases it in the end.
pub async fn ship(link: Arc<Link>, held: Arc<Held>) {
    let mut shipper = Shipper {
        size: held.spool.watch(),
        steps: held.steps.clone(),
        finished: held.finished.subscribe(),
        link: link.clone(),
        held: held.clone(),
        acknowledged: 0,
        seq: u64::from(held.life()) * REPORTS_PER_LIFE,
        backoff: Backoff::default(),
    };
    tokio::select! {
        () = shipper.until_acknowledged() => {}
        () = held.unwanted.cancelled() => {}
    }
    // Unwanted or acknowledged. Its directory goes once nothing works in it any more.
    held.unwant();
    let mut finished = held.finished.subscribe();
    let _ = finished.wait_for(Option::is_some).await;
    let key = held.key();
    let done = link.state.done();
    let released = tokio::task::spawn_blocking(move || held.release(&done)).await;
    if let Ok(Err(e)) = released {
        tracing::error!(task.id = %key.task, "cannot remove a finished task: {e}");
    }
    link.held().remove(&key);
    link.changed.send_replace(());
}

struct Shipper {
    link: Arc<Link>,
    held: Arc<Held>,
    size: watch::Receiver<u64>,
    steps: watch::Receiver<Vec<Step>>,
    finished: watch::Receiver<Option<Finished>>,
    /// Log bytes the controller has.
    acknowledged: u64,
    seq: u64,
    backoff: Backoff,
}

impl Shipper {
    /// Returns when the end is acknowledged or the controller wants no more.
    async fn until_acknowledged(&mut self) {
        // What an earlier life had sent is not known here; an empty piece asks.
        if self.held.life() > 1 && self.send_log(Bytes::new()).await == Wanted::No {
            return;
        }
        loop {
            // In this order: a log grows no more once there is an end, so all of it is seen here.
            let finished = self.finished.borrow_and_update().clone();
            let size = *self.size.borrow_and_update();
            if self.steps.has_changed().unwrap_or(false) && finished.is_none() {
                let steps = self.steps.borrow_and_update().clone();
                if self.report(Body::Progress(Progress { steps })).await == Wanted::No {
                    return;
                }
            }
            let pending = size.saturating_sub(self.acknowledged);
            if pending > 0 {
                if pending < COALESCE_BYTES && finished.is_none() {
                    self.gather().await;
                }
                if self.send_next_log().await == Wanted::No {
                    return;
                }
            } else if let Some(Finished { outcome, log_size }) = finished {
                if self.acknowledged >= log_size {
                    self.report(Body::Finished { outcome, log_size }).await;
                    return;
                }
                self.make_up_for(log_size).await;
            } else {
                self.wait_for_news().await;
            }
        }
    }

    /// A power loss took the end of a log that was counted: what is lost is sent as nothing.
    async fn make_up_for(&mut self, log_size: u64) {
        if let Err(e) = self.held.spool.skip_to(log_size) {
            tracing::error!("cannot extend a log: {e}");
            self.backoff.wait().await;
        }
    }

    async fn wait_for_news(&mut self) {
        // The senders live in `held`, so these cannot fail.
        tokio::select! {
            _ = self.size.changed() => {}
            _ = self.steps.changed() => self.steps.mark_changed(),
            _ = self.finished.changed() => {}
        }
    }

    /// Waits until there is enough to send, or long enough.
    async fn gather(&mut self) {
        let enough = self.acknowledged + COALESCE_BYTES;
        let full = self.size.wait_for(|size| *size >= enough);
        tokio::select! {
            _ = timeout(COALESCE, full) => {}
            _ = self.finished.changed() => self.finished.mark_changed(),
        }
    }

    async fn send_next_log(&mut self) -> Wanted {
        match self.held.spool.read(self.acknowledged, LOG_CHUNK_MAX) {
            Ok(bytes) => self.send_log(bytes.into()).await,
            Err(e) => {
                tracing::error!("cannot read a log back: {e}");
                self.backoff.wait().await;
                Wanted::Yes
            }
        }
    }

    async fn send_log(&mut self, bytes: Bytes) -> Wanted {
        loop {
            let offset = self.acknowledged;
            let sent = self.link.controller.log(self.held.key(), offset, bytes.clone()).await;
            match self.heed(sent).await {
                Some(reply) if !reply.current => return Wanted::No,
                Some(reply) => {
                    self.acknowledged = reply.size;
                    if let Err(e) = self.held.spool.skip_to(reply.size) {
                        tracing::error!("cannot extend a log: {e}");
                    }
                    return Wanted::Yes;
                }
                None => {}
            }
        }
    }

    async fn report(&mut self, body: Body) -> Wanted {
        self.seq += 1;
        let (key, boot) = (self.held.key(), self.link.boot.clone());
        let report = Report { key, boot, seq: self.seq, body };
        loop {
            let sent = self.link.controller.report(&report).await;
            match self.heed(sent).await {
                Some(reply) => {
                    return if reply.current { Wanted::Yes } else { Wanted::No };
                }
                // A newer picture, or the end, may have come meanwhile: do not insist on this one.
                None if matches!(report.body, Body::Progress(_)) => {
                    self.steps.mark_changed();
                    return Wanted::Yes;
                }
                None => {}
            }
        }
    }

    /// An answer; or None after a wait, to try again. That a task is gone is said in an answer; an
    /// error of whatever status may be a proxy's, and no reason to end work.
    async fn heed<T>(&mut self, sent: Result<T, CallError>) -> Option<T> {
        match sent {
            Ok(reply) => {
                self.link.silence.broken();
                self.backoff.reset();
                Some(reply)
            }
            Err(e) => {
                tracing::debug!(task.id = %self.held.key().task, "will say it again: {e}");
                self.backoff.wait().await;
                None
            }
        }
    }
}
