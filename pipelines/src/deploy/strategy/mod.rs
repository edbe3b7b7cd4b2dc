//! Strategies: functions from settings and fleet to a plan's steps.
//!
//! To add one: a file here with `steps()` and its tests, an arm in [`compile`], its reference file.
//! A strategy only orders work; what a step means is the engine's business.

mod all_at_once;
mod rolling;

use super::plan::{HostSettings, Limits, Plan, PlanHost, RollbackOn, Step};
use crate::ids::{AgentId, DeploymentId};
use crate::protocol::task::{Purpose, Revision};
use crate::spec::group::RollbackOn as On;
use crate::spec::group::{Amount, Group, Strategy};
use crate::time::Millis;

/// A host as it stands when the plan is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    pub id: AgentId,
    pub name: String,
    pub zone: Option<String>,
    pub alive: bool,
    /// What it serves now, when that was validated.
    pub serving: Option<Revision>,
    /// The last revision a successful deployment left there.
    pub good: Option<Revision>,
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

/// Compiles a group's settings and its fleet to a plan.
///
/// # Errors
/// When the settings forbid every deployment of this fleet, or name a strategy that needs instances
/// or a router this controller has no driver for.
pub fn compile(group: &Group, fleet: &[Member], order: Order) -> Result<Plan, PlanError> {
    let members = in_order(fleet);
    let total = u32::try_from(members.len()).unwrap_or(u32::MAX);
    let ids: Vec<AgentId> = members.iter().map(|member| member.id).collect();
    // A revision that proved itself once needs no probe host again.
    let again = order.purpose == Purpose::Rollback;
    let (steps, width, words) = match &group.strategy {
        Strategy::AllAtOnce => (all_at_once::steps(&ids), total, "all at once".to_owned()),
        Strategy::Rolling { hold: Some(_), .. } => return Err(not_yet("rolling with a hold")),
        Strategy::Rolling { batch, .. } if batch.sizes().len() > 1 => {
            return Err(not_yet("rolling with a list of batches"));
        }
        Strategy::Rolling { bake, .. } if *bake > Millis::ZERO => {
            return Err(not_yet("rolling with a bake time"));
        }
        Strategy::Rolling { batch, first_batch, barrier: _, hold: None, bake: _ } => {
            let width = batch_size(batch.last(), total);
            let first = first_batch.map_or(1, |amount| batch_size(amount, total));
            let settings = if again {
                rolling::Sizes { first: width.saturating_mul(2), then: width.saturating_mul(2) }
            } else {
                rolling::Sizes { first, then: width }
            };
            (rolling::steps(&ids, settings), width, settings.words())
        }
        Strategy::RollingExtra { .. } => return Err(not_yet("rolling-extra")),
        Strategy::Immutable { .. } => return Err(not_yet("immutable")),
        Strategy::BlueGreen { .. } => return Err(not_yet("blue-green")),
        Strategy::Canary { .. } => return Err(not_yet("canary")),
        Strategy::Linear { .. } => return Err(not_yet("linear")),
    };
    let asked = floor(group, total)?;
    Ok(Plan {
        deployment: order.deployment,
        group: group.name.clone(),
        application: group.application.clone(),
        revision: order.revision,
        purpose: order.purpose,
        hosts: members.iter().map(|member| plan_host(member)).collect(),
        steps,
        limits: Limits {
            min_healthy: asked.unwrap_or(total.saturating_sub(width)),
            rollback_min_healthy: asked.unwrap_or(u32::from(total > 1)),
            rollback_width: width.saturating_mul(2).max(1),
        },
        rollback: if again { RollbackOn::NEVER } else { rollback_on(group) },
        host: host_settings(group),
        strategy: words,
    })
}

fn not_yet(what: &str) -> PlanError {
    PlanError(format!("strategy {what} is not available yet; use all-at-once or rolling"))
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
        limits: Limits { min_healthy: 0, rollback_min_healthy: 0, rollback_width: 1 },
        rollback: RollbackOn::NEVER,
        host: host_settings(group),
        strategy: "no plan".to_owned(),
    }
}

fn host_settings(group: &Group) -> HostSettings {
    HostSettings {
        timeout: group.timeout,
        ignore_stop_failures: group.ignore_stop_failures,
        file_exists_behavior: group.file_exists_behavior,
        keep_releases: group.keep_releases.count,
        health: group.health.clone(),
    }
}

/// Hosts that serve nothing first (they can only improve), then round-robin over zones, by name.
fn in_order(fleet: &[Member]) -> Vec<&Member> {
    let mut rank_in_zone = std::collections::BTreeMap::<Option<&str>, usize>::new();
    let mut by_name: Vec<&Member> = fleet.iter().collect();
    by_name.sort_by_key(|member| natural(&member.name));
    let mut keyed: Vec<(bool, usize, &Member)> = by_name
        .into_iter()
        .map(|member| {
            let rank = rank_in_zone.entry(member.zone.as_deref()).or_default();
            *rank += 1;
            (member.serving.is_some(), *rank, member)
        })
        .collect();
    keyed.sort_by_key(|(serving, rank, _)| (*serving, *rank));
    keyed.into_iter().map(|(_, _, member)| member).collect()
}

/// `host-2` before `host-10`.
fn natural(name: &str) -> (String, u64, String) {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (stem, number) = name.split_at(name.len() - digits);
    (stem.to_owned(), number.parse().unwrap_or(0), name.to_owned())
}

fn plan_host(member: &Member) -> PlanHost {
    PlanHost {
        id: member.id,
        name: member.name.clone(),
        prior: member.good.clone(),
        serving: member.serving.is_some() && member.alive,
    }
}

fn rollback_on(group: &Group) -> RollbackOn {
    let has = |wanted: On| group.rollback.on.contains(&wanted);
    RollbackOn { failure: has(On::Failure), alarm: has(On::Alarm), stop: has(On::Stop) }
}

/// A batch is rounded up and never empty.
fn batch_size(amount: Amount, total: u32) -> u32 {
    match amount {
        Amount::Count(count) => count.clamp(1, total.max(1)),
        Amount::Percent(percent) => percent_of(percent, total).clamp(1, total.max(1)),
    }
}

fn percent_of(percent: u32, total: u32) -> u32 {
    let exact = u64::from(percent) * u64::from(total);
    u32::try_from(exact.div_ceil(100)).unwrap_or(u32::MAX)
}

/// The number of hosts the group asks to stay in service, if that leaves room to work at all.
fn floor(group: &Group, total: u32) -> Result<Option<u32>, PlanError> {
    let Some(amount) = group.min_healthy else { return Ok(None) };
    let floor = match amount {
        Amount::Count(count) => count,
        Amount::Percent(percent) => percent_of(percent, total),
    };
    if total > 0 && floor >= total {
        return Err(PlanError(format!(
            "min-healthy asks for {floor} of {total} hosts in service, so no host could ever be taken \
             out; write at most {}, or add hosts",
            total - 1
        )));
    }
    Ok(Some(floor))
}

/// Step helper: a list of hosts that are worked on together.
fn install(hosts: &[AgentId]) -> Step {
    Step::Install { hosts: hosts.to_vec() }
}

#[cfg(test)]
mod tests;
