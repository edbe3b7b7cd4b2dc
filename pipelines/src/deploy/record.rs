//! Noting an event in the state, and nothing else: what follows from it is `advance`'s business.

use super::event::{Event, HostOutcome};
use super::plan::Plan;
use super::state::{Cause, HostState, Pause, Phase, State};
use crate::command::{Command, Serving};
use crate::ids::AgentId;
use crate::protocol::task::Purpose;
use crate::time::Timestamp;

/// Notes `event`. Late, doubled and unknown words leave the state as it is.
pub(super) fn record(
    plan: &Plan,
    state: &mut State,
    event: &Event,
    now: Timestamp,
    commands: &mut Vec<Command>,
) {
    if state.phase.is_final() {
        return;
    }
    match event {
        Event::HostFinished { host, attempt, outcome } => {
            host_finished(plan, state, *host, *attempt, outcome, commands);
        }
        Event::Abort { by, reason } => {
            if matches!(state.phase, Phase::Queued | Phase::Running) && state.cause.is_none() {
                state.cause = Some(Cause::Stopped { by: by.clone(), reason: reason.clone() });
            }
        }
        Event::Pause { by } => {
            if state.paused.is_none() {
                state.paused = Some(Pause { by: by.clone(), since: now });
            }
        }
        Event::Resume { .. } => state.paused = None,
        Event::Supersede { by } => {
            if state.phase == Phase::Queued && state.cause.is_none() {
                state.cause = Some(Cause::Superseded { by: by.clone() });
            }
        }
        Event::Tick => {}
    }
}

fn host_finished(
    plan: &Plan,
    state: &mut State,
    id: AgentId,
    attempt: u32,
    outcome: &HostOutcome,
    commands: &mut Vec<Command>,
) {
    let Some(host) = state.hosts.get_mut(&id) else { return };
    let HostState::Working { purpose, .. } = host.state else { return };
    if host.attempt != attempt {
        return;
    }
    let (next, serving) = match (purpose, outcome) {
        (Purpose::Forward, HostOutcome::Succeeded) => {
            (HostState::Updated, Some(Serving::Revision(plan.revision.clone())))
        }
        (Purpose::Rollback, HostOutcome::Succeeded) => {
            let target = plan.host(id).and_then(|host| host.prior.clone());
            (HostState::RolledBack, target.map(Serving::Revision))
        }
        (Purpose::Forward, HostOutcome::Failed(error)) => {
            host.touched = error.touched;
            let serving = error.touched.then_some(Serving::Broken);
            (HostState::Failed { error: error.clone() }, serving)
        }
        (Purpose::Rollback, HostOutcome::Failed(error)) => {
            let step = error.step.as_deref().unwrap_or("its rollback");
            let message = format!("failed in {step}: {}", error.message);
            (HostState::RollbackFailed { message }, Some(Serving::Broken))
        }
        (Purpose::Forward, HostOutcome::Cancelled { touched }) => {
            host.touched = *touched;
            let state = if *touched {
                HostState::Failed { error: cancelled() }
            } else {
                HostState::Pending
            };
            (state, touched.then_some(Serving::Broken))
        }
        (Purpose::Rollback, HostOutcome::Cancelled { .. }) => {
            let message = "its rollback was cancelled".to_owned();
            (HostState::RollbackFailed { message }, Some(Serving::Broken))
        }
    };
    host.state = next;
    // An untouched host still serves what is noted for it: nothing to write.
    commands.extend(serving.map(|serving| Command::RecordHost { host: id, serving }));
}

fn cancelled() -> crate::protocol::report::TaskError {
    crate::protocol::report::TaskError {
        code: crate::protocol::report::ErrorCode::Interrupted,
        message: "stopped half-way because the deployment turned back".to_owned(),
        step: None,
        command: None,
        touched: true,
    }
}
