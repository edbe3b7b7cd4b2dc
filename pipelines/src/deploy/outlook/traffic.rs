//! Weights, step by step.

use crate::deploy::host::Lane;
use crate::deploy::plan::{Plan, Share, Step};
use crate::deploy::share::weights;
use crate::ids::AgentId;
use std::collections::{BTreeMap, BTreeSet};

/// What hosts get after each shift, by the step's index, if everything goes as planned; 0 is out of
/// traffic. Empty where there is no router.
#[must_use]
pub fn traffic(plan: &Plan) -> BTreeMap<usize, Vec<(AgentId, u16)>> {
    let Lane::In { weight: equal } = plan.equal_lane() else { return BTreeMap::new() };
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
                shifts.insert(index, after(plan, *share, &updated, equal));
            }
            Step::Provision { .. }
            | Step::Hold { .. }
            | Step::Approve { .. }
            | Step::Retire { .. } => {}
        }
    }
    shifts
}

fn after(
    plan: &Plan,
    share: Share,
    updated: &BTreeSet<AgentId>,
    equal: u16,
) -> Vec<(AgentId, u16)> {
    let new: Vec<AgentId> =
        plan.hosts.iter().map(|host| host.id).filter(|id| updated.contains(id)).collect();
    let serves = |id: &AgentId| {
        plan.host(*id).is_some_and(|h| h.serving && matches!(h.lane, Lane::In { .. }))
    };
    let others = plan.hosts.iter().map(|host| host.id).filter(|id| !updated.contains(id));
    let old: Vec<AgentId> = others.filter(serves).collect();
    let Share::Percent(percent) = share else {
        return new.into_iter().chain(old).map(|id| (id, equal)).collect();
    };
    let of = weights(percent, new.len(), old.len(), equal);
    let new = new.into_iter().enumerate();
    let new = new.map(|(index, id)| (id, if index < of.reached { of.new } else { 0 }));
    new.chain(old.into_iter().map(|id| (id, of.old))).collect()
}
