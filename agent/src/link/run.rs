//! Gives a task its turn, its context and its time limit, and keeps what came of it.

use super::Link;
use super::held::Held;
use super::turns::Place;
use crate::context::{Content, Dirs, LogWriter, Reason, Since, TaskContext, TaskJournal};
use crate::state::private_dir;
use crate::{build, deploy, instance, measure, route};
use pipelines::protocol::report::{ErrorCode, Outcome, TaskError};
use pipelines::protocol::task::{Task, Work};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Runs a task to its end, whatever that is.
pub async fn run(link: Arc<Link>, held: Arc<Held>, place: Place) {
    let key = held.key();
    // Asked before anything is tried: an earlier life may have left a host half changed.
    let begun = held.running_for().is_some() || held.life() > 1;
    let place = held.task().is_none_or(|task| takes_place(&task.work)).then_some(place);
    let outcome = match turn(&link, &held, place.as_ref()).await {
        Ok(outcome) => outcome,
        Err(e) => {
            tracing::error!(task.id = %key.task, "cannot run a task: {e}");
            let is_deploy = held.task().is_none_or(|task| matches!(task.work, Work::Deploy(_)));
            let touched = begun && is_deploy;
            failed(ErrorCode::AgentError, format!("the agent's disk: {e}"), touched)
        }
    };
    let kept = tokio::task::spawn_blocking(move || held.finish(outcome)).await;
    if let Ok(Err(e)) = kept {
        tracing::error!(task.id = %key.task, "an outcome would not survive a crash: {e}");
    }
}

/// Whether it waits for one of the agent's places. What concerns a balancer or other hosts changes
/// nothing here and has its own order per backend: traffic must not wait for a deployment, nor a
/// deployment for another one's requests to end, nor a monitor for either.
fn takes_place(work: &Work) -> bool {
    match work {
        Work::Build(_) | Work::Deploy(_) | Work::Preview(_) | Work::Inspect(_) => true,
        Work::Route(_)
        | Work::Observe(_)
        | Work::Survey(_)
        | Work::Launch(_)
        | Work::Dismiss(_)
        | Work::Measure(_) => false,
    }
}

async fn turn(link: &Arc<Link>, held: &Arc<Held>, place: Option<&Place>) -> io::Result<Outcome> {
    let resume = held.running_for();
    let mut ctx = context(link, held, resume.unwrap_or_default())?;
    // A task of an earlier life may be unwanted by now. The controller says so in its first answer;
    // when there is none, the lease ends the wait.
    if resume.is_some() || held.life() > 1 {
        tokio::select! {
            () = link.silence.heard_once() => {}
            () = link.silence.too_long() => ctx.cancel.cancel(Reason::LeaseLapsed),
            () = ctx.cancel.cancelled() => {}
        }
    }
    tokio::select! {
        biased;
        // An earlier life's work may have left something behind that only its body can end.
        () = ctx.cancel.cancelled(), if resume.is_none() => {
            return Ok(ctx.stopped(Vec::new(), None, false));
        }
        () = async { if let Some(place) = place { place.turn().await } } => {}
    }
    if resume.is_none() {
        // What it waited for others is not its own time.
        ctx.since = Since::now_after(Duration::ZERO);
    }
    let begun = held.clone();
    let begun = tokio::task::spawn_blocking(move || begun.begin()).await;
    match begun.map_err(io::Error::other).flatten() {
        // Only its body can end what an earlier life began.
        Err(e) if resume.is_some() => {
            tracing::warn!(task.id = %held.key().task, "noting that a task goes on: {e}");
        }
        begun => begun?,
    }
    let task = held.task().ok_or_else(|| io::Error::other("the task is not there any more"))?;
    Ok(within_limits(link, task, ctx, resume.is_some()).await)
}

fn context(link: &Link, held: &Held, before: Duration) -> io::Result<TaskContext> {
    let (key, cancel) = (held.key(), held.cancel.clone());
    let work = held.dir.join("work");
    private_dir(&work)?;
    let cache = link.cache.clone();
    Ok(TaskContext {
        key,
        log: LogWriter::new(held.spool.clone()),
        progress: held.progress.clone(),
        content: Content::remote(cache, link.controller.clone(), key, cancel.clone()),
        cancel,
        dirs: Dirs { state: link.state.root().to_owned(), task: held.dir.clone(), work },
        journal: TaskJournal::open(&held.dir.join("journal"))?,
        settings: link.settings.clone(),
        since: Since::now_after(before),
    })
}

/// The body, told to stop when its time is over or the controller was silent for too long.
async fn within_limits(link: &Arc<Link>, task: Task, ctx: TaskContext, resume: bool) -> Outcome {
    let left = task.timeout.to_std().saturating_sub(ctx.since.elapsed().to_std());
    let (cancel, log) = (ctx.cancel.clone(), ctx.log.clone());
    let is_deploy = matches!(task.work, Work::Deploy(_));
    // A task of its own, so that a mistake of ours in it becomes an outcome and not a dead agent.
    let mut body = tokio::spawn(async move { work(&task, &ctx, resume).await });
    let timer = tokio::time::sleep(left);
    let lapse = link.silence.too_long();
    tokio::pin!(timer, lapse);
    let (mut timed, mut lapsed) = (false, false);
    loop {
        tokio::select! {
            () = &mut timer, if !timed => {
                timed = true;
                cancel.cancel(Reason::TimedOut);
            }
            () = &mut lapse, if !lapsed => {
                lapsed = true;
                cancel.cancel(Reason::LeaseLapsed);
            }
            ended = &mut body => {
                // Not sooner: a build counts the bytes of its log to know what it has written.
                if timed {
                    log.say("[agent] the task's time was over").await;
                }
                if lapsed {
                    log.say("[agent] the controller was out of reach; nothing further began").await;
                }
                return ended.unwrap_or_else(|e| {
                    tracing::error!("a task's body failed: {e}");
                    let message = format!("the agent made a mistake: {e}");
                    failed(ErrorCode::AgentError, message, is_deploy)
                });
            }
        }
    }
}

async fn work(task: &Task, ctx: &TaskContext, resume: bool) -> Outcome {
    match &task.work {
        Work::Build(build) => build::run(task, build, ctx, resume).await,
        Work::Deploy(deploy) => deploy::run(task, deploy, ctx, resume).await,
        Work::Preview(deploy) => deploy::preview(deploy, ctx).await,
        Work::Inspect(inspect) => deploy::inspect(inspect, ctx).await,
        Work::Route(route) => route::run(task, route, ctx).await,
        Work::Observe(observe) => route::observe(observe, &ctx.settings, &ctx.dirs.state).await,
        Work::Survey(observe) => route::survey(observe, &ctx.settings, &ctx.dirs.state).await,
        Work::Launch(launch) => instance::launch(launch, ctx).await,
        Work::Dismiss(dismiss) => instance::dismiss(dismiss, ctx).await,
        Work::Measure(command) => measure::run(command, ctx).await,
    }
}

/// A failure that no body reported.
pub fn failed(code: ErrorCode, message: String, touched: bool) -> Outcome {
    let error = TaskError { code, message, step: None, command: None, touched };
    Outcome::Failed { steps: Vec::new(), error, artifacts: Vec::new() }
}
