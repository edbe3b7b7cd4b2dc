//! Performing outbox commands: the effects that leave the database. Doing one twice is safe; only the
//! first result counts, because taking the entry out and telling the run are one transaction.

use super::Engine;
use crate::sources::{FetchError, Fetched, Sources};
use anyhow::{Context as _, Result};
use pipelines::command::Command;
use pipelines::run::Event;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::outbox::{self, Entry};
use store::{artifacts, inbox, runs};
use tokio_util::sync::CancellationToken;

/// Effects at once.
const WIDTH: i64 = 4;
/// A network failure is tried again this often before the action fails.
const TRIES_MAX: i32 = 3;

pub(super) async fn run(
    engine: Arc<Engine>,
    sources: Sources,
    ready: Arc<tokio::sync::Notify>,
    stop: CancellationToken,
) {
    let in_hand: Arc<Mutex<BTreeSet<i64>>> = Arc::default();
    loop {
        let busy: Vec<i64> = lock(&in_hand).iter().copied().collect();
        let room = WIDTH - i64::try_from(busy.len()).unwrap_or(WIDTH);
        let due = if room > 0 { due(&engine, &busy, room).await } else { Ok(Vec::new()) };
        for entry in due.unwrap_or_else(|error| {
            tracing::warn!(error = %format!("{error:#}"), "cannot read the outbox");
            Vec::new()
        }) {
            lock(&in_hand).insert(entry.id);
            let (engine, sources) = (engine.clone(), sources.clone());
            let (in_hand, ready) = (in_hand.clone(), ready.clone());
            tokio::spawn(async move {
                if let Err(error) = one(&engine, &sources, &entry).await {
                    let error = format!("{error:#}");
                    tracing::warn!(error, run = %entry.run, "an effect failed");
                    later(&engine, entry.id).await;
                }
                lock(&in_hand).remove(&entry.id);
                ready.notify_one();
            });
        }
        tokio::select! {
            () = ready.notified() => {}
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn lock(set: &Mutex<BTreeSet<i64>>) -> std::sync::MutexGuard<'_, BTreeSet<i64>> {
    set.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn due(engine: &Engine, busy: &[i64], room: i64) -> Result<Vec<Entry>> {
    Ok(outbox::due(&mut *engine.pool.acquire().await?, busy, room).await?)
}

async fn one(engine: &Engine, sources: &Sources, entry: &Entry) -> Result<()> {
    let Command::FetchSource { action, attempt } = &entry.command else {
        anyhow::bail!("not an outbox command: {:?}", entry.command);
    };
    let row = runs::by_id(&mut *engine.pool.acquire().await?, entry.run).await?;
    let row = row.with_context(|| format!("{} is gone", entry.run))?;
    let event = match sources.fetch(&row, action).await {
        Ok(fetched) => return ready(engine, entry, action, *attempt, fetched).await,
        Err(FetchError::ForNow(message)) if entry.tries + 1 < TRIES_MAX => {
            tracing::warn!(run = %entry.run, message, "a source cannot be fetched for now");
            let mut conn = engine.pool.acquire().await?;
            return Ok(outbox::retry_later(&mut conn, entry.id).await?);
        }
        Err(FetchError::ForNow(message) | FetchError::ForGood(message)) => {
            Event::SourceFailed { action: action.clone(), attempt: *attempt, message }
        }
    };
    let mut tx = engine.pool.begin().await?;
    if outbox::done(&mut tx, entry.id).await? {
        inbox::post_run(&mut tx, entry.run, &event).await?;
    }
    tx.commit().await?;
    engine.wakes.engine();
    Ok(())
}

async fn ready(
    engine: &Engine,
    entry: &Entry,
    action: &str,
    attempt: u32,
    fetched: Fetched,
) -> Result<()> {
    let event = Event::SourceReady {
        action: action.to_owned(),
        attempt,
        revision: fetched.revision,
        artifact: fetched.artifact.clone(),
    };
    let mut tx = engine.pool.begin().await?;
    if !outbox::done(&mut tx, entry.id).await? {
        return Ok(());
    }
    artifacts::note(&mut tx, &fetched.artifact).await?;
    for (build, text) in &fetched.buildspecs {
        runs::put_spec_text(&mut tx, entry.run, build, text).await?;
    }
    inbox::post_run(&mut tx, entry.run, &event).await?;
    tx.commit().await?;
    engine.wakes.engine();
    Ok(())
}

/// Tried again after a pause; when even that cannot be written, the next look finds it as it is.
async fn later(engine: &Engine, id: i64) {
    if let Ok(mut conn) = engine.pool.acquire().await
        && let Err(error) = outbox::retry_later(&mut conn, id).await
    {
        tracing::warn!(%error, "cannot put an effect off");
    }
}
