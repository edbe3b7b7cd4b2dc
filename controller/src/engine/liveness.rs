//! Who fell silent, who came back. Reads now and then; writes only when a verdict changes.

use super::Engine;
use anyhow::Result;
use pipelines::deploy::Event;
use pipelines::protocol::report::{ErrorCode, Outcome, TaskError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::{agents, deployments, inbox, tasks};
use tokio_util::sync::CancellationToken;

pub(super) async fn run(engine: Arc<Engine>, stop: CancellationToken) {
    let pause = (engine.lease.silent_for_max.to_std() / 6)
        .clamp(Duration::from_millis(100), Duration::from_secs(5));
    let mut verdicts = BTreeMap::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = look(&engine, &mut verdicts).await {
            tracing::warn!(error = %format!("{error:#}"), "cannot look at the agents");
            engine.restart_grace();
        }
    }
}

/// Compares every agent with the last verdict on it and tells whoever a change concerns.
async fn look(engine: &Engine, verdicts: &mut BTreeMap<i64, bool>) -> Result<()> {
    let mut tx = engine.pool.begin().await?;
    let rows = agents::list(&mut tx, engine.silence()).await?;
    let now: BTreeMap<i64, bool> =
        rows.iter().map(|row| (row.id, row.alive && row.state != "revoked")).collect();
    // A first look has no earlier verdict: everybody silent is news then.
    let changed: Vec<i64> = now
        .iter()
        .filter(|(id, alive)| verdicts.get(id).copied().unwrap_or(true) != **alive)
        .map(|(id, _)| *id)
        .chain(verdicts.keys().filter(|id| !now.contains_key(id)).copied())
        .collect();
    let silent: Vec<i64> =
        changed.iter().filter(|id| !now.get(id).copied().unwrap_or(false)).copied().collect();
    if changed.is_empty() {
        *verdicts = now;
        return Ok(());
    }
    if !store::lease::holds(&mut tx, engine.epoch).await? {
        return Ok(());
    }
    for row in rows.iter().filter(|row| changed.contains(&row.id)) {
        if row.alive {
            tracing::info!(agent = row.name, "an agent is back");
        } else {
            tracing::warn!(agent = row.name, "an agent fell silent");
        }
    }
    for deployment in deployments::at_work_on(&mut tx, &changed).await? {
        inbox::post_deployment(&mut tx, deployment, &Event::Tick).await?;
    }
    for (task, agent) in tasks::builds_held_by(&mut tx, &silent).await? {
        crate::agents::finish_without_agent(&mut tx, task, &lost(&agent)).await?;
    }
    tx.commit().await?;
    *verdicts = now;
    engine.wakes.engine();
    engine.wakes.pages();
    Ok(())
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
