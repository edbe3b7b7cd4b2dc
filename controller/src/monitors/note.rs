//! Writing down what was found, and telling whoever waits for it.

use super::watched::hold;
use crate::engine::Engine;
use anyhow::Result;
use pipelines::analysis::Tally;
use pipelines::deploy::Event;
use pipelines::deploy::event::{MonitorState, StepVerdict, Verdict};
use pipelines::ids::DeploymentId;
use pipelines::monitor::{Sample, fact, fresh_for};
use pipelines::protocol::answer::Counters;
use pipelines::spec::group::Monitor;
use pipelines::time::Timestamp;
use store::monitors::KEPT_MAX;
use store::{PgConnection, deployments, inbox};

/// What a deployment may wait for of one monitor; it hears when this changes.
#[derive(PartialEq)]
struct Says {
    state: MonitorState,
    /// There is a look, and it is not old.
    fresh: bool,
    /// From after the hold in progress began.
    about_the_hold: bool,
}

impl Says {
    fn of(monitor: &Monitor, samples: &[Sample], hold: Option<Timestamp>, now: Timestamp) -> Says {
        let newest = samples.last().map(|sample| sample.at);
        Says {
            state: fact(monitor, samples, None, now).state,
            fresh: newest.is_some_and(|at| now <= at + fresh_for(monitor)),
            about_the_hold: newest.zip(hold).is_some_and(|(at, since)| at >= since),
        }
    }
}

/// Notes a look of a monitor, at the time when it was asked for: an answer may be about then. With the
/// balancer's counters, where it came from those.
pub(super) async fn look(
    engine: &Engine,
    deployment: DeploymentId,
    monitor: &Monitor,
    sample: &Sample,
    counters: Option<&Counters>,
) -> Result<()> {
    let mut tx = engine.pool.begin().await?;
    if !store::lease::holds(&mut tx, engine.epoch).await? {
        return Ok(());
    }
    let Some(row) = deployments::by_id(&mut tx, deployment).await? else { return Ok(()) };
    let hold = hold(&row).map(|hold| hold.since);
    let before = says(&mut tx, deployment, monitor, hold).await?;
    store::monitors::answered(&mut tx, deployment, &monitor.name, counters).await?;
    let keep = monitor.of.clamp(1, KEPT_MAX);
    store::monitors::add_sample(&mut tx, deployment, &monitor.name, sample, keep).await?;
    let after = says(&mut tx, deployment, monitor, hold).await?;
    let changed = before != after;
    if changed {
        inbox::post_deployment(&mut tx, deployment, &Event::Tick).await?;
    }
    tx.commit().await?;
    if changed {
        engine.wakes.engine();
    }
    engine.wakes.pages();
    Ok(())
}

async fn says(
    conn: &mut PgConnection,
    deployment: DeploymentId,
    monitor: &Monitor,
    hold: Option<Timestamp>,
) -> Result<Says> {
    let now = store::clock::now(conn).await?;
    let samples = store::monitors::samples(conn, deployment).await?;
    let samples = samples.get(&monitor.name).map_or(&[][..], Vec::as_slice);
    Ok(Says::of(monitor, samples, hold, now))
}

/// Notes what the judge of a step says; its deployment hears every look, for its reason is shown.
pub(super) async fn verdict(
    engine: &Engine,
    deployment: DeploymentId,
    step: usize,
    tally: Option<&Tally>,
    (verdict, reason): (Verdict, String),
) -> Result<()> {
    let mut tx = engine.pool.begin().await?;
    if !store::lease::holds(&mut tx, engine.epoch).await? {
        return Ok(());
    }
    let verdict = StepVerdict { step, verdict, reason };
    store::monitors::judged(&mut tx, deployment, tally, &verdict).await?;
    inbox::post_deployment(&mut tx, deployment, &Event::Tick).await?;
    tx.commit().await?;
    engine.wakes.engine();
    engine.wakes.pages();
    Ok(())
}
