//! What every strategy looks at, and what it answers.

use super::{Fleet, Member, Order, PlanHost};
use crate::deploy::host::Lane;
use crate::deploy::plan::{Enter, Step};
use crate::ids::AgentId;
use crate::protocol::task::Purpose;
use crate::spec::group::{Amount, Group};
use crate::time::Millis;
use std::collections::BTreeMap;

pub(super) struct Scene<'a> {
    pub group: &'a Group,
    /// In the order they are worked on.
    pub members: Vec<&'a Member>,
    pub ids: Vec<AgentId>,
    pub new: Vec<AgentId>,
    pub total: u32,
    pub has_router: bool,
    /// The router tells some requests from the others.
    pub has_cohorts: bool,
    /// Back to a revision that proved itself: no probe host, no holds, no judge.
    pub again: bool,
    order: &'a Order,
}

/// What a strategy wants done, and how much of the fleet it wants out at once.
pub(super) struct Outline {
    pub steps: Vec<Step>,
    /// Hosts of the fleet worked on at once.
    pub width: u32,
    /// Hosts it adds before any of the fleet leaves service.
    pub extra: u32,
    /// It may take whole zones out.
    pub whole_zones: bool,
    pub words: String,
}

impl Outline {
    pub fn empty() -> Outline {
        Outline {
            steps: Vec::new(),
            width: 1,
            extra: 0,
            whole_zones: true,
            words: "no host".into(),
        }
    }
}

impl<'a> Scene<'a> {
    pub fn new(group: &'a Group, fleet: &'a Fleet, order: &'a Order) -> Scene<'a> {
        let zone = group.zones.as_ref().map(|zones| zones.tag.as_str());
        let members = in_order(&fleet.members, zone);
        Scene {
            group,
            ids: members.iter().map(|member| member.id).collect(),
            total: u32::try_from(members.len()).unwrap_or(u32::MAX),
            new: fleet.new.iter().map(|(id, _)| *id).collect(),
            members,
            has_router: fleet.router.is_some(),
            has_cohorts: fleet.router.as_ref().is_some_and(|of| !of.settings.cohorts.is_empty()),
            again: order.purpose == Purpose::Rollback,
            order,
        }
    }

    /// A batch is rounded up and never empty.
    pub fn batch(&self, amount: Amount) -> u32 {
        amount.round_up(self.total).clamp(1, self.total.max(1))
    }

    pub fn zone_of(&self, member: &Member) -> Option<String> {
        let tag = self.group.zones.as_ref().map_or("zone", |zones| zones.tag.as_str());
        member.tags.get(tag).cloned()
    }

    pub fn plan_host(&self, member: &Member) -> PlanHost {
        PlanHost {
            id: member.id,
            name: member.name.clone(),
            zone: self.zone_of(member),
            prior: member.good.clone(),
            serving: (member.serving.is_some() || member.answers) && member.alive,
            lane: if self.has_router { member.lane } else { Lane::Direct },
            weight: member.own_weight(),
            provisioned: false,
            instance: member.instance,
            current: self.serves_it(member),
        }
    }

    pub fn new_host(&self, id: AgentId, name: &str) -> PlanHost {
        PlanHost {
            id,
            name: name.to_owned(),
            zone: None,
            prior: None,
            serving: false,
            // The balancer does not know it yet.
            lane: if self.has_router { Lane::Gone } else { Lane::Direct },
            weight: None,
            provisioned: true,
            instance: true,
            current: false,
        }
    }

    /// It runs the very revision that is ordered, out of traffic: ready to be switched to.
    pub fn serves_it(&self, member: &Member) -> bool {
        let same = member
            .serving
            .as_ref()
            .is_some_and(|serving| serving.bundle.digest == self.order.revision.bundle.digest);
        self.again && same && member.alive && member.lane == Lane::Out && self.has_router
    }
}

/// Everything of a step at once unless `width` says otherwise.
pub(super) fn install(hosts: &[AgentId], width: u32, enter: Enter) -> Step {
    Step::Install { hosts: hosts.to_vec(), width: width.max(1), enter }
}

pub(super) fn hold(time: Millis) -> Step {
    Step::Hold { time, judge: None }
}

/// Hosts that serve nothing first (they can only improve), then round-robin over zones, by name. Silent
/// ones last: no probe of the new revision waits for them.
fn in_order<'m>(members: &'m [Member], tag: Option<&str>) -> Vec<&'m Member> {
    let tag = tag.unwrap_or("zone");
    let mut rank_in_zone = BTreeMap::<Option<&str>, usize>::new();
    let mut by_name: Vec<&Member> = members.iter().collect();
    by_name.sort_by_cached_key(|member| natural(&member.name));
    let mut keyed: Vec<((bool, bool, usize), &Member)> = by_name
        .into_iter()
        .map(|member| {
            let zone = member.tags.get(tag).map(String::as_str);
            let rank = rank_in_zone.entry(zone).or_default();
            *rank += 1;
            let serves = member.serving.is_some() || member.answers;
            ((!member.alive, serves, *rank), member)
        })
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, member)| member).collect()
}

/// `host-2` before `host-10`.
fn natural(name: &str) -> (String, u64, String) {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (stem, number) = name.split_at(name.len() - digits);
    (stem.to_owned(), number.parse().unwrap_or(0), name.to_owned())
}
