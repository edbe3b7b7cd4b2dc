//! A deployment group: which hosts, how a revision reaches them, and when it is taken back.

mod alias;
mod amount;
mod check;
mod hosts;
mod model;
mod monitor;
mod read;
mod router;
mod strategy;
#[cfg(test)]
mod tests;

pub use amount::Amount;
pub use hosts::{Hosts, Selector};
pub use model::{
    Drain, Group, Health, HooksPolicy, NewerDeployment, OfflineHosts, Rollback, RollbackOn, Zones,
};
pub use monitor::{Metric, Monitor, NoData, RouterMetric};
pub use read::parse;
pub(crate) use read::read;
pub use router::Router;
pub use strategy::{CanaryStep, Strategy};

/// What [`parse`] gives, by the same name in each of the four formats.
pub type Model = Group;
