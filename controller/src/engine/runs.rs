//! Deciding one run: facts in, decision out, commands performed, state saved.

use super::perform::{Subject, perform};
use super::{Effects, Engine, guarded};
use anyhow::{Context as _, Result, ensure};
use pipelines::command::Command;
use pipelines::ids::RunId;
use pipelines::run::{self, Event, Facts, Phase, TaskFacts};
use pipelines::spec::pipeline::Mode;
use pipelines::time::Timestamp;
use store::runs::{Neighbour, Row, Save};
use store::{PgConnection, history, inbox, runs, tasks};

pub(super) async fn decide(
    engine: &Engine,
    conn: &mut PgConnection,
    id: RunId,
    effects: &mut Effects,
) -> Result<()> {
    let row = runs::lock(conn, id).await?.with_context(|| format!("{id} is gone"))?;
    if row.finished_at.is_some() || row.stuck.is_some() {
        return Ok(());
    }
    let mut events = inbox::take_run(conn, id).await?;
    if events.is_empty() {
        events.push(Event::Tick);
    }
    let neighbours = runs::neighbours(conn, row.pipeline_id, id).await?;
    let facts = facts(engine, conn, &row, &neighbours).await?;
    let now = store::clock::now(conn).await?;
    let (mut state, mut commands, mut waiting) = (row.state.0.clone(), Vec::new(), Vec::new());
    for event in &events {
        // Nothing is written then: the events stay, and the run is shown as stuck.
        let decision = guarded(|| run::decide(&row.spec.0, &state, &facts, event, now))
            .map_err(anyhow::Error::msg)?;
        let moved = decision.state != state;
        state = decision.state;
        waiting = decision.waiting;
        commands.extend(decision.commands);
        if moved {
            let of = history::Of::Run(id);
            let status = state.phase.as_str();
            history::append(conn, of, engine.epoch, event, status, &waiting).await?;
        }
    }
    let label = match state.revision(&row.spec.0) {
        Some(revision) => revision.label(),
        None => row.label.clone(),
    };
    let wake_at = wake_at(&commands, now);
    let save =
        Save { state: &state, waiting: &waiting, label: &label, wake_at, version: row.version };
    ensure!(runs::save(conn, id, &save).await?, "{id} was changed by somebody else");
    for command in &commands {
        perform(engine, conn, &Subject::Run { row: &row, state: &state }, command, effects).await?;
    }
    let place = |state: &run::State| (state.stage, state.entered, state.phase);
    if place(&state) != place(&row.state.0) {
        // Others may wait for the stage this one left, or be superseded by it.
        for neighbour in &neighbours {
            inbox::post_run(conn, RunId(neighbour.id), &Event::Tick).await?;
        }
    }
    Ok(())
}

/// The earliest time anything asked to be woken at.
pub(super) fn wake_at(commands: &[Command], now: Timestamp) -> Option<Timestamp> {
    let times = commands.iter().filter_map(|command| match command {
        // A time in the past would be looked at again at once, for ever.
        Command::WakeAt { at } if *at > now => Some(*at),
        _ => None,
    });
    times.min()
}

async fn facts(
    engine: &Engine,
    conn: &mut PgConnection,
    row: &Row,
    neighbours: &[Neighbour],
) -> Result<Facts> {
    let stage = i32::try_from(row.state.0.stage).unwrap_or(i32::MAX);
    let in_stage = |other: &&Neighbour| other.stage == stage && (other.entered || other.stopping);
    let waits_here = |other: &&Neighbour| {
        other.stage == stage && !other.entered && !other.stopping && other.id > row.id
    };
    let superseded = row.spec.0.mode == Mode::Superseded && row.state.0.phase == Phase::Running;
    let tasks = tasks::of_run(conn, row.id()).await?.into_iter().filter_map(|task| {
        let facts = TaskFacts { attempt: task.attempt.unsigned_abs(), agent: task.agent };
        Some((task.action?, facts))
    });
    let silence = engine.grace.silence(conn).await?;
    let agents = store::agents::list(conn, silence).await?;
    let builders = agents.iter().filter(|a| a.role == "build" && a.alive && a.state == "active");
    Ok(Facts {
        stage_held_by: neighbours.iter().find(in_stage).map(|other| RunId(other.id)),
        newer_waiting: neighbours
            .iter()
            .filter(|_| superseded)
            .find(waits_here)
            .map(|other| RunId(other.id)),
        behind: neighbours.iter().find(|other| other.id < row.id).map(|other| RunId(other.id)),
        build_agents: u32::try_from(builders.count()).unwrap_or(u32::MAX),
        tasks: tasks.collect(),
    })
}
