//! The one entry point for runs.

use super::advance::advance;
use super::event::{Event, Facts};
use super::record::record;
use super::state::State;
use crate::command::Decision;
use crate::spec::pipeline::Pipeline;
use crate::time::Timestamp;

/// Decides what follows from `event`. Same arguments, same decision; repeating an event adds nothing.
///
/// # Panics
/// When an unfinished run would wait for nothing: a defect of this crate, which the shell shows as a
/// stuck run instead of letting it vanish.
#[must_use]
pub fn decide(
    pipeline: &Pipeline,
    state: &State,
    facts: &Facts,
    event: &Event,
    now: Timestamp,
) -> Decision<State> {
    let mut commands = Vec::new();
    let mut next = state.clone();
    record(pipeline, &mut next, event, now, &mut commands);
    let waiting = advance(pipeline, &mut next, facts, now, &mut commands);
    assert!(next.phase.is_final() || !waiting.is_empty(), "an unfinished run waits for nothing");
    assert!(!state.phase.is_final() || commands.is_empty(), "a finished run did something");
    Decision { state: next, commands, waiting }
}
