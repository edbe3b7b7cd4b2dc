//! Deciding one deployment: facts in, decision out, commands performed, state saved.

use super::fleet::{self, Known};
use super::perform::{Deployment, Subject, perform};
use super::runs::wake_at;
use super::{Effects, Engine, guarded};
use anyhow::{Context as _, Result, ensure};
use pipelines::calendar;
use pipelines::deploy::strategy::{self, Order};
use pipelines::deploy::{self, Cause, Event, Facts, Host, HostFacts, Phase, Plan, State};
use pipelines::ids::{AgentId, DeploymentId};
use pipelines::protocol::task::Purpose;
use pipelines::spec::group::Provider;
use pipelines::time::{Millis, Timestamp};
use std::collections::BTreeMap;
use store::deployments::{self, Row, Save};
use store::groups::{self, HostRow};
use store::{PgConnection, agents, history, inbox, tasks};

/// How often a deployment that waits for an answer looks whether there is one.
const ASK_AGAIN: Millis = Millis::from_secs(10);

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
    let mut hosts = groups::hosts(conn, group.id, silence).await?;
    let mut facts = facts(conn, &group, &hosts, id).await?;
    facts.patient = engine.grace.lasts();
    facts.closed = calendar::closed(&group.spec.windows, &group.spec.freeze, now);
    let (plan, mut state) = match frozen(&row) {
        Some(frozen) => frozen,
        None => {
            let closed = facts.closed.is_some() && !is_let_through(&row, &events);
            let free = facts.held_by.is_none() && !closed;
            let when = (free, now);
            let known = fleet::look(engine, conn, &row, &group, &mut hosts, when, effects).await?;
            if let Known::Unread(unread, _) = &known {
                facts.unread = Some(unread.clone());
            }
            planned(&row, &group, known, now)
        }
    };
    about_agents(conn, &plan, silence, &mut facts).await?;
    let of = (&group, &row);
    crate::monitors::facts::fill(conn, of, (&plan, &state), now, &mut facts).await?;
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
    let again = look_again_at(&facts, &state, engine.lease.silent_for_max, now);
    let wake_at = wake_at(&commands, now).into_iter().chain(again).min();
    let save =
        Save { plan: &plan, state: &state, waiting: &waiting, wake_at, version: row.version };
    ensure!(deployments::save(conn, id, &save).await?, "{id} was changed by somebody else");
    groups::raise_generation(conn, group.id, state.generation).await?;
    for command in &commands {
        let of = Deployment { row: &row, plan: &plan, state: &state };
        let subject = Subject::Deployment(of);
        perform(engine, conn, &subject, command, effects).await?;
    }
    Ok(())
}

/// When to look although nothing that was decided asks for it.
fn look_again_at(
    facts: &Facts,
    state: &State,
    patience: Millis,
    now: Timestamp,
) -> Option<Timestamp> {
    // What was let pass out of patience is looked at again when that is over.
    let later = facts.patient.then(|| now + patience);
    // An answer that does not come is not waited for for ever, and who keeps a host busy tells only its
    // own group when that ends.
    let is_behind = facts.places.values().any(|place| place.behind.is_some());
    let is_busy = is_behind && state.hosts.values().any(|host| host.work.is_some());
    let asked = (facts.unread.is_some() || is_busy).then(|| now + ASK_AGAIN);
    later.into_iter().chain(asked).min()
}

/// The plan and state to decide on. While it is queued the plan follows the group and its fleet; it is
/// frozen when the deployment starts.
fn planned(row: &Row, group: &groups::Row, known: Known, now: Timestamp) -> (Plan, State) {
    let order = |purpose| Order { deployment: row.id(), revision: row.revision.0.clone(), purpose };
    let compiled = match known {
        Known::Fleet(fleet) | Known::Unread(_, fleet) => {
            strategy::compile(&group.spec.0, &fleet, order(row.purpose()))
        }
        Known::No(error) => Err(error),
    };
    match compiled {
        Ok(plan) => {
            let fresh = State::new(&plan, now);
            let state = match &row.state {
                Some(old) => State { hosts: with_exclusions(fresh.hosts, old), ..old.0.clone() },
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

/// Hosts as they are now, without those that somebody left out before the deployment began.
fn with_exclusions(mut hosts: BTreeMap<AgentId, Host>, before: &State) -> BTreeMap<AgentId, Host> {
    for (id, host) in &mut hosts {
        let old = before.hosts.get(id);
        host.excluded = old.and_then(|old| old.excluded.clone());
    }
    hosts
}

/// Whether windows and freezes do not count for it, or will not when these events are heard.
fn is_let_through(row: &Row, events: &[Event]) -> bool {
    let before = row.state.as_ref().is_some_and(|state| state.overridden.is_some());
    let now = events.iter().any(|event| matches!(event, Event::Override { .. }));
    row.purpose() == Purpose::Rollback || before || now
}

/// A deployment that has begun keeps its plan.
fn frozen(row: &Row) -> Option<(Plan, State)> {
    let (Some(plan), Some(state)) = (&row.plan, &row.state) else { return None };
    (state.0.phase != Phase::Queued).then(|| (plan.0.clone(), state.0.clone()))
}

/// Of the balancer's agent and that which makes hosts, which need not be hosts of the group; and where
/// tasks stand at the hosts' own.
async fn about_agents(
    conn: &mut PgConnection,
    plan: &Plan,
    silence: Millis,
    facts: &mut Facts,
) -> Result<()> {
    let ids: Vec<i64> = plan.hosts.iter().map(|host| host.id.0).collect();
    facts.places = tasks::places(conn, plan.deployment, &ids).await?.into_iter().collect();
    if let Some(router) = &plan.router
        && let Some((agent, alive, seen)) = agents::by_name(conn, &router.name, silence).await?
        && agent == router.agent
    {
        facts.hosts.insert(agent, HostFacts { alive, last_seen: Some(seen) });
    }
    if let Some(instances) = &plan.instances {
        let Provider::Docker(docker) = &instances.provider;
        let provider = agents::by_name(conn, &docker.agent, silence).await?;
        facts.provider = Some(match provider {
            Some((_, alive, seen)) => HostFacts { alive, last_seen: Some(seen) },
            None => HostFacts { alive: false, last_seen: None },
        });
    }
    Ok(())
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
