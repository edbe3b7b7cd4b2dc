//! Deployments: how a revision reaches the hosts of a group, and how it leaves them again.
//!
//! ```text
//! group settings + fleet ──strategy──► Plan          (once, when the deployment starts)
//! Plan + State + Facts + Event ──decide──► State', commands, waiting   (ever after)
//! ```
//! Strategies compile, the engine interprets: nothing below asks which strategy it carries out.

pub mod advance;
pub mod decide;
pub mod event;
pub mod invariants;
pub mod plan;
mod record;
mod rollback;
pub mod state;
pub mod strategy;

pub use decide::decide;
pub use event::{Event, Facts, HostFacts, HostOutcome};
pub use plan::{Plan, PlanHost, Step};
pub use state::{Cause, Host, HostState, Phase, State};

#[cfg(test)]
pub(crate) mod tests;
