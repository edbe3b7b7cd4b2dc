//! Shares of traffic between hosts on the new revision and the others, as weights of a balancer.

use super::forward::sides;
use super::host::{App, Lane, Stage};
use super::plan::{Share, Step};
use super::state::{Cause, Phase};
use super::turn::Turn;
use crate::ids::AgentId;
use crate::protocol::route::Traffic;
use crate::protocol::task::{Part, Purpose};

/// What balancers take as a weight at most.
const WEIGHT_MAX: u64 = 256;

/// What each host of the two sides gets; 0 is out of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    pub new: u16,
    /// So many of the new hosts; more of them would get more than their share even with weight 1.
    pub reached: usize,
    pub old: u16,
}

/// Weights so that `percent` of the traffic goes to `new` hosts and the rest to `old` ones. What cannot
/// be met exactly errs on the side of the old hosts. `equal`: the weight where only one side is left.
#[must_use]
pub fn weights(percent: u32, new: usize, old: usize, equal: u16) -> Weights {
    if percent == 0 || new == 0 {
        return Weights { new: 0, reached: 0, old: equal };
    }
    if percent >= 100 || old == 0 {
        return Weights { new: equal, reached: new, old: 0 };
    }
    // As many of them as can be given their share; with a small share of many hosts, rounding down to
    // whole weights would eat too much of it.
    let options = || (1..=new).rev().map(|reached| split(percent, reached, old));
    let close = |of: &Weights| {
        let (new, all) = parts(of, old);
        !is_more(percent, of, old) && new * 1000 >= u64::from(percent) * 9 * all
    };
    options()
        .find(close)
        .or_else(|| options().find(|of| !is_more(percent, of, old)))
        .unwrap_or(Weights { new: 0, reached: 0, old: equal })
}

/// The weight of all new hosts, and of everybody.
fn parts(of: &Weights, old: usize) -> (u64, u64) {
    let new = u64::from(of.new) * of.reached as u64;
    (new, new + u64::from(of.old) * old as u64)
}

/// For exactly so many new hosts: new to old per host as `percent/new` to `(100 − percent)/old`, the new
/// side rounded down and the old one up.
fn split(percent: u32, new: usize, old: usize) -> Weights {
    let left = u64::from(percent) * old as u64;
    let right = u64::from(100 - percent) * new as u64;
    let largest = left.max(right);
    let weight = |value: u64| u16::try_from(value.clamp(1, WEIGHT_MAX)).unwrap_or(1);
    let of_new = weight(left * WEIGHT_MAX / largest);
    let of_old = weight((right * WEIGHT_MAX).div_ceil(largest));
    Weights { new: of_new, reached: new, old: of_old }
}

/// Whether the new hosts would get more than `percent`.
fn is_more(percent: u32, of: &Weights, old: usize) -> bool {
    let (new, all) = parts(of, old);
    new * 100 > u64::from(percent) * all
}

/// The lane every host of a share should have, where it has another.
fn differences(turn: &Turn<'_>, share: Share) -> Vec<(AgentId, Traffic)> {
    let (new, old) = sides(turn, share);
    let mut orders = split_orders(turn, share, &new, &old);
    // A host that failed on the new revision gets nothing until somebody mends it; nor may it have
    // something that nobody knows of.
    let failed = turn.plan.hosts.iter().map(|planned| planned.id).filter(|id| {
        let host = turn.host(*id);
        let left_out = host.fault.is_some() || host.excluded.is_some();
        let may_have = host.is_in() || (host.lane == Lane::Unknown && host.fault.is_some());
        left_out && host.app != App::Before && may_have
    });
    orders.extend(failed.map(|id| (id, Traffic::Out)));
    if share == Share::Percent(100) {
        // Whatever it serves: nobody vouches for it.
        let named: Vec<AgentId> = orders.iter().map(|(id, _)| *id).collect();
        let rest = turn
            .plan
            .hosts
            .iter()
            .map(|planned| planned.id)
            .filter(|id| turn.host(*id).is_in() && !new.contains(id) && !named.contains(id));
        orders.extend(rest.map(|id| (id, Traffic::Out)));
    }
    orders
}

/// What those who stay in traffic get while `going` leave, so that the share holds.
pub(super) fn beside(turn: &Turn<'_>, share: Share, going: &[AgentId]) -> Vec<(AgentId, Traffic)> {
    let (mut new, mut old) = sides(turn, share);
    let stays = |id: &AgentId| {
        let host = turn.host(*id);
        host.is_in() && host.work.is_none() && !going.contains(id)
    };
    new.retain(stays);
    old.retain(stays);
    if new.is_empty() || old.is_empty() {
        return Vec::new();
    }
    split_orders(turn, share, &new, &old)
}

/// Whether nobody else would be left to have the old revision's share of the traffic.
pub(super) fn is_last_old(turn: &Turn<'_>, id: AgentId) -> bool {
    if !matches!(in_force(turn), Some(Share::Percent(_))) || !turn.host(id).is_in() {
        return false;
    }
    let (_, old) = sides(turn, Share::Percent(0));
    let stays = |other: &AgentId| {
        let host = turn.host(*other);
        *other != id && host.is_in() && host.work.is_none() && !host.left
    };
    !old.iter().any(stays)
}

fn split_orders(
    turn: &Turn<'_>,
    share: Share,
    new: &[AgentId],
    old: &[AgentId],
) -> Vec<(AgentId, Traffic)> {
    let Lane::In { weight: equal } = turn.plan.equal_lane() else { return Vec::new() };
    let of = match share {
        Share::Equal => Weights { new: equal, reached: new.len(), old: equal },
        Share::Percent(percent) => weights(percent, new.len(), old.len(), equal),
    };
    let order = |weight: u16| if weight == 0 { Traffic::Out } else { Traffic::In { weight } };
    let of_new = new
        .iter()
        .enumerate()
        .map(|(index, id)| (*id, if index < of.reached { order(of.new) } else { Traffic::Out }));
    let of_old = old.iter().map(|id| (*id, order(of.old)));
    let differs = |(id, traffic): &(AgentId, Traffic)| {
        let host = turn.host(*id);
        host.lane != Lane::from(*traffic) || (host.is_in() && host.cohort != has_cohort(turn, *id))
    };
    of_new.chain(of_old).filter(differs).collect()
}

/// The last share that was made.
pub(super) fn in_force(turn: &Turn<'_>) -> Option<Share> {
    let made = turn.plan.steps[..turn.state.step.min(turn.plan.steps.len())].iter().rev();
    made.into_iter().find_map(|step| match step {
        Step::Shift { share, .. } => Some(*share),
        _ => None,
    })
}

/// Whether a host that is in traffic should get the requests of the cohorts as well: while the new
/// revision is tried, those do that run it.
pub(super) fn has_cohort(turn: &Turn<'_>, id: AgentId) -> bool {
    let steps = turn.plan.steps.iter().take(turn.state.step + 1).rev();
    let tried = steps.into_iter().find_map(|step| match step {
        Step::Shift { cohort, .. } => Some(*cohort),
        _ => None,
    });
    let host = turn.host(id);
    let good = host.app == App::New && host.fault.is_none() && host.excluded.is_none();
    turn.state.phase == Phase::Running && tried == Some(true) && turn.plan.has_cohorts() && good
}

/// Whether the balancer was read back with exactly these shares, and every hook afterwards has run.
pub(super) fn is_reached(turn: &Turn<'_>, share: Share) -> bool {
    if turn.plan.router.is_none() {
        return true;
    }
    let settled = turn.state.hosts.values().all(|host| {
        let left_out = host.excluded.is_some() || host.fault.is_some();
        host.work.is_none() && (left_out || !host.unsettled)
    });
    turn.state.routes.is_empty()
        && settled
        && !lacks_new(turn, share)
        && differences(turn, share).is_empty()
}

/// Tells the balancer again what hosts are to get whose traffic is unknown since an order failed: as long
/// as it is, nothing else may move. True when there was something to tell.
pub(super) fn mend(turn: &mut Turn<'_>, share: Share) -> bool {
    if !turn.state.routes.is_empty() || turn.state.paused.is_some() {
        return false;
    }
    let (mut new, mut old) = sides(turn, share);
    let unknown = |id: &AgentId| {
        let host = turn.host(*id);
        host.lane == Lane::Unknown && host.fault.is_none()
    };
    let stays = |id: &AgentId| {
        let host = turn.host(*id);
        host.work.is_none() && !host.left && (host.is_in() || unknown(id))
    };
    new.retain(stays);
    old.retain(stays);
    if new.is_empty() || old.is_empty() || !new.iter().chain(&old).any(unknown) {
        return false;
    }
    let orders = split_orders(turn, share, &new, &old);
    turn.route(orders);
    true
}

/// Whether nobody is left to be given the new revision's share.
fn lacks_new(turn: &Turn<'_>, share: Share) -> bool {
    let wanted = matches!(share, Share::Percent(percent) if percent > 0);
    wanted && turn.plan.router.is_some() && sides(turn, share).0.is_empty()
}

/// One order for all of it: with several, there would be moments with shares nobody asked for.
pub(super) fn shift(turn: &mut Turn<'_>, share: Share) {
    if turn.state.is_busy() {
        return;
    }
    if lacks_new(turn, share) {
        if turn.state.paused.is_none() {
            turn.state.cause = Some(Cause::NobodyNew);
        }
        return;
    }
    let wanted = differences(turn, share);
    if wanted.is_empty() {
        let ids: Vec<AgentId> = turn.plan.hosts.iter().map(|planned| planned.id).collect();
        for id in ids {
            if turn.host(id).excluded.is_none() {
                turn.settle(id, Purpose::Forward);
            }
        }
        return;
    }
    let (new, _) = sides(turn, Share::Percent(100));
    // More weight only onto hosts whose agents can still speak for them.
    let silent = new.iter().any(|id| !turn.facts.is_alive(*id));
    if turn.state.paused.is_some() || silent {
        return;
    }
    let leaving: Vec<AgentId> = wanted
        .iter()
        .filter(|(id, traffic)| {
            let host = turn.host(*id);
            let asks = host.fault.is_none() && turn.facts.is_alive(*id);
            *traffic == Traffic::Out && host.is_in() && !host.left && asks
        })
        .map(|(id, _)| *id)
        .collect();
    if leaving.is_empty() {
        return turn.route(wanted);
    }
    for id in leaving {
        turn.send(id, Stage::Leaving, Purpose::Forward, &[Part::BeforeBlock]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the new hosts get of the traffic, in percent.
    fn share_of(percent: u32, new: usize, old: usize) -> f64 {
        let of = weights(percent, new, old, 100);
        let (a, b) = (f64::from(of.new) * of.reached as f64, f64::from(of.old) * old as f64);
        100.0 * a / (a + b)
    }

    #[test]
    fn weights_divide_by_the_number_of_hosts() {
        let all = |new, reached, old| Weights { new, reached, old };
        assert_eq!(weights(10, 1, 9, 100), all(256, 1, 256));
        assert_eq!(weights(50, 1, 3, 100), all(256, 1, 86));
        assert_eq!(weights(100, 2, 3, 100), all(100, 2, 0));
        assert_eq!(weights(0, 2, 3, 100), all(0, 0, 100));
        assert_eq!(weights(30, 2, 0, 100), all(100, 2, 0));
        assert_eq!(weights(1, 20, 1, 100).reached, 2, "twenty with weight 1 would get 7 %");
        assert_eq!(
            weights(9, 13, 1, 100),
            all(2, 12, 256),
            "thirteen with weight 1 would get half of it"
        );
    }

    #[test]
    fn the_new_hosts_never_get_more_than_their_share_and_never_nothing() {
        for new in 1..=40 {
            for old in 1..=40 {
                for percent in 1..100 {
                    let of = weights(percent, new, old, 100);
                    assert!(of.new >= 1 && of.old >= 1 && of.new <= 256 && of.old <= 256);
                    let share = share_of(percent, new, old);
                    let asked = f64::from(percent);
                    assert!(share <= asked + 1e-9, "{percent} {new} {old}: {share}");
                    assert!(share > asked * 0.6 - 0.5, "{percent} {new} {old}: {share}");
                }
            }
        }
    }
}
