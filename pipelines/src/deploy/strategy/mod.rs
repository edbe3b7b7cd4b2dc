//! Strategies: functions from settings and fleet to a plan's steps.
//!
//! To add one: a file here with a function from [`Scene`] to [`Outline`] and its tests, an arm in
//! [`outline`], its reference file. A strategy only orders work; what a step means is the engine's
//! business.

mod all_at_once;
mod canary;
mod limits;
mod new_set;
mod rolling;
mod scene;
mod two_sets;

use super::host::Lane;
use super::plan::{HostSettings, Limits, Plan, PlanHost, PlanRouter, RollbackOn, Step};
use crate::ids::{AgentId, DeploymentId};
use crate::protocol::task::{Purpose, Revision};
use crate::spec::group::RollbackOn as On;
use crate::spec::group::{Group, SharedKind, Strategy};
use crate::time::Millis;
use scene::{Outline, Scene};
use std::collections::BTreeMap;
pub use two_sets::TEST_MONITOR;

/// A host as it stands when the plan is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    pub id: AgentId,
    pub name: String,
    pub tags: BTreeMap<String, String>,
    pub alive: bool,
    /// What it serves now, when that was validated.
    pub serving: Option<Revision>,
    /// The last revision a successful deployment left there.
    pub good: Option<Revision>,
    /// What the router was last proved to send it; `Unknown` where nobody ever looked.
    pub lane: Lane,
    /// The weight it was last known to serve with outside of shares.
    pub weight: Option<u16>,
    /// The balancer finds it good and nothing is known against it: it serves, whoever installed it.
    pub answers: bool,
    /// It came from the group's provider.
    pub instance: bool,
}

impl Member {
    /// What was noted, or else what the balancer sends it.
    #[must_use]
    pub fn own_weight(&self) -> Option<u16> {
        self.weight.or(match self.lane {
            Lane::In { weight } => Some(weight),
            Lane::Direct | Lane::Out | Lane::Gone | Lane::Unknown => None,
        })
    }
}

/// Everything a plan is made of besides the group's settings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fleet {
    pub members: Vec<Member>,
    /// Hosts to be made: see [`new_hosts`].
    pub new: Vec<(AgentId, String)>,
    pub router: Option<PlanRouter>,
}

/// The order to be planned.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub deployment: DeploymentId,
    pub revision: Revision,
    pub purpose: Purpose,
}

/// The plan cannot be made; the text says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlanError(pub String);

/// How many new hosts the strategy wants from the group's provider for this fleet. A whole set is as large
/// as what it takes the place of: hosts that were retired and not taken away do not count, or the group
/// would grow with each deployment.
#[must_use]
pub fn new_hosts(group: &Group, members: &[Member]) -> u32 {
    let Some(instances) = &group.instances else { return 0 };
    let count = |hosts: usize| u32::try_from(hosts).unwrap_or(u32::MAX);
    let total = count(members.len());
    let idle = |member: &&Member| matches!(member.lane, Lane::Out | Lane::Gone);
    let serve = total - count(members.iter().filter(idle).count());
    let replaced = if serve == 0 { total } else { serve };
    let whole = instances.count.unwrap_or(replaced.max(1));
    match &group.strategy {
        Strategy::RollingExtra { extra, .. } if total > 0 => extra.round_up(total).max(1),
        // The first deployment makes the hosts there are to be.
        Strategy::RollingExtra { .. } | Strategy::Immutable { .. } => whole,
        Strategy::BlueGreen { blue: None, .. } => whole,
        Strategy::BlueGreen { .. }
        | Strategy::AllAtOnce
        | Strategy::Rolling { .. }
        | Strategy::Canary { .. }
        | Strategy::Linear { .. } => 0,
    }
}

/// Compiles a group's settings and its fleet to a plan.
///
/// # Errors
/// When the settings forbid every deployment of this fleet, with what to change.
pub fn compile(group: &Group, fleet: &Fleet, order: Order) -> Result<Plan, PlanError> {
    let scene = Scene::new(group, fleet, &order);
    let mut outline = outline(&scene)?;
    let watched = group.monitors.iter().filter(|monitor| !monitor.dry_run);
    let monitors: Vec<String> = watched.map(|monitor| monitor.name.clone()).collect();
    let ends_held = matches!(outline.steps.last(), Some(Step::Hold { .. } | Step::Retire { .. }));
    if !scene.again && !monitors.is_empty() && !ends_held && !outline.steps.is_empty() {
        outline.steps.push(Step::Hold { time: Millis::ZERO, judge: None });
    }
    let limits = limits::limits(&scene, &outline)?;
    let hosts = scene.members.iter().map(|member| scene.plan_host(member));
    let hosts = hosts.chain(fleet.new.iter().map(|(id, name)| scene.new_host(*id, name)));
    Ok(Plan {
        deployment: order.deployment,
        group: group.name.clone(),
        application: group.application.clone(),
        revision: order.revision.clone(),
        purpose: order.purpose,
        hosts: hosts.collect(),
        steps: outline.steps,
        limits,
        rollback: if scene.again { RollbackOn::NEVER } else { rollback_on(group) },
        irreversible: group.hooks.irreversible.clone(),
        host: host_settings(group),
        router: fleet.router.clone(),
        instances: group.instances.clone(),
        monitors: if scene.again { Vec::new() } else { monitors },
        strategy: outline.words,
    })
}

fn outline(scene: &Scene<'_>) -> Result<Outline, PlanError> {
    if scene.ids.is_empty() && scene.new.is_empty() {
        return Ok(Outline::empty());
    }
    let makes_hosts = match &scene.group.strategy {
        Strategy::RollingExtra { .. } | Strategy::Immutable { .. } => true,
        Strategy::BlueGreen { blue, .. } => blue.is_none(),
        _ => false,
    };
    if scene.again && makes_hosts && scene.new.is_empty() {
        return Ok(new_set::again(scene));
    }
    match &scene.group.strategy {
        Strategy::AllAtOnce => Ok(all_at_once::outline(scene)),
        Strategy::Rolling { batch, first_batch, barrier, hold, bake } => {
            let pace = rolling::Pace { batch, first: *first_batch, barrier: *barrier, hold: *hold };
            Ok(rolling::outline(scene, &pace, *bake))
        }
        Strategy::RollingExtra { batch, hold, bake, .. } => {
            new_set::rolling_extra(scene, *batch, *hold, *bake)
        }
        Strategy::Immutable { first, bake, keep_old } => {
            new_set::immutable(scene, *first, *bake, *keep_old)
        }
        Strategy::BlueGreen { blue, green, test, approve, promote_after, bake, keep_old } => {
            let gate = two_sets::Gate {
                test: test.is_some(),
                approve: *approve,
                promote_after: *promote_after,
            };
            match (blue, green) {
                (Some(blue), Some(green)) => {
                    two_sets::fixed(scene, (blue, green), &gate, (*bake, *keep_old))
                }
                _ => new_set::blue_green(scene, &gate, *bake, *keep_old),
            }
        }
        Strategy::Canary { steps, bake } => canary::outline(scene, steps, *bake),
        Strategy::Linear { step, every, bake } => {
            canary::outline(scene, &canary::linear(*step, *every), *bake)
        }
    }
}

/// The empty plan of a deployment that cannot be planned; its state says why.
#[must_use]
pub fn refused(group: &Group, order: Order) -> Plan {
    Plan {
        deployment: order.deployment,
        group: group.name.clone(),
        application: group.application.clone(),
        revision: order.revision,
        purpose: order.purpose,
        hosts: Vec::new(),
        steps: Vec::new(),
        limits: Limits::none(),
        rollback: RollbackOn::NEVER,
        irreversible: Vec::new(),
        host: host_settings(group),
        router: None,
        instances: None,
        monitors: Vec::new(),
        strategy: "no plan".to_owned(),
    }
}

fn host_settings(group: &Group) -> HostSettings {
    HostSettings {
        timeout: group.timeout,
        ignore_stop_failures: group.ignore_stop_failures,
        file_exists_behavior: group.file_exists_behavior,
        keep_releases: group.keep_releases.count,
        keep_bytes: group.keep_releases.bytes.map(|bytes| bytes.0),
        health: group.health.clone(),
        hooks: group.hooks.clone(),
        shared: group.shared.iter().map(|shared| shared.path.clone()).collect(),
        shared_directories: {
            let made = group.shared.iter().filter(|shared| shared.kind == SharedKind::Directory);
            made.map(|shared| shared.path.clone()).collect()
        },
        join_timeout: group.instances.as_ref().map_or(Millis::ZERO, |made| made.join_timeout),
        skip_offline: group.offline == crate::spec::group::OfflineHosts::Skip,
    }
}

fn rollback_on(group: &Group) -> RollbackOn {
    let has = |wanted: On| group.rollback.on.contains(&wanted);
    RollbackOn { failure: has(On::Failure), alarm: has(On::Alarm), stop: has(On::Stop) }
}

#[cfg(test)]
mod tests;
