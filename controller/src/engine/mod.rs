//! The engine: the shell around the pure decisions, the same for runs and for deployments.
//!
//! One controller at a time holds the lease and runs it. Each round takes everything that is due,
//! decides it in one transaction (fence, lock, inbox, decide, perform, save, history), commits, and
//! wakes whoever the outcome concerns. Nothing outside the database happens before the commit.

mod deployments;
mod dispatch;
mod leader;
mod liveness;
mod perform;
mod runs;

use anyhow::Result;
use pipelines::ids::{AgentId, DeploymentId, RunId};
use pipelines::protocol::join::Lease;
use pipelines::time::Millis;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::PgPool;
use store::wake::Wakes;
use tokio_util::sync::CancellationToken;

pub use leader::{Identity, lead};

/// Aggregates decided in one transaction at most: commits cost more than rows.
const BATCH: i64 = 64;
/// How often the engine looks without being woken.
const SLOW_LOOK: Duration = Duration::from_millis(1000);

/// A silence nobody can have kept: how long everything is patient during the grace. Not the largest
/// number there is, because Postgres must be able to take it from the present.
const PATIENT: Millis = Millis::from_minutes(10 * 365 * 24 * 60);

/// What one term of leadership works with.
pub struct Engine {
    pub pool: PgPool,
    pub wakes: Wakes,
    pub epoch: u64,
    pub lease: Lease,
    /// Until then nobody is declared silent: agents must first find this controller, or the database
    /// must first hear of them again.
    pub grace_until: std::sync::Mutex<Instant>,
}

/// Whom a committed round concerns.
#[derive(Default)]
pub(crate) struct Effects {
    agents: BTreeSet<AgentId>,
    builds: bool,
    outbox: bool,
    again: bool,
}

impl Engine {
    /// The silence after which an agent counts as lost, as of now.
    pub(crate) fn silence(&self) -> Millis {
        let grace_until = *self.grace_until.lock().unwrap_or_else(|e| e.into_inner());
        if Instant::now() < grace_until { PATIENT } else { self.lease.silent_for_max }
    }

    /// The database was away, so it did not hear of agents either.
    fn restart_grace(&self) {
        let until = Instant::now() + self.lease.silent_for_max.to_std();
        *self.grace_until.lock().unwrap_or_else(|e| e.into_inner()) = until;
    }

    fn wake(&self, effects: &Effects, outbox: &tokio::sync::Notify) {
        for agent in &effects.agents {
            self.wakes.agent(*agent);
        }
        if effects.builds {
            self.wakes.builds();
        }
        if effects.outbox {
            outbox.notify_one();
        }
        self.wakes.pages();
    }
}

/// Decides until `stop`, or until the lease is lost.
pub(crate) async fn run(
    engine: Arc<Engine>,
    outbox: Arc<tokio::sync::Notify>,
    stop: CancellationToken,
) {
    loop {
        match round(&engine).await {
            Ok(Round::Fenced) => {
                tracing::warn!(epoch = engine.epoch, "another controller has taken over");
                return stop.cancel();
            }
            Ok(Round::Nothing) => {}
            Ok(Round::Done(effects)) => {
                engine.wake(&effects, &outbox);
                continue;
            }
            Err(error) => {
                tracing::warn!(error = %format!("{error:#}"), "a round of the engine failed");
                engine.restart_grace();
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        tokio::select! {
            () = engine.wakes.engine_woken() => {}
            () = tokio::time::sleep(SLOW_LOOK) => {}
            () = stop.cancelled() => return,
        }
    }
}

enum Round {
    Nothing,
    Done(Effects),
    /// The epoch is not ours any more.
    Fenced,
}

/// One round: everything due, in one transaction. When that fails, each by itself, so that one
/// aggregate in trouble does not hold up the others.
async fn round(engine: &Engine) -> Result<Round> {
    let due = store::inbox::due(&mut *engine.pool.acquire().await?, BATCH).await?;
    if due.is_empty() {
        return Ok(Round::Nothing);
    }
    match together(engine, &due.runs, &due.deployments).await {
        Ok(round) => Ok(round),
        Err(error) if due.runs.len() + due.deployments.len() == 1 => Err(error),
        Err(error) => {
            tracing::warn!(error = %format!("{error:#}"), "deciding one by one after a failure");
            let mut all = Effects::default();
            let runs = due.runs.iter().map(|run| (std::slice::from_ref(run), &[][..]));
            let deployments = due.deployments.iter().map(|d| (&[][..], std::slice::from_ref(d)));
            for (runs, deployments) in runs.chain(deployments) {
                match together(engine, runs, deployments).await {
                    Ok(Round::Done(effects)) => all.merge(effects),
                    Ok(other) => return Ok(other),
                    Err(error) => {
                        tracing::error!(error = %format!("{error:#}"), ?runs, ?deployments, "cannot decide");
                    }
                }
            }
            // Without a pause, an aggregate that keeps failing would keep the engine spinning.
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok(Round::Done(all))
        }
    }
}

async fn together(engine: &Engine, runs: &[RunId], deployments: &[DeploymentId]) -> Result<Round> {
    let mut tx = engine.pool.begin().await?;
    if !store::lease::holds(&mut tx, engine.epoch).await? {
        return Ok(Round::Fenced);
    }
    let mut effects = Effects::default();
    // Runs first: they create deployments, which then need no second round.
    for run in runs {
        runs::decide(engine, &mut tx, *run, &mut effects).await?;
    }
    for deployment in deployments {
        deployments::decide(engine, &mut tx, *deployment, &mut effects).await?;
    }
    tx.commit().await?;
    Ok(Round::Done(effects))
}

impl Effects {
    fn merge(&mut self, other: Effects) {
        self.agents.extend(other.agents);
        self.builds |= other.builds;
        self.outbox |= other.outbox;
        self.again |= other.again;
    }
}

/// Runs a pure decision; a defect in it becomes an error text instead of ending the engine.
fn guarded<T>(decide: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(decide)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
            .unwrap_or_else(|| "a decision failed without a reason".to_owned())
    })
}
