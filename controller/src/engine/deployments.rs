//! Deciding one deployment: facts in, decision out, commands performed, state saved.

use super::perform::{Subject, perform};
use super::runs::wake_at;
use super::{Effects, Engine, guarded};
use anyhow::{Context as _, Result, ensure};
use pipelines::deploy::strategy::{self, Fleet, Member, Order};
use pipelines::deploy::{self, Cause, Event, Facts, HostFacts, Lane, Phase, Plan, State};
use pipelines::ids::{AgentId, DeploymentId};
use pipelines::protocol::task::Purpose;
use pipelines::time::Timestamp;
use store::deployments::{self, Row, Save};
use store::groups::{self, HostRow};
use store::{PgConnection, history, inbox};

pub(super) async fn decide(
    engine: &Engine,
    conn: &mut PgConnection,
    id: DeploymentId,
    effects: &mut Effects,
) -> Result<()> {
    let group_id = deployments::by_id(conn, id).await?.with_context(|| format!("{id} is gone"))?;
    let group = groups::lock(conn, group_id.group_id).await?;
    let row = deployments::by_id(conn, id).await?.with_context(|| format!("{id} is gone"))?;
    if row.finished_at.is_some() || row.stuck.is_some() {
        return Ok(());
    }
    let mut events = inbox::take_deployment(conn, id).await?;
    if events.is_empty() {
        events.push(Event::Tick);
    }
    let now = store::clock::now(conn).await?;
    let silence = engine.grace.silence(conn).await?;
    let hosts = groups::hosts(conn, group.id, silence).await?;
    let mut facts = facts(conn, &group, &hosts, id).await?;
    facts.patient = engine.grace.lasts();
    let (plan, mut state) = planned(&row, &group, &hosts, now);
    let (before, mut commands, mut waiting) = (row.state.clone(), Vec::new(), Vec::new());
    for event in &events {
        // Nothing is written then: the events stay, and the deployment is shown as stuck.
        let decision = guarded(|| deploy::decide(&plan, &state, &facts, event, now))
            .map_err(anyhow::Error::msg)?;
        let moved = before.is_none() || decision.state != state;
        state = decision.state;
        waiting = decision.waiting;
        commands.extend(decision.commands);
        if moved {
            let of = history::Of::Deployment(id);
            let status = state.phase.as_str();
            history::append(conn, of, engine.epoch, event, status, &waiting).await?;
        }
    }
    // What was let pass out of patience is looked at again when that is over.
    let later = facts.patient.then(|| now + engine.lease.silent_for_max);
    let wake_at = wake_at(&commands, now).into_iter().chain(later).min();
    let save =
        Save { plan: &plan, state: &state, waiting: &waiting, wake_at, version: row.version };
    ensure!(deployments::save(conn, id, &save).await?, "{id} was changed by somebody else");
    groups::raise_generation(conn, group.id, state.generation).await?;
    for command in &commands {
        let subject = Subject::Deployment { row: &row, plan: &plan, state: &state };
        perform(engine, conn, &subject, command, effects).await?;
    }
    Ok(())
}

/// The plan and state to decide on. While it is queued the plan follows the group and its fleet; it is
/// frozen when the deployment starts.
fn planned(row: &Row, group: &groups::Row, hosts: &[HostRow], now: Timestamp) -> (Plan, State) {
    if let (Some(plan), Some(state)) = (&row.plan, &row.state)
        && state.0.phase != Phase::Queued
    {
        return (plan.0.clone(), state.0.clone());
    }
    let fleet = Fleet { members: members(group, hosts), ..Fleet::default() };
    let order = |purpose| Order { deployment: row.id(), revision: row.revision.0.clone(), purpose };
    match strategy::compile(&group.spec.0, &fleet, order(row.purpose())) {
        Ok(plan) => {
            let fresh = State::new(&plan, now);
            let state = match &row.state {
                Some(old) => State { hosts: fresh.hosts, ..old.0.clone() },
                None => fresh,
            };
            (plan, state)
        }
        Err(error) => {
            let plan = strategy::refused(&group.spec.0, order(Purpose::Forward));
            let mut state = State::new(&plan, now);
            state.cause = Some(Cause::Refused { reason: error.to_string() });
            (plan, state)
        }
    }
}

/// The hosts of the group as they stand now.
fn members(group: &groups::Row, hosts: &[HostRow]) -> Vec<Member> {
    let selected = hosts
        .iter()
        .filter(|host| host.state == "active" && group.spec.0.hosts.matches(&host.tags.0));
    // A host that is new to the group returns to what the group is on.
    let base = group.base.as_ref().map(|base| base.0.clone());
    selected
        .map(|host| Member {
            id: AgentId(host.id),
            name: host.name.clone(),
            tags: host.tags.0.clone(),
            alive: host.alive,
            serving: host.revision.as_ref().map(|revision| revision.0.clone()),
            good: host.good.as_ref().map(|good| good.0.clone()).or_else(|| base.clone()),
            lane: Lane::Direct,
            instance: false,
        })
        .collect()
}

async fn facts(
    conn: &mut PgConnection,
    group: &groups::Row,
    hosts: &[HostRow],
    id: DeploymentId,
) -> Result<Facts> {
    let others = deployments::unfinished(conn, group.id).await?;
    // First come, first served; whoever works goes before all who wait.
    let holder = others
        .iter()
        .filter(|(other, _)| *other != id)
        .find(|(_, status)| status != "queued")
        .or_else(|| others.iter().find(|(other, _)| *other < id));
    let alive = hosts.iter().map(|host| {
        let facts = HostFacts { alive: host.alive, last_seen: Some(Timestamp(host.seen_at)) };
        (AgentId(host.id), facts)
    });
    Ok(Facts {
        hosts: alive.collect(),
        held_by: holder.map(|(other, _)| other.to_string()),
        group_generation: group.generation.unsigned_abs(),
        ..Facts::default()
    })
}
