//! The one entry point: note the event, then move as far as the facts allow.

use super::advance::advance;
use super::event::{Event, Facts};
use super::invariants;
use super::people;
use super::plan::{Plan, Step};
use super::record::record;
use super::state::{Phase, State};
use super::turn::{overdue_at, route_overdue_at};
use super::waiting::waiting;
use crate::command::{Command, Decision};
use crate::time::Timestamp;

/// Decides what follows from `event`. Same arguments, same decision; repeating an event adds nothing.
///
/// # Panics
/// When the decision would break an invariant (`invariants::check`): that is a defect of this crate,
/// and doing nothing is safer than acting on it. The shell catches it and shows the deployment as
/// stuck.
#[must_use]
pub fn decide(
    plan: &Plan,
    state: &State,
    facts: &Facts,
    event: &Event,
    now: Timestamp,
) -> Decision<State> {
    let mut commands = Vec::new();
    let mut next = state.clone();
    step(plan, &mut next, facts, event, now, &mut commands);
    let waiting = waiting(plan, &next, facts);
    let mut broken = invariants::check(plan, state, &next, facts, &commands);
    if waiting.is_empty() && !next.phase.is_final() {
        broken.push("unfinished without a reason".to_owned());
    }
    assert!(broken.is_empty(), "invariant broken in {}: {}", plan.deployment, broken.join("; "));
    Decision { state: next, commands, waiting }
}

/// The decision alone: neither checked nor put into words. For whoever checks from outside.
pub fn step(
    plan: &Plan,
    state: &mut State,
    facts: &Facts,
    event: &Event,
    now: Timestamp,
    commands: &mut Vec<Command>,
) {
    record(plan, state, facts, (event, now), commands);
    advance(plan, state, facts, now, commands);
    if let Some(at) = next_deadline(plan, state, facts, now) {
        commands.push(Command::WakeAt { at });
    }
}

/// When something changes even if nobody ever speaks again.
fn next_deadline(plan: &Plan, state: &State, facts: &Facts, now: Timestamp) -> Option<Timestamp> {
    if state.phase.is_final() {
        return None;
    }
    let queued = state.phase == Phase::Queued;
    let closed = people::closed(plan, state, facts).filter(|_| queued);
    let opens = closed.and_then(|closed| closed.until);
    let works = state.hosts.iter().filter_map(|(id, host)| Some((id, host.work.as_ref()?)));
    let works = works.filter_map(|(id, work)| overdue_at(plan, work, facts.places.get(id)));
    let routes = state.routes.iter().map(|route| route_overdue_at(plan, route));
    // What has passed decided nothing alone; something else has to happen as well.
    let times = works.chain(routes).chain(opens).chain(step_deadlines(plan, state));
    times.filter(|at| *at > now).min()
}

fn step_deadlines(plan: &Plan, state: &State) -> impl Iterator<Item = Timestamp> {
    let running = state.phase == Phase::Running && state.paused.is_none();
    let since = state.step_since;
    let (first, last) = match plan.steps.get(state.step).filter(|_| running) {
        Some(Step::Hold { time, judge }) => {
            let last = super::forward::hold_until(since, *time, judge.as_ref());
            (Some(since + *time), Some(last))
        }
        Some(Step::Approve { timeout, promote_after }) => {
            (promote_after.map(|after| since + after), Some(since + *timeout))
        }
        Some(Step::Retire { keep, .. }) => (Some(since + *keep), None),
        _ => (None, None),
    };
    first.into_iter().chain(last)
}
