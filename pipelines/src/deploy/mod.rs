//! Deployments: how a revision reaches the hosts of a group, and how it leaves them again.
//!
//! ```text
//! group settings + fleet ──strategy──► Plan          (once, when the deployment starts)
//! Plan + State + Facts + Event ──decide──► State', commands, waiting   (ever after)
//! ```
//! Strategies compile, the engine interprets: nothing below asks which strategy it carries out.
//!
//! `record` notes an event; `advance` looks at everything: `faults` says whether to turn back, `forward`
//! and `share` carry out the plan's steps, `back` undoes them. `turn` is what they all ask for work with.

pub mod advance;
mod back;
pub mod decide;
pub mod event;
mod faults;
mod forward;
pub mod host;
mod host_work;
pub mod invariants;
pub mod outlook;
pub mod people;
pub mod plan;
mod record;
pub mod retention;
mod retire;
pub mod share;
pub mod state;
pub mod strategy;
mod turn;
mod waiting;

pub use decide::{decide, step};
pub use event::Closed;
pub use event::{Event, Facts, HostFacts, HostOutcome, Place, RouteOutcome, Unread};
pub use host::{App, Fault, Host, HostStatus, Lane, Stage, Work};
pub use plan::{Enter, Plan, PlanHost, PlanRouter, Share, Step};
pub use state::{Cause, Phase, State};
pub use turn::route_timeout;

#[cfg(test)]
pub(crate) mod tests;
