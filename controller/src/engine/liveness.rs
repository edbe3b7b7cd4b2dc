//! Who fell silent, who came back. Reads now and then; writes only when somebody waits in vain.

use super::Engine;
use super::grace::is_outage;
use anyhow::Result;
use pipelines::deploy::Event;
use pipelines::protocol::report::{ErrorCode, Outcome, TaskError};
use pipelines::time::Millis;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{agents, deployments, inbox, monitors, tasks};
use tokio_util::sync::CancellationToken;

/// A look that takes longer hangs on a connection that is dead.
const LOOK_MAX: Duration = Duration::from_secs(30);
/// Nobody looks for the answer to a question that is older than this.
const QUESTION_AGE: Millis = Millis::from_minutes(60);
/// What monitors found is shown for so long after a deployment's end.
const SAMPLES_AGE: Millis = Millis::from_minutes(30 * 24 * 60);
/// Rows removed by one statement: no lock and no transaction is to last for long.
const FORGOTTEN_AT_ONCE: i64 = 1000;
/// How often old rows are removed.
const FORGET_EVERY: Duration = Duration::from_secs(600);

pub(super) async fn run(engine: Arc<Engine>, stop: CancellationToken) {
    let pause = (engine.lease.silent_for_max.to_std() / 6)
        .clamp(Duration::from_millis(100), Duration::from_secs(5));
    let mut verdicts = BTreeMap::new();
    let mut forget_at = Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        let looked = tokio::time::timeout(LOOK_MAX, look(&engine, &mut verdicts)).await;
        let looked = looked.unwrap_or_else(|_| Err(anyhow::anyhow!("the look took too long")));
        if let Err(error) = looked {
            tracing::warn!(error = %format!("{error:#}"), "cannot look at the agents");
            if is_outage(&error) {
                engine.grace.begin();
            }
        } else if Instant::now() >= forget_at {
            forget_at = Instant::now() + FORGET_EVERY;
            forget(&engine).await;
        }
    }
}

/// What is removed leaves nothing else behind, so this may fail and be done next time.
async fn forget(engine: &Engine) {
    match tokio::time::timeout(LOOK_MAX, forget_all(engine)).await {
        Ok(Ok(0)) | Err(_) => {}
        Ok(Ok(count)) => tracing::debug!(count, "old questions and looks of monitors were removed"),
        Ok(Err(error)) => tracing::warn!(%error, "old rows could not be removed"),
    }
}

async fn forget_all(engine: &Engine) -> store::Result<u64> {
    let mut conn = engine.pool.acquire().await?;
    let mut count = 0;
    loop {
        let most = FORGOTTEN_AT_ONCE;
        let questions = tasks::forget_questions(&mut conn, QUESTION_AGE, most).await?;
        let samples = monitors::forget_samples(&mut conn, SAMPLES_AGE, most).await?;
        let watches = monitors::forget_watches(&mut conn, SAMPLES_AGE, most).await?;
        count += questions + samples + watches;
        if questions.max(samples).max(watches) < most.unsigned_abs() {
            return Ok(count);
        }
    }
}

/// Finds work that waits for agents nobody hears, and says so to whoever waits. Looks at everything
/// each time, so that nothing falls between two verdicts.
async fn look(engine: &Engine, verdicts: &mut BTreeMap<i64, bool>) -> Result<()> {
    let mut tx = engine.pool.begin().await?;
    let silence = engine.grace.silence(&mut tx).await?;
    let rows = agents::list(&mut tx, silence).await?;
    note_changes(verdicts, &rows);
    let alive: Vec<i64> = rows.iter().filter(|row| row.alive).map(|row| row.id).collect();
    let deployments = deployments::waiting_for_others(&mut tx, &alive).await?;
    let builds = tasks::abandoned_builds(&mut tx, silence).await?;
    if deployments.is_empty() && builds.is_empty() {
        return Ok(());
    }
    if !store::lease::holds(&mut tx, engine.epoch).await? {
        return Ok(());
    }
    for deployment in deployments {
        inbox::post_deployment(&mut tx, deployment, &Event::Tick).await?;
    }
    for (task, agent) in builds {
        crate::agents::finish_without_agent(&mut tx, task, &lost(&agent)).await?;
    }
    tx.commit().await?;
    engine.wakes.engine();
    engine.wakes.pages();
    Ok(())
}

fn note_changes(verdicts: &mut BTreeMap<i64, bool>, rows: &[agents::Row]) {
    for row in rows {
        let before = verdicts.insert(row.id, row.alive).unwrap_or(true);
        match (before, row.alive) {
            (true, false) => tracing::warn!(agent = row.name, "an agent fell silent"),
            (false, true) => tracing::info!(agent = row.name, "an agent is back"),
            _ => {}
        }
    }
}

fn lost(agent: &str) -> Outcome {
    Outcome::Failed {
        steps: Vec::new(),
        error: TaskError {
            code: ErrorCode::LeaseLapsed,
            message: format!("agent {agent} fell silent while it ran this build"),
            step: None,
            command: None,
            touched: true,
        },
        artifacts: Vec::new(),
    }
}
