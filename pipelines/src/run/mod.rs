//! Pipeline runs: the same shape as deployments. An event is noted, then everything is looked at and
//! moved as far as it may go.

pub mod advance;
pub mod decide;
pub mod event;
mod freeze;
mod record;
pub mod state;
pub mod trigger;

pub use decide::decide;
pub use event::{Event, Facts, SourceRevision, TaskFacts};
pub use freeze::frozen;
pub use state::{Action, ActionState, Phase, State};

#[cfg(test)]
mod tests;
