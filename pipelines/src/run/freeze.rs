//! Times in which a pipeline's stages do not start.

use super::state::{Phase, State};
use crate::calendar;
use crate::deploy::Closed;
use crate::spec::Window;
use crate::spec::pipeline::{Freeze, Pipeline};
use crate::time::Timestamp;

/// What keeps the run from entering the stage it stands before; None where nothing does, or where
/// somebody let it pass.
#[must_use]
pub fn frozen(pipeline: &Pipeline, state: &State, now: Timestamp) -> Option<Closed> {
    let stands = state.phase == Phase::Running && !state.entered && state.overridden.is_none();
    let stage = pipeline.stages.get(state.stage).filter(|_| stands)?;
    let holds = |freeze: &&Freeze| match freeze.stages.as_slice() {
        [] => state.stage > 0,
        named => named.contains(&stage.name),
    };
    let freezes = pipeline.freeze.iter().filter(holds).map(|freeze| freeze.window.clone());
    calendar::closed(&[], &freezes.collect::<Vec<Window>>(), now)
}
