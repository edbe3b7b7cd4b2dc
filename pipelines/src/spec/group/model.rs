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
pub struct Group {
    /// Of the format; always 1.
    pub version: u32,
    #[serde(rename = "group")]
    pub name: String,
    pub application: String,
    pub hosts: Hosts,
    /// Where new hosts come from, for strategies that want them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<Instances>,
    pub strategy: Strategy,
    /// The floor of healthy hosts in service, resolved when a deployment starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_healthy: Option<Amount>,
    /// How many hosts may fail before the deployment does.
    #[serde(default)]
    pub max_failures: MaxFailures,
    #[serde(default)]
    pub rollback: Rollback,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<Router>,
    #[serde(default)]
    pub monitors: Vec<Monitor>,
    /// How canary and linear compare the new revision with the old; not at all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Analysis>,
    #[serde(default)]
    pub drain: Drain,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zones: Option<Zones>,
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
    pub ignore_stop_failures: bool,
    #[serde(default)]
    pub hooks: HooksPolicy,
    /// For one host, from its first hook to its last.
    #[serde(with = "print::time")]
    pub timeout: Millis,
    #[serde(default)]
    pub offline: OfflineHosts,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    pub on: Vec<RollbackOn>,
}

impl Default for Rollback {
    fn default() -> Self {
        Self { on: vec![RollbackOn::Failure, RollbackOn::Alarm, RollbackOn::Stop] }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RollbackOn {
    Failure,
    Alarm,
    Stop,
}

/// What a host has to answer before it counts as healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Health {
    /// Asked by the agent on its own host.
    pub http: String,
    pub status: u16,
    /// For all attempts together.
    #[serde(with = "print::time")]
    pub timeout: Millis,
    #[serde(with = "print::time")]
    pub interval: Millis,
    /// How long it has to stay healthy without a break.
    #[serde(with = "print::time")]
    pub healthy_for: Millis,
}

/// How a host leaves traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Drain {
    /// Requests still open after it are cut, and counted.
    #[serde(with = "print::time")]
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
pub struct Zones {
    /// The tag that names a host's zone.
    pub tag: String,
    /// One zone after the other instead of a bit of each.
    #[serde(default)]
    pub one_at_a_time: bool,
    /// Wait after each zone.
    #[serde(with = "print::time")]
    pub hold: Millis,
    /// Wait after the first zone.
    #[serde(with = "print::time")]
    pub first_hold: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_healthy: Option<Amount>,
    /// Whether all hosts of a zone may be out at once.
    #[serde(default)]
    pub whole_zone: bool,
}

/// What the group says about hooks of every appspec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HooksPolicy {
    /// For all scripts of one event together.
    #[serde(with = "print::time")]
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
pub enum OfflineHosts {
    /// It counts as failed.
    #[default]
    Fail,
    /// It is left out, and catches up when it is back.
    Skip,
}

/// What happens to a deployment that arrives while another runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewerDeployment {
    #[default]
    Queue,
    Supersede,
    Reject,
}
