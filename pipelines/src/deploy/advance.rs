//! Moving as far as the facts allow. Looks at everything every time: a lost, doubled or late event
//! costs a look, never a decision.

use super::event::Facts;
use super::plan::Plan;
use super::rollback;
use super::state::{Cause, Host, HostState, Phase, State};
use crate::command::{Command, Serving, Waiting};
use crate::ids::AgentId;
use crate::protocol::report::{ErrorCode, TaskError};
use crate::protocol::task::Purpose;
use crate::time::{Millis, Timestamp};

/// How much longer than its own timeout a host's task may take before the controller gives it up:
/// the agent enforces the timeout, this only catches an agent that does not.
const OVERDUE_GRACE: Millis = Millis::from_minutes(2);

/// Moves `state` on, adds what is to be done to `commands`, and says what it now waits for.
pub fn advance(
    plan: &Plan,
    state: &mut State,
    facts: &Facts,
    now: Timestamp,
    commands: &mut Vec<Command>,
) -> Vec<Waiting> {
    let was_final = state.phase.is_final();
    if state.phase == Phase::Queued {
        leave_queue(plan, state, facts, now);
    }
    if !state.phase.is_final() && state.phase != Phase::Queued {
        notice_lost_hosts(plan, state, facts, now, commands);
    }
    if state.phase == Phase::Running {
        run(plan, state, facts, now, commands);
    }
    if state.phase == Phase::Failing && state.working().next().is_none() {
        finish(state, Phase::Failed, now);
    }
    if state.phase == Phase::RollingBack {
        rollback::advance(plan, state, facts, now, commands);
    }
    if state.phase.is_final() && !was_final {
        if state.phase == Phase::Succeeded {
            commands.push(Command::RecordGood);
        }
        commands.push(Command::Finished);
    }
    super::state::waiting(plan, state, facts)
}

/// When the host's task counts as overdue; None when it has none.
pub(super) fn overdue_at(plan: &Plan, host: &Host) -> Option<Timestamp> {
    match host.state {
        HostState::Working { since, .. } => Some(since + plan.host.timeout + OVERDUE_GRACE),
        _ => None,
    }
}

fn leave_queue(plan: &Plan, state: &mut State, facts: &Facts, now: Timestamp) {
    match &state.cause {
        Some(Cause::Superseded { .. }) => return finish(state, Phase::Superseded, now),
        Some(Cause::Refused { .. }) => return finish(state, Phase::Failed, now),
        Some(_) => return finish(state, Phase::Cancelled, now),
        None => {}
    }
    if facts.held_by.is_some() || state.paused.is_some() {
        return;
    }
    state.started_at = Some(now);
    state.generation = facts.group_generation + 1;
    state.phase = Phase::Running;
    // Better to find a silent agent now than after half the group was changed.
    let silent: Vec<&str> = plan
        .hosts
        .iter()
        .filter(|host| !facts.is_alive(host.id))
        .map(|host| host.name.as_str())
        .collect();
    let refusal = if plan.hosts.is_empty() {
        Some("no host matches the group's selector; tag hosts, or correct the selector".to_owned())
    } else if silent.is_empty() {
        None
    } else {
        Some(format!(
            "the agent is silent on {}; nothing was touched. Bring it back or take the host out of \
             the group",
            silent.join(", ")
        ))
    };
    if let Some(reason) = refusal {
        state.cause = Some(Cause::Refused { reason });
        finish(state, Phase::Failed, now);
    }
}

/// A host whose agent fell silent, or whose task is overdue, counts as unhealthy from now on.
fn notice_lost_hosts(
    plan: &Plan,
    state: &mut State,
    facts: &Facts,
    now: Timestamp,
    commands: &mut Vec<Command>,
) {
    for (id, host) in &mut state.hosts {
        let HostState::Working { purpose, .. } = host.state else { continue };
        let overdue = !facts.patient && overdue_at(plan, host).is_some_and(|at| now >= at);
        if facts.is_alive(*id) && !overdue {
            continue;
        }
        let since = facts.last_seen(*id).unwrap_or(now);
        host.touched = true;
        host.state = match (purpose, overdue && facts.is_alive(*id)) {
            (Purpose::Forward, false) => HostState::Lost { since },
            (Purpose::Forward, true) => HostState::Failed { error: overdue_error() },
            (Purpose::Rollback, _) => HostState::RollbackFailed {
                message: "its agent fell silent while it was rolled back".to_owned(),
            },
        };
        commands.push(Command::CancelHost { host: *id, attempt: host.attempt });
        commands.push(Command::RecordHost { host: *id, serving: Serving::Unknown });
    }
}

fn overdue_error() -> TaskError {
    TaskError {
        code: ErrorCode::TimedOut,
        message: "the agent did not end its work in time".to_owned(),
        step: None,
        command: None,
        touched: true,
    }
}

fn run(plan: &Plan, state: &mut State, facts: &Facts, now: Timestamp, commands: &mut Vec<Command>) {
    while let Some(step) = plan.steps.get(state.step) {
        if !step.hosts().iter().all(|id| is_updated(state, *id)) {
            break;
        }
        state.step += 1;
    }
    // After moving on: a host of the next step may have fallen silent before its turn.
    if let Some(cause) = first_fault(plan, state, facts) {
        state.cause.get_or_insert(cause);
    }
    if state.cause.is_some() {
        return turn_back(plan, state, now, commands);
    }
    if state.step >= plan.steps.len() {
        return finish(state, Phase::Succeeded, now);
    }
    if state.paused.is_some() {
        return;
    }
    start_hosts(plan, state, facts, now, commands);
    let stalled = state.working().next().is_none();
    if stalled && state.cause.is_none() {
        let available = available(plan, state, facts);
        let min_healthy = plan.limits.min_healthy;
        state.cause = Some(Cause::HealthConstraints { available, min_healthy });
        turn_back(plan, state, now, commands);
    }
}

/// The first failed or lost host, in plan order; a silent host that is due now counts as well.
fn first_fault(plan: &Plan, state: &State, facts: &Facts) -> Option<Cause> {
    let due = plan.steps.get(state.step).map(super::plan::Step::hosts).unwrap_or_default();
    plan.hosts.iter().find_map(|planned| {
        let (id, name) = (planned.id, planned.name.clone());
        match &state.hosts.get(&id)?.state {
            HostState::Failed { error } => {
                Some(Cause::HostFailed { host: id, name, error: error.clone() })
            }
            HostState::Lost { since } => Some(Cause::HostLost { host: id, name, since: *since }),
            HostState::Pending if due.contains(&id) && !facts.is_alive(id) => {
                let since = facts.last_seen(id).unwrap_or(state.created_at);
                Some(Cause::HostLost { host: id, name, since })
            }
            _ => None,
        }
    })
}

fn start_hosts(
    plan: &Plan,
    state: &mut State,
    facts: &Facts,
    now: Timestamp,
    commands: &mut Vec<Command>,
) {
    for id in plan.steps[state.step].hosts() {
        let pending = state.hosts.get(id).is_some_and(|host| host.state == HostState::Pending);
        if !pending {
            continue;
        }
        let serving = plan.host(*id).is_some_and(|host| host.serving);
        // A host that serves nothing can only improve; one in service costs one of the floor.
        if serving && available(plan, state, facts) <= plan.limits.min_healthy {
            continue;
        }
        let revision = plan.revision.clone();
        start_host(state, *id, Purpose::Forward, revision, now, commands);
    }
}

pub(super) fn start_host(
    state: &mut State,
    id: AgentId,
    purpose: Purpose,
    revision: crate::protocol::task::Revision,
    now: Timestamp,
    commands: &mut Vec<Command>,
) {
    let generation = state.generation;
    let Some(host) = state.hosts.get_mut(&id) else { return };
    host.attempt += 1;
    host.touched = true;
    host.state = HostState::Working { purpose, since: now, cancelling: false };
    let attempt = host.attempt;
    commands.push(Command::StartHost { host: id, attempt, generation, revision, purpose });
}

/// Hosts in service now: validated on some revision, not being worked on, agent alive.
pub(super) fn available(plan: &Plan, state: &State, facts: &Facts) -> u32 {
    let in_service = plan.hosts.iter().filter(|planned| {
        let Some(host) = state.hosts.get(&planned.id) else { return false };
        facts.is_alive(planned.id)
            && match &host.state {
                HostState::Updated | HostState::RolledBack => true,
                HostState::Pending => planned.serving,
                HostState::Failed { .. } => planned.serving && !host.touched,
                HostState::Working { .. }
                | HostState::Lost { .. }
                | HostState::RollbackFailed { .. } => false,
            }
    });
    u32::try_from(in_service.count()).unwrap_or(u32::MAX)
}

/// Stops going forward: by the cause and the group's policy into rollback, or into plain failure.
fn turn_back(plan: &Plan, state: &mut State, now: Timestamp, commands: &mut Vec<Command>) {
    for (id, host) in &mut state.hosts {
        if let HostState::Working { cancelling, .. } = &mut host.state
            && !*cancelling
        {
            *cancelling = true;
            commands.push(Command::CancelHost { host: *id, attempt: host.attempt });
        }
    }
    let wanted = match &state.cause {
        Some(Cause::Stopped { .. }) => plan.rollback.stop,
        Some(_) => plan.rollback.failure,
        None => false,
    };
    let touched = state.hosts.values().any(|host| host.touched);
    if wanted && touched {
        // Later commands outrank anything agents were told so far.
        state.generation += 1;
        state.rollback_at = Some(now);
        state.phase = Phase::RollingBack;
    } else if touched {
        state.phase = Phase::Failing;
    } else if matches!(state.cause, Some(Cause::Stopped { .. })) {
        finish(state, Phase::Cancelled, now);
    } else {
        finish(state, Phase::Failed, now);
    }
}

pub(super) fn finish(state: &mut State, phase: Phase, now: Timestamp) {
    state.phase = phase;
    state.finished_at = Some(now);
    state.paused = None;
}

fn is_updated(state: &State, id: AgentId) -> bool {
    state.hosts.get(&id).is_some_and(|host| host.state == HostState::Updated)
}
