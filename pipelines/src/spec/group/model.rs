//! What a group file says, short forms expanded and defaults filled in.

use crate::spec::appspec::FileExists;
use crate::spec::group::{
    Amount, Analysis, Hosts, Instances, KeepReleases, MaxFailures, Monitor, Router, SharedPath,
    Strategy,
};
use crate::spec::{Window, print};
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A whole deployment group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Group {
    /// Of the format; always 1.
    #[schemars(with = "Option<crate::spec::schema::words::FormatVersion>")]
    pub version: u32,
    /// What it is called; deploy actions name it.
    #[serde(rename = "group")]
    #[schemars(with = "crate::spec::schema::words::Name")]
    pub name: String,
    /// What is deployed.
    #[schemars(with = "crate::spec::schema::words::Name")]
    pub application: String,
    /// Which hosts belong to it.
    pub hosts: Hosts,
    /// Where new hosts come from, for strategies that want them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<Instances>,
    /// How a revision reaches them; one host after the other where absent.
    #[schemars(with = "Option<Strategy>")]
    pub strategy: Strategy,
    /// The floor of healthy hosts in service, resolved when a deployment starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_healthy: Option<Amount>,
    /// How many hosts may fail before the deployment does.
    #[serde(default)]
    pub max_failures: MaxFailures,
    /// When it goes back to its last good revision by itself.
    #[serde(default)]
    pub rollback: Rollback,
    /// What a host has to answer before it counts as healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// What sends traffic to the hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<Router>,
    /// Numbers that are watched during a deployment.
    #[serde(default)]
    pub monitors: Vec<Monitor>,
    /// How canary and linear compare the new revision with the old; not at all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Analysis>,
    /// How a host leaves traffic.
    #[serde(default)]
    pub drain: Drain,
    /// How batches spread over zones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zones: Option<Zones>,
    /// Successful releases kept on a host.
    #[serde(default)]
    pub keep_releases: KeepReleases,
    /// Paths on the hosts that belong to no release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared: Vec<SharedPath>,
    /// For appspecs that do not say it themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_exists_behavior: Option<FileExists>,
    /// Whether a failing stop script of the old revision only warns. AWS fails, and so a broken
    /// script blocks every later deployment.
    #[schemars(with = "Option<bool>")]
    pub ignore_stop_failures: bool,
    /// About the hooks of every appspec.
    #[serde(default)]
    pub hooks: HooksPolicy,
    /// For one host, from its first hook to its last.
    #[serde(with = "print::time")]
    #[schemars(with = "Option<Millis>")]
    pub timeout: Millis,
    /// What a host that does not answer does to a deployment.
    #[serde(default)]
    pub offline: OfflineHosts,
    /// What happens to a deployment that arrives while another is unfinished.
    #[serde(default)]
    pub newer: NewerDeployment,
    /// Deployments start only within one of these; empty means always.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// Deployments do not start within these; rollbacks do.
    #[serde(default)]
    pub freeze: Vec<Window>,
}

/// When the group goes back to its last good revision by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(transform = crate::spec::schema::forms::or_never)]
pub struct Rollback {
    /// All three where absent.
    #[schemars(with = "Option<Vec<RollbackOn>>")]
    pub on: Vec<RollbackOn>,
}

impl Default for Rollback {
    fn default() -> Self {
        Self { on: vec![RollbackOn::Failure, RollbackOn::Alarm, RollbackOn::Stop] }
    }
}

/// What takes a deployment back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub enum RollbackOn {
    Failure,
    Alarm,
    Stop,
}

/// What a host has to answer before it counts as healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
#[schemars(transform = crate::spec::schema::forms::or_text)]
pub struct Health {
    /// Asked by the agent on its own host.
    pub http: String,
    /// 200 where absent.
    #[schemars(with = "Option<crate::spec::schema::words::Status>")]
    pub status: u16,
    /// For all attempts together.
    #[serde(with = "print::time")]
    #[schemars(with = "Option<Millis>")]
    pub timeout: Millis,
    /// Between two attempts.
    #[serde(with = "print::time")]
    #[schemars(with = "Option<Millis>")]
    pub interval: Millis,
    /// How long it has to stay healthy without a break.
    #[serde(with = "print::time")]
    #[schemars(with = "Option<Millis>")]
    pub healthy_for: Millis,
}

/// How a host leaves traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
#[schemars(transform = crate::spec::schema::forms::or_duration)]
pub struct Drain {
    /// Requests still open after it are cut, and counted.
    #[serde(with = "print::time")]
    #[schemars(with = "Option<Millis>")]
    pub timeout: Millis,
}

impl Default for Drain {
    fn default() -> Self {
        Self { timeout: Millis::from_secs(30) }
    }
}

/// How batches spread over zones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
#[schemars(transform = crate::spec::schema::forms::or_text)]
pub struct Zones {
    /// The tag that names a host's zone.
    pub tag: String,
    /// One zone after the other instead of a bit of each.
    #[serde(default)]
    pub one_at_a_time: bool,
    /// Wait after each zone.
    #[serde(with = "print::time")]
    #[schemars(with = "Option<Millis>")]
    pub hold: Millis,
    /// Wait after the first zone.
    #[serde(with = "print::time")]
    #[schemars(with = "Option<Millis>")]
    pub first_hold: Millis,
    /// The floor of healthy hosts of each zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_healthy: Option<Amount>,
    /// Whether all hosts of a zone may be out at once.
    #[serde(default)]
    pub whole_zone: bool,
}

/// What the group says about hooks of every appspec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct HooksPolicy {
    /// For all scripts of one event together.
    #[serde(with = "print::time")]
    #[schemars(with = "Option<Millis>")]
    pub timeout: Millis,
    /// Added to what CodeDeploy sets.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Lifecycle events whose scripts cannot be undone: once one of them ran, the group does not go
    /// back by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub irreversible: Vec<String>,
}

impl Default for HooksPolicy {
    fn default() -> Self {
        Self { timeout: Millis::from_minutes(60), env: BTreeMap::new(), irreversible: Vec::new() }
    }
}

/// What a host that does not answer does to a deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub enum OfflineHosts {
    /// It counts as failed.
    #[default]
    Fail,
    /// It is left out, and catches up when it is back.
    Skip,
}

/// What happens to a deployment that arrives while another is unfinished. None is stopped by it, and
/// rollbacks always take the place of those that wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub enum NewerDeployment {
    /// It waits its turn.
    #[default]
    Queue,
    /// It takes the place of those that wait.
    Supersede,
    /// It is refused.
    Reject,
}
