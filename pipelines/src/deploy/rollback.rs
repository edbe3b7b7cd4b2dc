//! Bringing touched hosts back to what each served before, never deeper than one deployment.
//!
//! Order and limits are those of a safe retreat: hosts already out of service first, then the newest
//! changes, the same floor of healthy hosts, no pauses, validation still required.

use super::advance::{available, finish, start_host};
use super::event::Facts;
use super::plan::Plan;
use super::state::{HostState, Phase, State};
use crate::command::Command;
use crate::ids::AgentId;
use crate::protocol::task::Purpose;
use crate::time::Timestamp;

pub(super) fn advance(
    plan: &Plan,
    state: &mut State,
    facts: &Facts,
    now: Timestamp,
    commands: &mut Vec<Command>,
) {
    give_up_without_target(plan, state);
    start_next(plan, state, facts, now, commands);
    if state.working().next().is_some() {
        return;
    }
    // Nothing runs and nothing may be started: what is left stays as it is, and is said.
    for (id, host) in &mut state.hosts {
        let message = match &host.state {
            HostState::Lost { .. } => "its agent is silent; what it runs is unknown",
            HostState::Updated => {
                "it still serves the new revision: taking it out would leave too few hosts in service"
            }
            HostState::Failed { .. } if host.touched && !facts.is_alive(*id) => {
                "its agent fell silent before it could be rolled back"
            }
            _ => continue,
        };
        host.state = HostState::RollbackFailed { message: message.to_owned() };
    }
    let failed =
        state.hosts.values().any(|host| matches!(host.state, HostState::RollbackFailed { .. }));
    finish(state, if failed { Phase::RollbackFailed } else { Phase::RolledBack }, now);
}

/// A host on which no revision was ever good stays out of service.
fn give_up_without_target(plan: &Plan, state: &mut State) {
    for (id, host) in &mut state.hosts {
        let needs_target = match &host.state {
            HostState::Failed { .. } => host.touched,
            HostState::Updated => true,
            _ => false,
        };
        let has_target = plan.host(*id).is_some_and(|planned| planned.prior.is_some());
        if needs_target && !has_target {
            let message = match &host.state {
                HostState::Updated => {
                    "it serves the new revision: there is no earlier one to return to"
                }
                _ => "it is out of service: there is no earlier revision to return to",
            };
            host.state = HostState::RollbackFailed { message: message.to_owned() };
        }
    }
}

fn start_next(
    plan: &Plan,
    state: &mut State,
    facts: &Facts,
    now: Timestamp,
    commands: &mut Vec<Command>,
) {
    for id in candidates(plan, state, facts) {
        let running = u32::try_from(state.working().count()).unwrap_or(u32::MAX);
        if running >= plan.limits.rollback_width {
            return;
        }
        let serving = state.hosts.get(&id).is_some_and(|h| h.state == HostState::Updated);
        if serving && available(plan, state, facts) <= plan.limits.rollback_min_healthy {
            continue;
        }
        let Some(target) = plan.host(id).and_then(|host| host.prior.clone()) else { continue };
        start_host(state, id, Purpose::Rollback, target, now, commands);
    }
}

/// Hosts to bring back that can be reached: out of service first, then latest changed first.
fn candidates(plan: &Plan, state: &State, facts: &Facts) -> Vec<AgentId> {
    let in_state = |wanted: fn(&HostState, bool) -> bool| {
        plan.hosts.iter().rev().map(|planned| planned.id).filter(move |id| {
            facts.is_alive(*id)
                && state.hosts.get(id).is_some_and(|host| wanted(&host.state, host.touched))
        })
    };
    let out_of_service = in_state(|host, touched| match host {
        HostState::Failed { .. } => touched,
        HostState::Lost { .. } => true,
        _ => false,
    });
    let serving = in_state(|host, _| *host == HostState::Updated);
    out_of_service.chain(serving).collect()
}
