//! One host in a deployment: two facts (what its application is, what traffic it gets), and the work
//! that is changing one of them. What comes next is derived from these and what is wanted.

use super::plan::PlanHost;
use crate::protocol::report::TaskError;
use crate::protocol::route::Traffic;
use crate::protocol::task::Purpose;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Host {
    pub app: App,
    pub lane: Lane,
    /// Requests of the group's cohorts reach it as well, in traffic or not yet read back as being out.
    #[serde(default)]
    pub cohort: bool,
    pub work: Option<Work>,
    /// Tasks handed to its agent so far; the current one has this number.
    pub attempt: u32,
    /// The application on it may have been changed by this deployment.
    pub touched: bool,
    /// `BeforeBlockTraffic` has run for the move that is under way.
    pub left: bool,
    /// It was moved in or out of traffic, and the hook for afterwards has not run yet.
    pub unsettled: bool,
    pub fault: Option<Fault>,
    pub excluded: Option<Excluded>,
}

/// What is known of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum App {
    /// The host does not exist yet, or not any more.
    Absent,
    /// Whatever was there before: not changed by this deployment.
    Before,
    /// The deployment's revision, validated.
    New,
    /// The earlier revision again, validated.
    Restored,
    /// Work failed after it was touched.
    Broken,
    /// Its agent fell silent while it was worked on: anything may run there.
    Unknown,
}

/// What the balancer sends it, as far as was proved by reading back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// There is no router: it serves when its application does.
    Direct,
    In {
        weight: u16,
    },
    Out,
    /// Out, and the balancer does not know it any more.
    Gone,
    /// Never read, or a change of it did not come to its end.
    Unknown,
}

/// Something that was asked for and not answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    pub stage: Stage,
    pub purpose: Purpose,
    pub since: Timestamp,
    pub cancelling: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// An instance is being made.
    Launching,
    /// It fetches and checks the bundle and runs `BeforeBlockTraffic`; it still serves.
    Leaving,
    /// The balancer takes it out.
    Draining,
    /// Its agent brings it to the wanted revision.
    Updating,
    /// The balancer lets it in.
    Entering,
    /// The hook after a move runs.
    Settling,
    /// Its instance is being taken away.
    Dismissing,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    Failed {
        error: TaskError,
    },
    /// Its agent fell silent while it mattered.
    Lost {
        since: Timestamp,
    },
    /// It could not be brought back, and stays as the text says.
    Stuck {
        message: String,
    },
}

/// It counts no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excluded {
    pub by: String,
    pub reason: String,
}

/// A host's standing in one word, derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostStatus {
    Pending,
    Launching,
    Leaving,
    Draining,
    Updating,
    Entering,
    Settling,
    /// Validated, and held back from traffic.
    Ready,
    Updated,
    Failed,
    Lost,
    RollingBack,
    RolledBack,
    RollbackFailed,
    Excluded,
    /// Out of service for good: its instance is gone, or its set is the idle one.
    Retired,
}

impl Host {
    #[must_use]
    pub fn new(planned: &PlanHost) -> Host {
        Host {
            app: match (planned.provisioned, planned.current) {
                (true, _) => App::Absent,
                (false, true) => App::New,
                (false, false) => App::Before,
            },
            lane: planned.lane,
            cohort: false,
            work: None,
            attempt: 0,
            touched: false,
            left: false,
            unsettled: false,
            fault: None,
            excluded: None,
        }
    }

    #[must_use]
    pub fn status(&self, planned: &PlanHost) -> HostStatus {
        if let Some(work) = &self.work {
            return match (work.purpose, work.stage) {
                (_, Stage::Dismissing) => HostStatus::Retired,
                (Purpose::Rollback, _) => HostStatus::RollingBack,
                (_, Stage::Launching) => HostStatus::Launching,
                (_, Stage::Leaving) => HostStatus::Leaving,
                (_, Stage::Draining) => HostStatus::Draining,
                (_, Stage::Updating) => HostStatus::Updating,
                (_, Stage::Entering) => HostStatus::Entering,
                (_, Stage::Settling) => HostStatus::Settling,
            };
        }
        match &self.fault {
            Some(Fault::Stuck { .. }) => return HostStatus::RollbackFailed,
            _ if self.excluded.is_some() => return HostStatus::Excluded,
            Some(Fault::Failed { .. }) => return HostStatus::Failed,
            Some(Fault::Lost { .. }) => return HostStatus::Lost,
            None => {}
        }
        match self.app {
            App::New if matches!(self.lane, Lane::Direct | Lane::In { .. }) => HostStatus::Updated,
            App::New => HostStatus::Ready,
            App::Restored => HostStatus::RolledBack,
            App::Broken | App::Unknown => HostStatus::Failed,
            App::Absent if self.attempt > 0 => HostStatus::Retired,
            App::Before if self.lane == Lane::Out && planned.lane != Lane::Out => {
                HostStatus::Retired
            }
            App::Absent | App::Before => HostStatus::Pending,
        }
    }

    /// Whether its traffic is what it was: being forgotten by the balancer is as good as being out.
    pub(super) fn is_where_it_was(&self, planned: &PlanHost) -> bool {
        let none = |lane: Lane| matches!(lane, Lane::Out | Lane::Gone);
        self.lane == planned.lane || (none(self.lane) && none(planned.lane))
    }

    /// Whether the balancer sends it something.
    pub(super) fn is_in(&self) -> bool {
        matches!(self.lane, Lane::In { .. })
    }

    /// Whether its update is under way or behind it: it left traffic, or its application was touched.
    pub(super) fn is_begun(&self, planned: &PlanHost) -> bool {
        let was_in = matches!(planned.lane, Lane::In { .. });
        let moved = was_in != self.is_in() || (self.lane != planned.lane && !was_in);
        self.left || self.touched || moved
    }

    /// Whether its application answers requests rightly, as far as is known.
    pub(super) fn is_sound(&self, planned: &PlanHost) -> bool {
        match self.app {
            App::New | App::Restored => true,
            App::Before => planned.serving,
            App::Absent | App::Broken | App::Unknown => false,
        }
    }

    /// Whether it takes part in serving the application, agent and router permitting.
    pub(super) fn is_in_service(&self, planned: &PlanHost) -> bool {
        let stays = self.work.is_none_or(|work| work.stage == Stage::Settling);
        let reached = matches!(self.lane, Lane::Direct | Lane::In { .. });
        stays && !self.left && reached && self.is_sound(planned)
    }
}

impl Lane {
    #[must_use]
    pub fn order(self) -> Traffic {
        match self {
            Lane::In { weight } => Traffic::In { weight },
            Lane::Gone => Traffic::Gone,
            Lane::Direct | Lane::Out | Lane::Unknown => Traffic::Out,
        }
    }
}

impl From<Traffic> for Lane {
    fn from(traffic: Traffic) -> Lane {
        match traffic {
            Traffic::In { weight } => Lane::In { weight },
            Traffic::Out => Lane::Out,
            Traffic::Gone => Lane::Gone,
        }
    }
}

impl HostStatus {
    /// The word used everywhere: JSON, pages, CLI.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            HostStatus::Pending => "pending",
            HostStatus::Launching => "launching",
            HostStatus::Leaving => "leaving",
            HostStatus::Draining => "draining",
            HostStatus::Updating => "updating",
            HostStatus::Entering => "entering",
            HostStatus::Settling => "settling",
            HostStatus::Ready => "ready",
            HostStatus::Updated => "updated",
            HostStatus::Failed => "failed",
            HostStatus::Lost => "lost",
            HostStatus::RollingBack => "rolling-back",
            HostStatus::RolledBack => "rolled-back",
            HostStatus::RollbackFailed => "rollback-failed",
            HostStatus::Excluded => "excluded",
            HostStatus::Retired => "retired",
        }
    }
}
