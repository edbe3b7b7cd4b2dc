//! Bringing touched hosts back to what each served before, never deeper than one deployment.
//!
//! Order and limits are those of a safe retreat. Where traffic moves by shares it goes back first, in one
//! order. Then hosts that are out of service, then the newest changes; the same floor of healthy hosts,
//! no pauses, validation still required.

use super::faults::ROUTE_TRIES;
use super::forward::Moves;
use super::host::{App, Excluded, Fault, Host, Lane, Stage, Work};
use super::plan::{PlanHost, Share};
use super::share;
use super::state::Phase;
use super::turn::{Progress, Turn};
use crate::ids::AgentId;
use crate::protocol::route::Traffic;
use crate::protocol::task::{Part, Purpose};

/// Whether the deployment changed anything: an application, traffic, instances.
pub(super) fn is_changed(turn: &Turn<'_>) -> bool {
    let changed = |planned: &PlanHost| {
        let host = turn.host(planned.id);
        host.touched
            || host.work.is_some()
            || host.lane != planned.lane
            || (planned.provisioned && host.app != App::Absent)
    };
    !turn.state.routes.is_empty() || turn.plan.hosts.iter().any(changed)
}

/// After a failure that is not rolled back: what was not touched gets its traffic again, what was made
/// goes away.
pub(super) fn tidy(turn: &mut Turn<'_>) {
    let mut moves = Moves::default();
    // Where all traffic was given to the new hosts, the others have none to get back.
    let switched = share::in_force(turn) == Some(Share::Percent(100));
    for planned in &turn.plan.hosts {
        // An order that is still on its way may yet be carried out.
        if stays(turn, planned) || turn.state.routes.iter().any(|route| route.is_about(planned.id))
        {
            continue;
        }
        let host = turn.host(planned.id);
        let serves = host.app == App::New && (host.is_in() || host.lane == Lane::Direct);
        if planned.provisioned {
            if !serves && host.app != App::Absent {
                take_away(turn, planned, &mut moves);
            }
        } else if host.app == App::Before && host.is_in() {
            // Its weight stays: with another one the new hosts' share would be another.
            settle_in_place(turn, planned);
        } else if host.app == App::Before && host.excluded.is_none() && !switched {
            restore(turn, planned, &mut moves);
        }
    }
    moves.make(turn, Purpose::Rollback);
    if !turn.state.is_busy() {
        turn.finish(Phase::Failed);
    }
}

pub(super) fn advance(turn: &mut Turn<'_>) {
    let halted = turn.state.halt.is_some();
    // An order that failed half-way is told again all the same: nobody knows who has traffic.
    let quiet = halted && turn.state.route_trouble.is_none();
    let shares =
        turn.plan.is_weighted() && if quiet { is_under_way(turn) } else { traffic_first(turn) };
    if !shares {
        let mut moves = Moves::default();
        let mut order = in_order(turn);
        order.retain(|planned| !stays(turn, planned));
        let mut pending = false;
        for planned in order.iter().filter(|planned| !planned.provisioned) {
            pending |= bring_back(turn, planned, &mut moves) != Progress::Done;
        }
        // Extra hosts serve until those they stand in for are back.
        for planned in order.iter().filter(|planned| planned.provisioned) {
            if !(pending && turn.host(planned.id).is_in_service(planned)) {
                bring_back(turn, planned, &mut moves);
            }
        }
        moves.make(turn, Purpose::Rollback);
    }
    if turn.state.is_busy() {
        return;
    }
    // Nothing runs and nothing may be started: what is left stays as it is, and is said.
    let mut failed = false;
    for planned in &turn.plan.hosts {
        if let Some(message) = left_as_it_is(turn, planned) {
            turn.host_mut(planned.id).fault = Some(Fault::Stuck { message });
        }
        failed |= matches!(turn.host(planned.id).fault, Some(Fault::Stuck { .. }));
    }
    turn.finish(if failed { Phase::RollbackFailed } else { Phase::RolledBack });
}

/// Whether shares are on their way back in one order: what is said meanwhile could contradict it.
fn is_under_way(turn: &Turn<'_>) -> bool {
    let together = |(id, _): &(AgentId, Traffic)| turn.host(*id).work.is_none();
    turn.state.routes.iter().any(|route| route.orders.iter().any(together))
}

/// All shares back in one order. True while it is under way.
fn traffic_first(turn: &mut Turn<'_>) -> bool {
    if is_under_way(turn) {
        return true;
    }
    let (mut back, mut out) = (Vec::new(), Vec::new());
    let mut taking_over = 0;
    for planned in &turn.plan.hosts {
        let host = turn.host(planned.id);
        // A hook that runs beside does not keep traffic away; a change of the application does.
        let hook = |work: Work| matches!(work.stage, Stage::Settling | Stage::Leaving);
        if !host.work.is_none_or(hook) || matches!(host.lane, Lane::Direct | Lane::Gone) {
            continue;
        }
        let same = matches!(host.app, App::Before | App::Restored);
        // Its agent need not speak: the balancer's own check stands for it, and one that is found bad
        // does not keep the others out.
        let had = had(turn, planned);
        let enters = matches!(had, Some(Traffic::In { .. }));
        let vouched = host.is_sound(planned) || !enters;
        let able = vouched && !matches!(host.fault, Some(Fault::Stuck { .. }));
        let returns =
            had.filter(|had| able && host.app == App::Before && host.lane != Lane::from(*had));
        let serves = same && host.is_sound(planned);
        let reached = host.is_in() || (returns.is_some() && enters);
        taking_over += usize::from(serves && reached);
        if let Some(had) = returns {
            back.push((planned.id, had));
        } else if !same && host.lane != Lane::Out {
            out.push((planned.id, Traffic::Out));
        }
    }
    // With nobody to take over, the new hosts stay until they are brought back one by one.
    let tried = turn.state.route_trouble.as_ref().map_or(0, |trouble| trouble.times);
    if taking_over == 0 || (back.is_empty() && out.is_empty()) || tried >= ROUTE_TRIES {
        return false;
    }
    // Those that take over come first: there is no moment without them.
    back.append(&mut out);
    turn.route(back);
    true
}

/// The traffic a host goes back to. None where nobody ever knew, and nothing follows from what it serves.
fn had(turn: &Turn<'_>, planned: &PlanHost) -> Option<Traffic> {
    match planned.lane {
        Lane::Unknown if planned.serving && !turn.host(planned.id).is_in() => {
            Some(turn.plan.own_traffic(planned.id))
        }
        Lane::Unknown | Lane::Direct => None,
        Lane::In { .. } | Lane::Out | Lane::Gone => Some(planned.lane.order()),
    }
}

/// Out of service first, then the latest changed.
fn in_order<'p>(turn: &Turn<'p>) -> Vec<&'p PlanHost> {
    let plan = turn.plan;
    let newest = || plan.hosts.iter().rev();
    let serves = |planned: &&PlanHost| turn.host(planned.id).is_in_service(planned);
    let out = newest().filter(|planned| !serves(planned));
    out.chain(newest().filter(serves)).collect()
}

fn bring_back(turn: &mut Turn<'_>, planned: &PlanHost, moves: &mut Moves) -> Progress {
    let host = turn.host(planned.id);
    if host.work.is_some() {
        return Progress::Working;
    }
    if host.excluded.is_some() || matches!(host.fault, Some(Fault::Stuck { .. })) {
        return Progress::Done;
    }
    if planned.provisioned {
        return take_away(turn, planned, moves);
    }
    if turn.state.halt.is_some() && host.is_in() {
        return settle_in_place(turn, planned);
    }
    match host.app {
        App::Absent => Progress::Done,
        App::Before | App::Restored => restore(turn, planned, moves),
        App::New | App::Broken | App::Unknown => reinstall(turn, planned, moves),
    }
}

/// Traffic as it was, for a host that runs what it ran.
fn restore(turn: &mut Turn<'_>, planned: &PlanHost, moves: &mut Moves) -> Progress {
    let host = turn.host(planned.id);
    if host.work.is_some() {
        return Progress::Working;
    }
    if matches!(host.fault, Some(Fault::Stuck { .. })) {
        return Progress::Done;
    }
    if host.is_where_it_was(planned) || host.lane == Lane::Direct {
        return settle_in_place(turn, planned);
    }
    match planned.lane {
        // Nobody vouched for what it runs, and nobody does now.
        Lane::In { .. } if !host.is_sound(planned) => return Progress::Done,
        // It was never known; in traffic is where a sound host belongs.
        Lane::Unknown if planned.serving || host.app == App::Restored => {
            if host.is_in() {
                return turn.settle(planned.id, Purpose::Rollback);
            }
            moves.into.push((planned.id, turn.plan.own_traffic(planned.id)));
        }
        Lane::Unknown | Lane::Direct => return Progress::Done,
        Lane::In { .. } => moves.into.push((planned.id, planned.lane.order())),
        Lane::Out | Lane::Gone => moves.out.push((planned.id, Traffic::Out)),
    }
    Progress::Working
}

/// The hook for coming back is due to one that only got ready to leave, as well.
fn settle_in_place(turn: &mut Turn<'_>, planned: &PlanHost) -> Progress {
    let host = turn.host(planned.id);
    if host.work.is_none() && host.left && host.is_in() && turn.facts.is_alive(planned.id) {
        turn.host_mut(planned.id).unsettled = true;
    }
    turn.settle(planned.id, Purpose::Rollback)
}

fn reinstall(turn: &mut Turn<'_>, planned: &PlanHost, moves: &mut Moves) -> Progress {
    let id = planned.id;
    if planned.prior.is_none() || !turn.facts.is_alive(id) {
        return Progress::Blocked;
    }
    let host = turn.host(id);
    let begun = host.left;
    if !begun {
        let busy = turn.state.working().count();
        let floor = turn.plan.limits.rollback_min_healthy;
        let leaves = host.is_in_service(planned);
        if busy >= turn.plan.limits.rollback_width as usize
            || (leaves && !turn.may_leave(planned, floor))
        {
            return Progress::Blocked;
        }
    }
    match turn.host(id).lane {
        Lane::In { .. } if !begun && host_is_sound(turn, planned) => {
            turn.send(id, Stage::Leaving, Purpose::Rollback, &[Part::Fetch, Part::BeforeBlock]);
        }
        Lane::In { .. } | Lane::Unknown => moves.out.push((id, Traffic::Out)),
        Lane::Direct | Lane::Out | Lane::Gone => {
            let parts = Turn::update_parts(turn.host(id));
            turn.host_mut(id).fault = None;
            turn.send(id, Stage::Updating, Purpose::Rollback, &parts);
        }
    }
    Progress::Working
}

fn host_is_sound(turn: &Turn<'_>, planned: &PlanHost) -> bool {
    turn.host(planned.id).is_sound(planned)
}

/// An instance this deployment made: out of traffic, then gone.
fn take_away(turn: &mut Turn<'_>, planned: &PlanHost, moves: &mut Moves) -> Progress {
    let host = turn.host(planned.id);
    if host.work.is_some() {
        return Progress::Working;
    }
    if host.app == App::Absent || host.excluded.is_some() {
        return Progress::Done;
    }
    let failed = matches!(host.fault, Some(Fault::Stuck { .. }));
    if is_last(turn, planned) {
        let message = "nobody else serves, so it stays in traffic".to_owned();
        turn.host_mut(planned.id).fault = Some(Fault::Stuck { message: message.clone() });
        turn.host_mut(planned.id).excluded =
            Some(Excluded { by: "the group".to_owned(), reason: message });
        return Progress::Done;
    }
    match host.lane {
        Lane::Direct | Lane::Gone => turn.dismiss(planned.id, Purpose::Rollback),
        // An instance nobody could take out of traffic is not pulled from under its requests.
        _ if failed => {
            let reason = "the router would not let it go; remove its instance by hand".to_owned();
            turn.host_mut(planned.id).excluded =
                Some(Excluded { by: "clean-up".to_owned(), reason });
            return Progress::Done;
        }
        Lane::In { .. } | Lane::Out | Lane::Unknown => moves.out.push((planned.id, Traffic::Gone)),
    }
    Progress::Working
}

/// Whether a group that had traffic would be left without any.
fn is_last(turn: &Turn<'_>, planned: &PlanHost) -> bool {
    let serves = |planned: &PlanHost| {
        let host = turn.host(planned.id);
        host.is_in() && host.is_sound(planned)
    };
    let missed = turn.plan.hosts.iter().any(PlanHost::had_traffic);
    let floor = turn.plan.limits.min_healthy.min(turn.plan.limits.rollback_min_healthy);
    let others = turn.plan.hosts.iter().any(|other| other.id != planned.id && serves(other));
    missed && floor > 0 && serves(planned) && !others
}

/// Whether a host is none of the way back's business any more: somebody halted that before it began here.
/// One that has left traffic for it is brought to its end, since half-way is no place to stay.
fn stays(turn: &Turn<'_>, planned: &PlanHost) -> bool {
    let host = turn.host(planned.id);
    let left = (host.left || host.unsettled) && host.lane != Lane::Unknown;
    let begun = left || host.app == App::Restored;
    turn.state.halt.is_some() && (planned.provisioned || !begun)
}

/// What is to be said of a host that is not as it was.
fn left_as_it_is(turn: &Turn<'_>, planned: &PlanHost) -> Option<String> {
    let said = left_over(turn, planned).map(str::to_owned);
    let Some(halt) = turn.state.halt.as_ref().filter(|_| stays(turn, planned)) else { return said };
    let host = turn.host(planned.id);
    let remains = planned.provisioned && host.app != App::Absent && host.excluded.is_none();
    if said.is_none() && !remains || matches!(host.fault, Some(Fault::Stuck { .. })) {
        return None;
    }
    let runs = match (host.app, host.is_in() || host.lane == Lane::Direct) {
        (App::New, true) => "it serves the new revision",
        (App::New, false) => "it has the new revision and no traffic",
        (App::Broken | App::Unknown, _) => "nobody knows what it runs",
        (_, true) => "it serves what it did, with another share of the traffic",
        (_, false) => "it has no traffic",
    };
    Some(format!("{runs}: {} halted the way back", halt.by))
}

/// Why a host that should have been brought back was not.
fn left_over(turn: &Turn<'_>, planned: &PlanHost) -> Option<&'static str> {
    let host: &Host = turn.host(planned.id);
    if host.excluded.is_some() || matches!(host.fault, Some(Fault::Stuck { .. })) {
        return None;
    }
    let idle_before = !planned.serving && matches!(planned.lane, Lane::Out);
    match host.app {
        App::Absent | App::Before | App::Restored if host.is_where_it_was(planned) => None,
        App::Absent => None,
        App::Before | App::Restored if planned.lane == Lane::Unknown => None,
        App::Before if !planned.serving && matches!(planned.lane, Lane::In { .. }) => Some(
            "it had traffic, and its agent was silent when this began: nobody vouches for what it \
             runs, so it has none now",
        ),
        App::Before if !planned.serving => None,
        App::Before | App::Restored => Some("the router did not give it its traffic back"),
        // It was idle, and is idle again.
        _ if idle_before && host.lane == Lane::Out && planned.prior.is_none() => None,
        App::New if planned.prior.is_none() => {
            Some("it serves the new revision: there is no earlier one to return to")
        }
        App::Broken | App::Unknown if planned.prior.is_none() => {
            Some("it is out of service: there is no earlier revision to return to")
        }
        App::New | App::Broken | App::Unknown if !turn.facts.is_alive(planned.id) => {
            Some("its agent is silent; what it runs is unknown")
        }
        App::New => Some(
            "it still serves the new revision: taking it out would leave too few hosts in service",
        ),
        App::Broken | App::Unknown => Some("it could not be rolled back"),
    }
}
