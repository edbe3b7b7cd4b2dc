//! Weights, step by step.

use crate::deploy::host::Lane;
use crate::deploy::plan::{Plan, Share, Step};
use crate::deploy::share::{Weights, weights};
use crate::ids::AgentId;
use std::collections::{BTreeMap, BTreeSet};

/// What hosts get after each shift, by the step's index, if everything goes as planned; 0 is out of
/// traffic. Empty where there is no router.
#[must_use]
pub fn traffic(plan: &Plan) -> BTreeMap<usize, Vec<(AgentId, u16)>> {
    if plan.router.is_none() {
        return BTreeMap::new();
    }
    let current = plan.hosts.iter().filter(|host| host.current).map(|host| host.id);
    let mut updated: BTreeSet<AgentId> = current.collect();
    let mut shifts = BTreeMap::new();
    for (index, step) in plan.steps.iter().enumerate() {
        match step {
            Step::Install { hosts, .. } => updated.extend(hosts),
            Step::Shift { share, .. } => {
                shifts.insert(index, after(plan, *share, &updated));
            }
            Step::Provision { .. }
            | Step::Hold { .. }
            | Step::Approve { .. }
            | Step::Retire { .. } => {}
        }
    }
    shifts
}

fn after(plan: &Plan, share: Share, updated: &BTreeSet<AgentId>) -> Vec<(AgentId, u16)> {
    let new: Vec<AgentId> =
        plan.hosts.iter().map(|host| host.id).filter(|id| updated.contains(id)).collect();
    let serves = |id: &AgentId| {
        plan.host(*id).is_some_and(|h| h.serving && matches!(h.lane, Lane::In { .. }))
    };
    let others = plan.hosts.iter().map(|host| host.id).filter(|id| !updated.contains(id));
    let old: Vec<AgentId> = others.filter(serves).collect();
    let own =
        |side: &[AgentId]| -> Vec<u16> { side.iter().map(|id| plan.weight_of(*id)).collect() };
    let of = match share {
        Share::Equal => Weights { new: own(&new), old: own(&old) },
        Share::Percent(percent) => weights(percent, &own(&new), &own(&old)),
    };
    new.into_iter().chain(old).zip(of.new.into_iter().chain(of.old)).collect()
}
