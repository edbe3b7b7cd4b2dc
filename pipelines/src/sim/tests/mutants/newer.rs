//! Rules that came later: retirement, shares, hosts that others installed, halts.

use super::{Out, with_facts, with_plan};
use crate::command::Command;
use crate::deploy::{App, Cause, Event, Facts, Lane, Phase, Plan, RouteOutcome, State, Step, step};
use crate::ids::AgentId;
use crate::protocol::route::Traffic;
use crate::protocol::task::Purpose;
use crate::time::Timestamp;

pub(super) fn blind_retirement(
    p: &Plan,
    s: &mut State,
    f: &Facts,
    e: &Event,
    now: Timestamp,
    c: Out<'_>,
) {
    let (before, told) = (s.clone(), c.len());
    step(p, s, f, e, now, c);
    let Some(Step::Retire { hosts, .. }) = p.steps.get(s.step) else { return };
    let guarded = matches!(s.cause, Some(Cause::HealthConstraints { .. }));
    if before.phase != Phase::Running || !guarded {
        return;
    }
    *s = before;
    c.truncate(told);
    let rosy = |facts: &mut Facts| {
        let stay = facts.hosts.iter_mut().filter(|(id, _)| !hosts.contains(id));
        stay.for_each(|(_, host)| host.alive = true);
    };
    with_facts(rosy, (p, s, f), e, now, c);
}

pub(super) fn nobody_left(
    p: &Plan,
    s: &mut State,
    f: &Facts,
    e: &Event,
    now: Timestamp,
    c: Out<'_>,
) {
    let back = s.phase == Phase::RollingBack;
    let careless = |plan: &mut Plan| {
        if back {
            (plan.limits.min_healthy, plan.limits.rollback_min_healthy) = (0, 0);
        }
    };
    with_plan(careless, (p, s, f), e, now, c);
}

pub(super) fn no_mend(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    step(p, s, f, e, now, c);
    let installs = matches!(p.steps.get(s.step), Some(Step::Install { .. }));
    if !installs || !p.is_weighted() || s.phase != Phase::Running {
        return;
    }
    let lost = |id: &AgentId| {
        let host = &s.hosts[id];
        host.lane == Lane::Unknown && host.fault.is_none() && host.work.is_none()
    };
    let mends = |orders: &[(AgentId, Traffic)]| orders.iter().any(|(id, _)| lost(id));
    c.retain(|command| !matches!(command, Command::Route { orders, .. } if mends(orders)));
    let given: Vec<u32> =
        s.routes.iter().filter(|route| mends(&route.orders)).map(|route| route.attempt).collect();
    s.routes.retain(|route| !given.contains(&route.attempt));
}

pub(super) fn blind_shift(
    p: &Plan,
    s: &mut State,
    f: &Facts,
    e: &Event,
    now: Timestamp,
    c: Out<'_>,
) {
    let shifts =
        matches!(p.steps.get(s.step), Some(Step::Shift { .. })) && s.phase == Phase::Running;
    let new: Vec<AgentId> = s
        .hosts
        .iter()
        .filter(|(_, host)| shifts && host.app == App::New)
        .map(|(id, _)| *id)
        .collect();
    let rosy = |facts: &mut Facts| {
        let of_new = facts.hosts.iter_mut().filter(|(id, _)| new.contains(id));
        of_new.for_each(|(_, host)| host.alive = true);
    };
    with_facts(rosy, (p, s, f), e, now, c);
}

pub(super) fn half_for_done(
    p: &Plan,
    s: &mut State,
    f: &Facts,
    e: &Event,
    now: Timestamp,
    c: Out<'_>,
) {
    let mut event = e.clone();
    if let Event::Routed { outcome: outcome @ RouteOutcome::Cancelled, .. } = &mut event
        && !p.rollback.failure
    {
        *outcome = RouteOutcome::Applied;
    }
    step(p, s, f, &event, now, c);
}

pub(super) fn out_alone(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    step(p, s, f, e, now, c);
    if s.phase != Phase::RollingBack {
        return;
    }
    for command in c {
        let Command::Route { attempt, orders, .. } = command else { continue };
        if orders.iter().any(|(_, traffic)| *traffic == Traffic::Out) {
            orders.retain(|(_, traffic)| *traffic == Traffic::Out);
        }
        for noted in s.routes.iter_mut().filter(|noted| noted.attempt == *attempt) {
            noted.orders.clone_from(orders);
        }
    }
}

pub(super) fn only_ours(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    let ours = |plan: &mut Plan| {
        plan.hosts.iter_mut().for_each(|host| host.serving &= host.prior.is_some());
    };
    with_plan(ours, (p, s, f), e, now, c);
}

pub(super) fn untouched_work(
    p: &Plan,
    s: &mut State,
    f: &Facts,
    e: &Event,
    now: Timestamp,
    c: Out<'_>,
) {
    step(p, s, f, e, now, c);
    let idle = |id: AgentId| !s.hosts[&id].touched && s.hosts[&id].work.is_none() && f.is_alive(id);
    let next =
        |of: &AgentId| p.hosts.iter().find(|h| h.id != *of && idle(h.id) && h.prior.is_some());
    for command in c {
        if let Command::StartHost { host, purpose: Purpose::Rollback, .. } = command
            && let Some(other) = next(host)
        {
            *host = other.id;
        }
    }
}

pub(super) fn many_generations(
    p: &Plan,
    s: &mut State,
    f: &Facts,
    e: &Event,
    now: Timestamp,
    c: Out<'_>,
) {
    if s.phase == Phase::RollingBack {
        s.generation += 1;
    }
    step(p, s, f, e, now, c);
}

pub(super) fn moody(p: &Plan, s: &mut State, f: &Facts, e: &Event, now: Timestamp, c: Out<'_>) {
    static LOOKS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let look = LOOKS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    step(p, s, f, e, now, c);
    s.created_at = Timestamp(s.created_at.0 + i64::from(look.is_multiple_of(7)));
}

pub(super) fn one_weight(
    p: &Plan,
    s: &mut State,
    f: &Facts,
    e: &Event,
    now: Timestamp,
    c: Out<'_>,
) {
    let alike = |plan: &mut Plan| plan.hosts.iter_mut().for_each(|host| host.weight = None);
    with_plan(alike, (p, s, f), e, now, c);
}
