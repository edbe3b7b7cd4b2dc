//! The engine: the shell around the pure decisions, the same for runs and for deployments.
//!
//! One controller at a time holds the lease and runs it. Each round takes everything that is due,
//! decides it in one transaction (fence, lock, inbox, decide, perform, save, history), commits, and
//! wakes whoever the outcome concerns. Nothing outside the database happens before the commit.

mod deployments;
mod dispatch;
mod fleet;
mod grace;
mod leader;
mod liveness;
mod perform;
mod runs;

use anyhow::Result;
use pipelines::ids::{AgentId, DeploymentId, RunId};
use pipelines::protocol::join::Lease;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use store::PgPool;
use store::wake::Wakes;
use tokio_util::sync::CancellationToken;

use grace::{Grace, is_outage, may_pass};
pub use leader::{Identity, lead};

/// Aggregates decided in one transaction at most: commits cost more than rows.
const BATCH: i64 = 64;
/// A round that takes longer hangs on a connection that is dead.
const ROUND_MAX: Duration = Duration::from_secs(30);
/// How often the engine looks without being woken.
const SLOW_LOOK: Duration = Duration::from_millis(1000);

/// What one term of leadership works with.
pub struct Engine {
    pub pool: PgPool,
    pub wakes: Wakes,
    pub epoch: u64,
    pub lease: Lease,
    pub grace: Grace,
    pub joining: Joining,
}

/// What a new host is told about where to join.
#[derive(Clone)]
pub struct Joining {
    pub url: String,
    /// Of the controller's own authority; None without TLS.
    pub ca_sha256: Option<String>,
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
    while !stop.is_cancelled() {
        let round = tokio::time::timeout(ROUND_MAX, round(&engine)).await;
        match round.unwrap_or_else(|_| Err(anyhow::anyhow!("a round took too long"))) {
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
                if is_outage(&error) {
                    engine.grace.begin();
                }
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
        Err(error) if is_outage(&error) => Err(error),
        Err(error) => {
            tracing::warn!(error = %format!("{error:#}"), "deciding one by one after a failure");
            let mut all = Effects::default();
            let runs = due.runs.iter().map(|run| (std::slice::from_ref(run), &[][..]));
            let deployments = due.deployments.iter().map(|d| (&[][..], std::slice::from_ref(d)));
            for (runs, deployments) in runs.chain(deployments) {
                match together(engine, runs, deployments).await {
                    Ok(Round::Done(effects)) => all.merge(effects),
                    Ok(other) => return Ok(other),
                    Err(error) if may_pass(&error) => {
                        tracing::warn!(error = %format!("{error:#}"), "a decision is put off");
                    }
                    Err(error) => give_up(engine, runs, deployments, &error).await?,
                }
            }
            // Without a pause, an aggregate that keeps failing would keep the engine spinning.
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok(Round::Done(all))
        }
    }
}

/// A decision that cannot be made or carried out is shown, with its events kept, instead of being
/// tried for ever. The next thing somebody says to it makes the engine try again.
async fn give_up(
    engine: &Engine,
    runs: &[RunId],
    deployments: &[DeploymentId],
    error: &anyhow::Error,
) -> Result<()> {
    let why = format!("{error:#}");
    tracing::error!(error = why, ?runs, ?deployments, "cannot decide");
    let mut tx = engine.pool.begin().await?;
    if store::lease::holds(&mut tx, engine.epoch).await? {
        for run in runs {
            store::runs::mark_stuck(&mut tx, *run, &why).await?;
        }
        for deployment in deployments {
            store::deployments::mark_stuck(&mut tx, *deployment, &why).await?;
        }
        tx.commit().await?;
    }
    Ok(())
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
