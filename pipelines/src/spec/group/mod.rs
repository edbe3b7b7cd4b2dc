//! A deployment group: which hosts, how a revision reaches them, and when it is taken back.

mod amount;
mod analysis;
mod batch;
mod budget;
mod bytes;
mod capacity;
mod check;
mod cohort;
mod contradiction;
mod hosts;
mod instances;
mod metric;
mod model;
mod monitor;
mod number;
mod parts;
mod read;
mod router;
mod storage;
mod strategy;
#[cfg(test)]
mod tests;

pub use amount::Amount;
pub use analysis::{Analysis, CeilingRule, ErrorRule, Inconclusive, LatencyRule};
pub use batch::Batch;
pub use budget::MaxFailures;
pub use bytes::Bytes;
pub use cohort::{Cohort, CohortBy};
pub use hosts::{Hosts, Selector};
pub use instances::{Docker, Instances, Provider};
pub use metric::{Metric, RouterMetric};
pub use model::{
    Drain, Group, Health, HooksPolicy, NewerDeployment, OfflineHosts, Rollback, RollbackOn, Zones,
};
pub use monitor::{Monitor, NoData};
pub use read::parse;
pub(crate) use read::read;
pub use router::{Balancer, Check, Router};
pub use storage::{KeepReleases, SharedKind, SharedPath};
pub use strategy::{CanaryStep, Strategy};

/// What [`parse`] gives, by the same name in each of the four formats.
pub type Model = Group;
