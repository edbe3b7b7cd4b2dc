//! The one entry point: note the event, then move as far as the facts allow.

use super::advance::advance;
use super::event::{Event, Facts};
use super::invariants;
use super::plan::Plan;
use super::record::record;
use super::state::State;
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
    record(plan, &mut next, event, now, &mut commands);
    let waiting = advance(plan, &mut next, facts, now, &mut commands);
    if let Some(deadline) = next_deadline(&next, plan) {
        commands.push(Command::WakeAt { at: deadline });
    }
    let broken = invariants::check(plan, state, &next, facts, &commands, &waiting);
    assert!(broken.is_empty(), "invariant broken in {}: {}", plan.deployment, broken.join("; "));
    Decision { state: next, commands, waiting }
}

/// When running work is overdue even if nobody ever speaks again.
fn next_deadline(state: &State, plan: &Plan) -> Option<Timestamp> {
    state.hosts.values().filter_map(|host| super::advance::overdue_at(plan, host)).min()
}
