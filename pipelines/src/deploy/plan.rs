//! The plan: frozen when a deployment starts, and the whole truth about what it may touch.

use super::host::Lane;
use crate::ids::{AgentId, DeploymentId};
use crate::protocol::route::Traffic;
use crate::protocol::task::{Purpose, Revision};
use crate::spec::appspec::FileExists;
use crate::spec::group::{Health, HooksPolicy, Instances, Router};
use crate::time::Millis;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub deployment: DeploymentId,
    pub group: String,
    pub application: String,
    pub revision: Revision,
    pub purpose: Purpose,
    /// In the order they are worked on; every host of `steps` is here exactly once.
    pub hosts: Vec<PlanHost>,
    pub steps: Vec<Step>,
    pub limits: Limits,
    pub rollback: RollbackOn,
    /// Lifecycle events that cannot be undone: once a host was changed, only a person goes back.
    pub irreversible: Vec<String>,
    pub host: HostSettings,
    pub router: Option<PlanRouter>,
    /// What its new hosts are made of, as the group said it when the plan was made.
    #[serde(default)]
    pub instances: Option<Instances>,
    /// Monitors that are watched from the start to the end.
    pub monitors: Vec<String>,
    /// The strategy in words, for people.
    pub strategy: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanHost {
    pub id: AgentId,
    pub name: String,
    pub zone: Option<String>,
    /// The last revision a successful deployment left here: the rollback target.
    pub prior: Option<Revision>,
    /// It served `prior` (or anything validated) when the plan was made.
    pub serving: bool,
    /// Its traffic when the plan was made; `Direct` where the group has no router.
    pub lane: Lane,
    /// The weight it serves with when no shares are in force, which it gets again in the end: 1 to 256.
    /// None where it never had one.
    #[serde(default)]
    pub weight: Option<u16>,
    /// An instance of this deployment's own: made by it, and taken away by it when it fails.
    pub provisioned: bool,
    /// It comes from a provider, so it can be taken away.
    pub instance: bool,
    /// It runs the plan's revision already, validated and out of traffic: there is nothing to install.
    pub current: bool,
}

/// One step. A new strategy needs no new kind of step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Make these instances, and wait for their agents.
    Provision { hosts: Vec<AgentId> },
    /// Bring these hosts to the revision, all hooks and checks included; at most `width` of them at
    /// once. The next step starts when every one of them serves it, or waits for traffic.
    Install { hosts: Vec<AgentId>, width: u32, enter: Enter },
    /// Give the new revision its share of the traffic.
    Shift {
        share: Share,
        /// Whether requests of the group's cohorts go to the new hosts alone, from now until the next
        /// shift.
        #[serde(default)]
        cohort: bool,
    },
    /// Go on after `time`, if nothing speaks against it.
    Hold { time: Millis, judge: Option<Judge> },
    /// Go on when somebody agrees; give up when nobody did in time.
    Approve { timeout: Millis, promote_after: Option<Millis> },
    /// Take these out of service for good, after keeping them for `keep`.
    Retire { hosts: Vec<AgentId>, keep: Millis },
}

/// What becomes of a validated host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enter {
    /// It gets its traffic at once.
    Serve,
    /// It waits for a shift.
    Wait,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// Of the traffic, to the hosts on the new revision; 100 takes the others out.
    Percent(u32),
    /// Every host its own weight, whatever it runs.
    Equal,
}

/// What decides whether a hold ends well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judge {
    /// Empty: all of the group.
    pub monitors: Vec<String>,
    /// Below so many requests nothing is judged.
    pub min_samples: u32,
    /// Without a verdict by then (from the start of the hold), `inconclusive` decides.
    pub until: Millis,
    pub inconclusive: Inconclusive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inconclusive {
    Rollback,
    Pause,
    Promote,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Hosts that must stay in service at every instant.
    pub min_healthy: u32,
    /// The same while rolling back: what the group asks for, or one host. A floor nobody asked for must
    /// not keep a good host from returning to its good revision.
    pub rollback_min_healthy: u32,
    /// Hosts worked on at once while rolling back.
    pub rollback_width: u32,
    /// Hosts that may fail before the deployment does. None in the first step: a broken build
    /// touches one batch.
    pub max_failures: u32,
    /// The same within one step.
    pub failures_per_batch: Option<u32>,
    /// One after the other, in the order in which they end.
    pub failures_in_a_row: Option<u32>,
    /// Per zone of more than one host: how many stay in service.
    pub zones: Vec<ZoneLimit>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneLimit {
    pub zone: String,
    pub min_healthy: u32,
}

/// What makes a deployment undo itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackOn {
    pub failure: bool,
    pub alarm: bool,
    pub stop: bool,
}

impl RollbackOn {
    pub const NEVER: RollbackOn = RollbackOn { failure: false, alarm: false, stop: false };
}

/// The balancer in front of the hosts, and the agent beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanRouter {
    pub agent: AgentId,
    pub name: String,
    pub settings: Router,
    pub drain: Millis,
    /// How long the balancer's own check may take.
    pub ready: Millis,
    /// The weight of a host that has none of its own yet: what most have now, so that one which is new
    /// among untouched ones gets no more than they do.
    pub equal: u16,
}

impl PlanRouter {
    /// Where nobody has a weight yet.
    pub const EQUAL: u16 = 100;
}

/// Settings every host task of the deployment shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostSettings {
    pub timeout: Millis,
    pub ignore_stop_failures: bool,
    pub file_exists_behavior: Option<FileExists>,
    pub keep_releases: u32,
    pub keep_bytes: Option<u64>,
    pub health: Option<Health>,
    pub hooks: HooksPolicy,
    pub shared: Vec<String>,
    /// Those of them that are made where they are absent.
    #[serde(default)]
    pub shared_directories: Vec<String>,
    /// For an instance, from its launch until its agent speaks.
    pub join_timeout: Millis,
    /// A host whose agent is silent at the start is left out instead of failing the deployment.
    pub skip_offline: bool,
}

impl PlanHost {
    /// Whether somebody would have missed it when the plan was made.
    #[must_use]
    pub fn had_traffic(&self) -> bool {
        self.serving && !matches!(self.lane, Lane::Out | Lane::Gone)
    }
}

impl Plan {
    #[must_use]
    pub fn host(&self, id: AgentId) -> Option<&PlanHost> {
        self.hosts.iter().find(|host| host.id == id)
    }

    /// The host's name, or its id when it is not in the plan.
    #[must_use]
    pub fn host_name(&self, id: AgentId) -> String {
        self.host(id).map_or_else(|| id.to_string(), |host| host.name.clone())
    }

    /// The revision a host is brought to.
    #[must_use]
    pub fn target(&self, id: AgentId, purpose: Purpose) -> Option<&Revision> {
        match purpose {
            Purpose::Forward => Some(&self.revision),
            Purpose::Rollback => self.host(id).and_then(|host| host.prior.as_ref()),
        }
    }

    /// The weight of a host that serves like any other: its own, or what most have. 1 to 256.
    #[must_use]
    pub fn weight_of(&self, id: AgentId) -> u16 {
        let usual = || self.router.as_ref().map_or(PlanRouter::EQUAL, |router| router.equal);
        self.host(id).and_then(|host| host.weight).unwrap_or_else(usual)
    }

    /// The traffic of a host that serves like any other.
    #[must_use]
    pub fn own_traffic(&self, id: AgentId) -> Traffic {
        Traffic::In { weight: self.weight_of(id) }
    }

    /// Whether the balancer tells some requests from the others, and where to.
    #[must_use]
    pub fn has_cohorts(&self) -> bool {
        self.router.as_ref().is_some_and(|router| !router.settings.cohorts.is_empty())
    }

    /// Whether traffic moves by shares between old and new hosts, so that turning back starts with
    /// the traffic and not with the hosts.
    #[must_use]
    pub fn is_weighted(&self) -> bool {
        self.router.is_some() && self.steps.iter().any(|step| matches!(step, Step::Shift { .. }))
    }
}

impl Step {
    /// The hosts whose application or existence it changes.
    #[must_use]
    pub fn hosts(&self) -> &[AgentId] {
        match self {
            Step::Provision { hosts }
            | Step::Install { hosts, .. }
            | Step::Retire { hosts, .. } => hosts,
            Step::Shift { .. } | Step::Hold { .. } | Step::Approve { .. } => &[],
        }
    }

    /// `update host-1, host-2`, for the step rail.
    #[must_use]
    pub fn sentence(&self, plan: &Plan) -> String {
        let some = |hosts: &[AgentId]| match hosts.len() {
            0 => "no host".to_owned(),
            1..=6 => {
                let names: Vec<String> = hosts.iter().map(|id| plan.host_name(*id)).collect();
                names.join(", ")
            }
            many => format!("{many} hosts"),
        };
        match self {
            Step::Provision { hosts } => format!("launch {}", some(hosts)),
            Step::Install { hosts, enter: Enter::Serve, .. } => format!("update {}", some(hosts)),
            Step::Install { hosts, enter: Enter::Wait, .. } => {
                format!("update {}, without traffic yet", some(hosts))
            }
            Step::Shift { share, cohort } => shift_sentence(*share, *cohort),
            Step::Hold { time, judge: None } if *time == Millis::ZERO => {
                "look at the monitors".into()
            }
            Step::Hold { time, judge: None } => format!("wait {time}"),
            Step::Hold { time, judge: Some(_) } => format!("wait {time}, then judge"),
            Step::Approve { .. } => "wait for an approval".to_owned(),
            Step::Retire { hosts, keep } if *keep == Millis::ZERO => {
                format!("retire {}", some(hosts))
            }
            Step::Retire { hosts, keep } => format!("keep {} for {keep}, then retire", some(hosts)),
        }
    }
}

fn shift_sentence(share: Share, cohort: bool) -> String {
    match (share, cohort) {
        (Share::Percent(percent), false) => {
            format!("send {percent} % of the traffic to the new revision")
        }
        (Share::Percent(percent), true) => {
            format!("send {percent} % of the traffic, and the cohorts, to the new revision")
        }
        (Share::Equal, false) => "share the traffic equally".to_owned(),
        (Share::Equal, true) => {
            "share the traffic equally, but for the cohorts, which get the new revision".to_owned()
        }
    }
}
