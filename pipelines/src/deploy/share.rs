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

/// What each host of the two sides gets, in the order in which they were named; 0 is out of traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weights {
    pub new: Vec<u16>,
    pub old: Vec<u16>,
}

/// Weights so that `percent` of the traffic goes to the new hosts and the rest to the old ones, each host
/// as much of its side's as its own weight is of its side's. What cannot be met exactly errs on the side
/// of the old hosts. `new` and `old`: hosts' own weights, which they have where only one side is left.
#[must_use]
pub fn weights(percent: u32, new: &[u16], old: &[u16]) -> Weights {
    let only_old = || Weights { new: vec![0; new.len()], old: old.to_vec() };
    if percent == 0 || new.is_empty() {
        return only_old();
    }
    if percent >= 100 || old.is_empty() {
        return Weights { new: new.to_vec(), old: vec![0; old.len()] };
    }
    // As many of them as can be given their share; with a small share of many hosts, rounding down to
    // whole weights would eat too much of it.
    let options = || (1..=new.len()).rev().map(|reached| split(percent, new, reached, old));
    let close = |of: &Weights| {
        let (new, all) = sums(of);
        !is_more(percent, of) && new * 1000 >= u64::from(percent) * 9 * all
    };
    options()
        .find(close)
        .or_else(|| options().find(|of| !is_more(percent, of)))
        .unwrap_or_else(only_old)
}

/// The weight of all new hosts, and of everybody.
fn sums(of: &Weights) -> (u64, u64) {
    let sum = |side: &[u16]| side.iter().map(|weight| u64::from(*weight)).sum::<u64>();
    (sum(&of.new), sum(&of.new) + sum(&of.old))
}

/// For the first `reached` of the new hosts: the new side has `percent`, the old one the rest; new
/// weights are rounded down and old ones up.
fn split(percent: u32, new: &[u16], reached: usize, old: &[u16]) -> Weights {
    let (new, rest) = new.split_at(reached);
    let sum = |side: &[u16]| side.iter().map(|weight| u64::from(*weight)).sum::<u64>().max(1);
    // A weight times its side's part is what it has of all the traffic, as a whole number.
    let of_new = u64::from(percent) * sum(old);
    let of_old = u64::from(100 - percent) * sum(new);
    let largest = |side: &[u16], part: u64| {
        side.iter().map(|weight| u64::from(*weight) * part).max().unwrap_or(0)
    };
    let most = largest(new, of_new).max(largest(old, of_old)).max(1);
    let weight = |value: u64| u16::try_from(value.clamp(1, WEIGHT_MAX)).unwrap_or(1);
    let down = |own: &u16| weight(u64::from(*own) * of_new * WEIGHT_MAX / most);
    let up = |own: &u16| weight((u64::from(*own) * of_old * WEIGHT_MAX).div_ceil(most));
    let new = new.iter().map(down).chain(rest.iter().map(|_| 0)).collect();
    Weights { new, old: old.iter().map(up).collect() }
}

/// Whether the new hosts would get more than `percent`.
fn is_more(percent: u32, of: &Weights) -> bool {
    let (new, all) = sums(of);
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
    let own =
        |side: &[AgentId]| -> Vec<u16> { side.iter().map(|id| turn.plan.weight_of(*id)).collect() };
    let of = match share {
        Share::Equal => Weights { new: own(new), old: own(old) },
        Share::Percent(percent) => weights(percent, &own(new), &own(old)),
    };
    let order = |weight: u16| if weight == 0 { Traffic::Out } else { Traffic::In { weight } };
    let hosts = new.iter().chain(old).copied();
    let orders = hosts.zip(of.new.into_iter().chain(of.old).map(order));
    let differs = |(id, traffic): &(AgentId, Traffic)| {
        let host = turn.host(*id);
        host.lane != Lane::from(*traffic) || (host.is_in() && host.cohort != has_cohort(turn, *id))
    };
    orders.filter(differs).collect()
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
    if !new.iter().chain(&old).any(unknown) {
        return false;
    }
    // Nobody vouches for a host on the new revision that went silent meanwhile.
    let silent = |id: &AgentId| unknown(id) && !turn.facts.is_alive(*id);
    let out: Vec<AgentId> = new.iter().copied().filter(silent).collect();
    new.retain(|id| !out.contains(id));
    if new.is_empty() || old.is_empty() {
        return false;
    }
    let mut orders = split_orders(turn, share, &new, &old);
    orders.extend(out.into_iter().map(|id| (id, Traffic::Out)));
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
    fn share_of(of: &Weights) -> f64 {
        let (new, all) = sums(of);
        100.0 * new as f64 / all as f64
    }

    fn alike(percent: u32, new: usize, old: usize) -> Weights {
        weights(percent, &vec![100; new], &vec![100; old])
    }

    fn of(new: &[(u16, usize)], old: &[(u16, usize)]) -> Weights {
        let side = |side: &[(u16, usize)]| {
            side.iter().flat_map(|(weight, hosts)| vec![*weight; *hosts]).collect()
        };
        Weights { new: side(new), old: side(old) }
    }

    #[test]
    fn weights_divide_by_the_number_of_hosts() {
        assert_eq!(alike(10, 1, 9), of(&[(256, 1)], &[(256, 9)]));
        assert_eq!(alike(50, 1, 3), of(&[(256, 1)], &[(86, 3)]));
        assert_eq!(alike(100, 2, 3), of(&[(100, 2)], &[(0, 3)]));
        assert_eq!(alike(0, 2, 3), of(&[(0, 2)], &[(100, 3)]));
        assert_eq!(alike(30, 2, 0), of(&[(100, 2)], &[]));
        let reached = alike(1, 20, 1).new.iter().filter(|weight| **weight > 0).count();
        assert_eq!(reached, 2, "twenty with weight 1 would get 7 %");
        let twelve = of(&[(2, 12), (0, 1)], &[(256, 1)]);
        assert_eq!(alike(9, 13, 1), twelve, "thirteen with weight 1 would get half of it");
    }

    #[test]
    fn hosts_keep_their_proportions_within_a_side() {
        let unequal = weights(50, &[100], &[200, 100, 100]);
        assert_eq!(unequal, of(&[(256, 1)], &[(128, 1), (64, 2)]));
        let unequal = weights(20, &[50, 100], &[100, 200]);
        assert_eq!(unequal, of(&[(32, 1), (64, 1)], &[(128, 1), (256, 1)]));
    }

    #[test]
    fn the_new_hosts_never_get_more_than_their_share_and_never_nothing() {
        for new in 1..=40 {
            for old in 1..=40 {
                for percent in 1..100 {
                    let of = alike(percent, new, old);
                    assert!(of.new[0] >= 1 && of.old[0] >= 1, "{percent} {new} {old}");
                    let (share, asked) = (share_of(&of), f64::from(percent));
                    assert!(share <= asked + 1e-9, "{percent} {new} {old}: {share}");
                    assert!(share > asked * 0.6 - 0.5, "{percent} {new} {old}: {share}");
                }
            }
        }
    }

    #[test]
    fn so_it_is_with_hosts_of_any_weights() {
        let sides: [&[u16]; 6] =
            [&[1], &[256], &[1, 256], &[50, 100, 200], &[7; 11], &[1, 1, 1, 1, 255]];
        for (new, old) in sides.iter().flat_map(|new| sides.iter().map(move |old| (new, old))) {
            for percent in 1..100 {
                let of = weights(percent, new, old);
                assert!(of.new[0] >= 1, "{percent} {new:?} {old:?}");
                assert!(of.old.iter().all(|weight| (1..=256).contains(weight)));
                let share = share_of(&of);
                assert!(share <= f64::from(percent) + 1e-9, "{percent} {new:?} {old:?}: {share}");
            }
        }
    }
}
