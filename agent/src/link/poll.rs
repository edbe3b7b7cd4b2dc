//! The held poll: says what this agent holds, obeys the answer, and begins again. It goes on while
//! tasks run, so that being alive never depends on how long a task takes.

use super::held::{self, Held};
use super::{Link, run};
use crate::backoff::Backoff;
use crate::context::{Reason, free_bytes};
use crate::controller::CallError;
use crate::deploy;
use pipelines::protocol::join::Role;
use pipelines::protocol::poll::{PollReply, PollRequest};
use pipelines::protocol::report::ErrorCode;
use pipelines::protocol::task::{Task, TaskKey};
use pipelines::protocol::{VERSION, report::Outcome};
use pipelines::time::Millis;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Free disk below which an agent takes no work, in bytes.
pub const FREE_MIN: u64 = 64 << 20;
/// Time for killed work to come to its end when the agent stops.
const KILL_TIME: Duration = Duration::from_secs(15);
/// Time for last words to the controller when the agent stops.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// A poll that is answered sooner than this, with nothing new, was not held: the controller waits
/// for something that takes its time here.
const TOO_SOON: Duration = Duration::from_millis(200);

/// How long a controller has to say that it does not know this agent, before one that never worked for
/// it in this life believes it.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);

/// Why the agent's program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Somebody said so on this host.
    Told,
    /// The controller does not know this agent any more.
    Revoked,
}

/// What a reply meant.
enum News {
    Some,
    None,
    /// It could not be obeyed.
    Refused,
}

/// Runs the agent until `stop` resolves and the work has come to an end.
///
/// A controller that is away is no reason to stop. One that says, for as long as the lease, that it does
/// not know this agent is: by then whatever ran has been ended.
pub async fn serve(link: Arc<Link>, stop: impl Future<Output = ()>) -> End {
    let mut earlier: Vec<Arc<Held>> = link.held().values().cloned().collect();
    // What had begun goes on before what was only waiting.
    earlier.sort_by_key(|task| task.running_for().is_none());
    for task in earlier {
        link.start(task);
    }
    let mut polling = tokio::spawn(poll_until_revoked(link.clone()));
    let sweeping =
        (link.setup.role == Role::Build).then(|| tokio::spawn(link.clone().sweep_for_ever()));
    let watching = (link.setup.role == Role::Deploy)
        .then(|| tokio::spawn(crate::route::watch(link.state.root().to_owned())));
    let end = tokio::select! {
        () = stop => End::Told,
        _ = &mut polling => End::Revoked,
    };
    drain(&link).await;
    polling.abort();
    if let Some(watching) = watching {
        watching.abort();
    }
    if let Some(sweeping) = sweeping {
        sweeping.abort();
    }
    end
}

/// Lets running work end, for a while; then ends it.
async fn drain(link: &Arc<Link>) {
    link.draining.cancel();
    link.changed.send_replace(());
    link.running.close();
    if timeout(link.setup.stop_grace, link.running.wait()).await.is_err() {
        for task in link.held().values() {
            task.cancel.cancel(Reason::Shutdown);
        }
        // What still does not end is journalled, and the next start reports it as interrupted.
        let _ = timeout(KILL_TIME, link.running.wait()).await;
    }
    link.shipping.close();
    let _ = timeout(LAST_WORDS, link.shipping.wait()).await;
}

/// Ends when the controller has said for long enough that it does not know this agent.
async fn poll_until_revoked(link: Arc<Link>) {
    let mut backoff = Backoff::default();
    let mut first = true;
    let mut away = false;
    let mut unknown_since: Option<Instant> = None;
    loop {
        let mut changed = link.changed.subscribe();
        let asked = link.clone();
        let request = match tokio::task::spawn_blocking(move || asked.question(first)).await {
            Ok(request) => request,
            Err(e) => {
                tracing::error!("cannot ask for work: {e}");
                backoff.wait().await;
                continue;
            }
        };
        let asked_at = Instant::now();
        let answer = tokio::select! {
            answer = link.controller.poll(&request) => answer,
            // What this poll says is no longer so.
            _ = changed.changed() => continue,
        };
        match answer {
            Ok(reply) => {
                unknown_since = None;
                if std::mem::replace(&mut away, false) {
                    tracing::info!("the controller is back");
                }
                first = false;
                match link.clone().obey(reply).await {
                    News::Some => backoff.reset(),
                    // Said again at once, it would be heard again at once.
                    News::None if asked_at.elapsed() < TOO_SOON => tokio::select! {
                        () = tokio::time::sleep(TOO_SOON) => {}
                        _ = changed.changed() => {}
                    },
                    News::None => backoff.reset(),
                    News::Refused => backoff.wait().await,
                }
            }
            Err(e) => {
                complain(&e, std::mem::replace(&mut away, true));
                if !e.is_unknown_agent() {
                    unknown_since = None;
                } else if unknown_since.get_or_insert_with(Instant::now).elapsed()
                    >= link.believes_after()
                {
                    return;
                }
                backoff.wait().await;
            }
        }
    }
}

fn complain(error: &CallError, again: bool) {
    match error {
        CallError::Refused { status: 401 | 403, message, .. } if !again => {
            tracing::error!("the controller does not know this agent (any more): {message}");
        }
        other if !again => tracing::warn!("{other}; work goes on, and so does asking"),
        other => tracing::debug!("{other}"),
    }
}

impl Link {
    fn question(&self, first: bool) -> PollRequest {
        let held = self.held();
        let holding: Vec<TaskKey> = held.keys().copied().collect();
        let active = held.values().filter(|task| !task.is_finished()).count();
        drop(held);
        let unfit = self.unfit();
        let free = self.setup.slots.saturating_sub(u32::try_from(active).unwrap_or(u32::MAX));
        let wait = if first { Millis::ZERO } else { self.silence.poll_wait(!holding.is_empty()) };
        let installed = match self.setup.role {
            Role::Build => Vec::new(),
            Role::Deploy => deploy::installed(self.state.root()),
        };
        PollRequest {
            protocol: VERSION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            boot: self.boot.clone(),
            holding,
            free_slots: if unfit.is_some() { 0 } else { free },
            installed,
            wait,
            unfit,
        }
    }

    /// How long it has to be said that this agent is unknown.
    fn believes_after(&self) -> Duration {
        // What runs is ended with the lease; before that, there is something to lose.
        if self.silence.was_heard() { self.silence.longest() } else { UNKNOWN_FOR }
    }

    fn unfit(&self) -> Option<String> {
        if self.draining.is_cancelled() {
            return Some("the agent is stopping".to_owned());
        }
        match free_bytes(self.state.root()) {
            Ok(free) if free < FREE_MIN => Some(format!("disk full: {} MB left", free >> 20)),
            Ok(_) => None,
            Err(e) => Some(format!("disk: {e}")),
        }
    }

    async fn obey(self: Arc<Self>, reply: PollReply) -> News {
        let link = self.clone();
        match tokio::task::spawn_blocking(move || link.take_in(reply)).await {
            Ok(Ok((news, fresh))) => {
                fresh.into_iter().for_each(|task| self.start(task));
                news
            }
            Ok(Err(e)) => {
                tracing::error!("cannot take work: {e}");
                News::Refused
            }
            Err(e) => {
                tracing::error!("taking work failed: {e}");
                News::Refused
            }
        }
    }

    /// Does what a reply says, except starting; gives back what to start. Blocks.
    fn take_in(&self, reply: PollReply) -> io::Result<(News, Vec<Arc<Held>>)> {
        let heard = self.fence.lock().unwrap_or_else(PoisonError::into_inner).hear(reply.epoch)?;
        if let Err(stale) = heard {
            tracing::warn!("a controller of the past was not obeyed: {stale}");
            return Ok((News::Refused, Vec::new()));
        }
        let mut news = false;
        for key in &reply.forget {
            if let Some(task) = self.held().get(key) {
                news |= !task.unwanted.is_cancelled();
                task.unwant();
            }
        }
        for key in &reply.cancel {
            if let Some(task) = self.held().get(key) {
                news |= !task.cancel.is_cancelled();
                task.cancel.cancel(Reason::Controller);
            }
        }
        // Not sooner: earlier lives' tasks wait for this, to hear whether they are still wanted.
        self.silence.broken_by_poll(reply.lease);
        let (mut fresh, mut refused) = (Vec::new(), false);
        if !self.draining.is_cancelled() {
            for task in reply.tasks {
                let key = task.key;
                match self.accept(task) {
                    Ok(held) => fresh.extend(held),
                    // Those before it are held by now, and have to be started.
                    Err(e) => {
                        tracing::error!(task.id = %key.task, "cannot take a task: {e}");
                        refused = true;
                    }
                }
            }
        }
        let news = match (refused, news || !fresh.is_empty()) {
            (true, _) => News::Refused,
            (false, true) => News::Some,
            (false, false) => News::None,
        };
        Ok((news, fresh))
    }

    /// Takes a task, unless it is known or from the past. Blocks.
    fn accept(&self, task: Task) -> io::Result<Option<Arc<Held>>> {
        let key = task.key;
        for (known, earlier) in self.held().iter().filter(|(known, _)| known.task == key.task) {
            if known.attempt >= key.attempt {
                return Ok(None);
            }
            earlier.unwant();
        }
        let done = held::done(&self.state.done(), key)?;
        let admitted = self.fence.lock().unwrap_or_else(PoisonError::into_inner).admit(&task)?;
        let held = Held::accept(&self.state.tasks(), task)?;
        let end = match (done, admitted) {
            // Acknowledged before, so the controller has lost its memory of it: the same answer
            // again.
            (Some(outcome), _) => Some(outcome),
            (None, Err(stale)) if !held.is_finished() => Some(refusal(&stale.to_string())),
            (None, _) => None,
        };
        if let Some(Err(e)) = end.map(|outcome| held.finish(outcome)) {
            tracing::warn!(task.id = %key.task, "an answer would not survive a crash: {e}");
        }
        self.held().insert(key, held.clone());
        Ok(Some(held))
    }
}

fn refusal(why: &str) -> Outcome {
    run::failed(ErrorCode::Fenced, format!("this host did not start it: {why}"), false)
}
