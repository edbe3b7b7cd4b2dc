//! One look at everything: what may be asked for now, and asking for it.

use super::event::{Facts, Place};
use super::host::{App, Host, Lane, Stage, Work};
use super::plan::{Plan, PlanHost};
use super::share;
use super::state::{Phase, RouteOrder, State};
use crate::command::Command;
use crate::ids::AgentId;
use crate::protocol::route::Traffic;
use crate::protocol::task::{Part, Purpose};
use crate::time::{Millis, Timestamp};

/// How much longer than its own timeout work may take before the controller gives it up: whoever does
/// it enforces the timeout, this only catches one that does not.
const OVERDUE_GRACE: Millis = Millis::from_minutes(2);

/// How long an instance may take until it is gone.
const DISMISS_TIMEOUT: Millis = Millis::from_minutes(10);

pub(super) struct Turn<'a> {
    pub plan: &'a Plan,
    pub state: &'a mut State,
    pub facts: &'a Facts,
    pub now: Timestamp,
    pub commands: &'a mut Vec<Command>,
}

/// How far a host is on the way that was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Done,
    /// Somebody works on it.
    Working,
    /// It has to wait: for the floor, the width, a resume, its agent.
    Blocked,
}

impl Turn<'_> {
    pub fn host(&self, id: AgentId) -> &Host {
        &self.state.hosts[&id]
    }

    pub fn host_mut(&mut self, id: AgentId) -> &mut Host {
        self.state.hosts.get_mut(&id).expect("every planned host has a state")
    }

    /// Hosts in service now: reached by traffic, sound, not being taken out, agent alive.
    pub fn available(&self) -> u32 {
        available(self.plan, self.state, self.facts)
    }

    /// Whether a host may leave service now. One that is not in service costs nothing.
    pub fn may_leave(&self, planned: &PlanHost, floor: u32) -> bool {
        let serves =
            self.facts.is_alive(planned.id) && self.host(planned.id).is_in_service(planned);
        !serves || (self.available() > floor && self.zone_allows(planned))
    }

    fn zone_allows(&self, planned: &PlanHost) -> bool {
        let limit =
            self.plan.limits.zones.iter().find(|limit| Some(&limit.zone) == planned.zone.as_ref());
        let Some(limit) = limit else { return true };
        let serves = |other: &&PlanHost| {
            other.zone == planned.zone
                && self.facts.is_alive(other.id)
                && self.host(other.id).is_in_service(other)
        };
        let in_zone = self.plan.hosts.iter().filter(serves).count();
        in_zone > limit.min_healthy as usize
    }

    /// Hands a host's agent its next task.
    pub fn send(&mut self, id: AgentId, stage: Stage, purpose: Purpose, parts: &[Part]) {
        let (now, generation) = (self.now, self.state.generation);
        let host = self.host_mut(id);
        host.attempt += 1;
        host.work = Some(Work { stage, purpose, since: now, cancelling: false });
        host.touched |= stage == Stage::Updating;
        let attempt = host.attempt;
        let parts = parts.to_vec();
        self.commands.push(Command::StartHost { host: id, attempt, generation, purpose, parts });
    }

    /// Tells the balancer.
    pub fn route(&mut self, orders: Vec<(AgentId, Traffic)>) {
        if orders.is_empty() {
            return;
        }
        let (now, generation) = (self.now, self.state.generation);
        self.state.route_attempt += 1;
        let attempt = self.state.route_attempt;
        let comes = |(id, traffic): &(AgentId, Traffic)| {
            let comes = matches!(traffic, Traffic::In { .. }) && share::has_cohort(self, *id);
            comes.then_some(*id)
        };
        let cohort: Vec<AgentId> = orders.iter().filter_map(comes).collect();
        let noted = (orders.clone(), cohort.clone());
        let order =
            RouteOrder { attempt, orders: noted.0, cohort: noted.1, since: now, cancelling: false };
        self.state.routes.push(order);
        // On the way back every host that can serve has to.
        let partial = matches!(self.state.phase, Phase::RollingBack | Phase::Failing);
        self.commands.push(Command::Route { attempt, generation, orders, cohort, partial });
    }

    /// Tells the balancer about hosts that wait for it; `beside`: what others get at the same time.
    pub fn route_for(
        &mut self,
        mut orders: Vec<(AgentId, Traffic)>,
        (stage, purpose): (Stage, Purpose),
        mut beside: Vec<(AgentId, Traffic)>,
    ) {
        let now = self.now;
        for (id, _) in &orders {
            let work = Work { stage, purpose, since: now, cancelling: false };
            self.host_mut(*id).work = Some(work);
        }
        orders.append(&mut beside);
        self.route(orders);
    }

    pub fn launch(&mut self, id: AgentId) {
        let attempt = self.instance_work(id, Stage::Launching, Purpose::Forward);
        self.commands.push(Command::Launch { host: id, attempt });
    }

    pub fn dismiss(&mut self, id: AgentId, purpose: Purpose) {
        let attempt = self.instance_work(id, Stage::Dismissing, purpose);
        self.commands.push(Command::Dismiss { host: id, attempt });
    }

    fn instance_work(&mut self, id: AgentId, stage: Stage, purpose: Purpose) -> u32 {
        let now = self.now;
        let host = self.host_mut(id);
        host.attempt += 1;
        host.work = Some(Work { stage, purpose, since: now, cancelling: false });
        host.attempt
    }

    /// The hook after a move in or out of traffic, where one is due.
    pub fn settle(&mut self, id: AgentId, purpose: Purpose) -> Progress {
        let host = self.host(id);
        if host.work.is_some() {
            return Progress::Working;
        }
        if !host.unsettled {
            return Progress::Done;
        }
        if !self.facts.is_alive(id) {
            return Progress::Blocked;
        }
        let part = if host.is_in() { Part::AfterAllow } else { Part::AfterBlock };
        self.host_mut(id).left = false;
        self.send(id, Stage::Settling, purpose, &[part]);
        Progress::Working
    }

    /// Which parts bring a host, out of traffic or without a router, to its target.
    pub fn update_parts(host: &Host) -> Vec<Part> {
        match (host.lane, host.left) {
            (Lane::Direct, _) => Part::WITHOUT_ROUTER.to_vec(),
            (_, true) => vec![Part::AfterBlock, Part::Install, Part::BeforeAllow],
            (_, false) => vec![Part::Fetch, Part::Install, Part::BeforeAllow],
        }
    }
}

/// Hosts in service: see [`Host::is_in_service`].
pub(super) fn available(plan: &Plan, state: &State, facts: &Facts) -> u32 {
    let serving = plan.hosts.iter().filter(|planned| {
        facts.is_alive(planned.id)
            && state.hosts.get(&planned.id).is_some_and(|host| host.is_in_service(planned))
    });
    u32::try_from(serving.count()).unwrap_or(u32::MAX)
}

/// When work counts as overdue; None while its host works on something else first, which has a time of
/// its own.
pub(super) fn overdue_at(plan: &Plan, work: &Work, place: Option<&Place>) -> Option<Timestamp> {
    let (since, own) = match work.stage {
        Stage::Leaving | Stage::Updating | Stage::Settling => {
            if place.is_some_and(|place| place.behind.is_some()) {
                return None;
            }
            let counts_from = place.and_then(|place| place.counts_from);
            (counts_from.unwrap_or(work.since).max(work.since), plan.host.timeout)
        }
        Stage::Draining | Stage::Entering => (work.since, route_timeout(plan)),
        // Nobody else enforces this one.
        Stage::Launching => return Some(work.since + plan.host.join_timeout),
        Stage::Dismissing => (work.since, DISMISS_TIMEOUT),
    };
    Some(since + own + OVERDUE_GRACE)
}

/// When an order to the balancer counts as overdue.
pub(super) fn route_overdue_at(plan: &Plan, route: &RouteOrder) -> Timestamp {
    route.since + route_timeout(plan) + OVERDUE_GRACE
}

/// What a change of the balancer may take: the drain, its checks, and some words.
#[must_use]
pub fn route_timeout(plan: &Plan) -> Millis {
    let waits = plan.router.as_ref().map_or(0, |router| router.drain.0 + router.ready.0);
    // Servers of a second backend are proved and drained beside those of the first, one after the other.
    let backends = if plan.has_cohorts() { 2 } else { 1 };
    Millis(waits * backends + 30_000)
}

/// Whether an instance of this deployment's own has its agent.
pub(super) fn is_there(host: &Host) -> bool {
    host.app != App::Absent
}
