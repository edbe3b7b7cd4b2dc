//! What went wrong, and whether it is enough to turn back.

use super::event::MonitorState;
use super::host::{App, Excluded, Fault, Host, Lane, Stage};
use super::plan::{PlanHost, Step};
use super::state::{Cause, RouteTrouble};
use super::turn::{Turn, is_there, overdue_at, route_overdue_at};
use crate::command::{Command, Serving};
use crate::ids::AgentId;
use crate::protocol::report::{ErrorCode, TaskError};
use crate::protocol::task::Purpose;

/// Moves of several hosts are tried so often before the balancer counts as broken.
pub(super) const ROUTE_TRIES: u32 = 3;

/// Work whose executor fell silent, or that is overdue, does not come to its end any more.
pub(super) fn notice(turn: &mut Turn<'_>) {
    for index in 0..turn.plan.hosts.len() {
        let planned = &turn.plan.hosts[index];
        let Some(work) = turn.host(planned.id).work else { continue };
        let overdue_at = overdue_at(turn.plan, &work, turn.facts.places.get(&planned.id));
        let overdue = !turn.facts.patient && overdue_at.is_some_and(|at| turn.now >= at);
        match work.stage {
            Stage::Leaving | Stage::Updating | Stage::Settling => {
                if overdue || !turn.facts.is_alive(planned.id) {
                    lose(turn, planned, overdue);
                }
            }
            Stage::Launching if turn.facts.is_alive(planned.id) => {
                let host = turn.host_mut(planned.id);
                host.app = App::Before;
                host.work = None;
            }
            Stage::Launching if overdue => {
                let host = turn.host_mut(planned.id);
                host.work = None;
                host.app = App::Unknown;
                host.fault =
                    Some(Fault::Failed { error: overdue_error("its agent did not join", false) });
            }
            Stage::Dismissing if overdue => {
                let host = turn.host_mut(planned.id);
                host.work = None;
                let reason = "its instance did not go away in time; remove it by hand".to_owned();
                host.excluded = Some(Excluded { by: "clean-up".to_owned(), reason });
            }
            // Ends with the order to the balancer.
            Stage::Draining | Stage::Entering | Stage::Launching | Stage::Dismissing => {}
        }
    }
    notice_routes(turn);
}

fn lose(turn: &mut Turn<'_>, planned: &PlanHost, overdue: bool) {
    let id = planned.id;
    let since = turn.facts.last_seen(id).unwrap_or(turn.now);
    let silent = !(overdue && turn.facts.is_alive(id));
    let host = turn.host_mut(id);
    let Some(work) = host.work.take() else { return };
    let attempt = host.attempt;
    if work.stage == Stage::Updating {
        host.app = App::Unknown;
        host.touched = true;
    }
    host.fault = Some(match (work.purpose, silent) {
        (Purpose::Rollback, _) => {
            Fault::Stuck { message: "its agent fell silent while it was rolled back".to_owned() }
        }
        (Purpose::Forward, true) => Fault::Lost { since },
        (Purpose::Forward, false) => {
            Fault::Failed { error: overdue_error("the agent did not end its work in time", true) }
        }
    });
    let unknown = host.app == App::Unknown;
    turn.commands.push(Command::CancelHost { host: id, attempt });
    if unknown {
        turn.commands.push(Command::RecordHost { host: id, serving: Serving::Unknown });
    }
}

fn notice_routes(turn: &mut Turn<'_>) {
    let (now, plan) = (turn.now, turn.plan);
    if turn.facts.patient
        || turn.state.routes.iter().all(|route| now < route_overdue_at(plan, route))
    {
        return;
    }
    let routes = std::mem::take(&mut turn.state.routes);
    let (over, rest): (Vec<_>, Vec<_>) =
        routes.into_iter().partition(|route| now >= route_overdue_at(plan, route));
    turn.state.routes = rest;
    for route in over {
        let error = TaskError {
            code: ErrorCode::RouterFailed,
            ..overdue_error("the agent beside the balancer did not answer in time", false)
        };
        turn.commands.push(Command::CancelRoute { attempt: route.attempt });
        let mut together = false;
        for (id, _) in &route.orders {
            let host = turn.host_mut(*id);
            host.lane = Lane::Unknown;
            let work = host.work.take_if(|w| matches!(w.stage, Stage::Draining | Stage::Entering));
            together |= work.is_none();
            host.fault = match work.map(|work| work.purpose) {
                Some(Purpose::Forward) => Some(Fault::Failed { error: error.clone() }),
                Some(Purpose::Rollback) => Some(Fault::Stuck { message: error.message.clone() }),
                None => host.fault.take(),
            };
            let weight = plan.weight_of(*id);
            turn.commands.push(Command::RecordTraffic { host: *id, lane: Lane::Unknown, weight });
        }
        if together {
            let times = turn.state.route_trouble.as_ref().map_or(1, |trouble| trouble.times + 1);
            turn.state.route_trouble = Some(RouteTrouble { times, error });
        }
    }
}

fn overdue_error(message: &str, touched: bool) -> TaskError {
    TaskError {
        code: ErrorCode::TimedOut,
        message: message.to_owned(),
        step: None,
        command: None,
        touched,
    }
}

/// Why the deployment turns back, if it does.
pub(super) fn cause(turn: &mut Turn<'_>) -> Option<Cause> {
    notice_silent_due(turn);
    give_up_hooks(turn);
    recover_ailing(turn);
    host_cause(turn).or_else(|| alarm(turn)).or_else(|| {
        let trouble = turn.state.route_trouble.as_ref()?;
        (trouble.times >= ROUTE_TRIES).then(|| Cause::Router { error: trouble.error.clone() })
    })
}

/// The first failed host in plan order, once more failed than may. In the first step that installs,
/// none may.
fn host_cause(turn: &Turn<'_>) -> Option<Cause> {
    let is_faulty = |host: &Host| host.fault.is_some() && host.excluded.is_none();
    let faulty = turn.state.hosts.values().filter(|host| is_faulty(host)).count();
    if faulty == 0 {
        return None;
    }
    let installs = |step: &Step| matches!(step, Step::Install { .. });
    let first = turn.plan.steps.iter().position(installs).unwrap_or(0);
    let allowed = if turn.state.step > first { turn.plan.limits.max_failures } else { 0 };
    let spare = turn.plan.hosts.len().saturating_sub(turn.plan.limits.min_healthy as usize);
    let limits = &turn.plan.limits;
    let here = turn.plan.steps.get(turn.state.step).map(Step::hosts).unwrap_or_default();
    let here = here.iter().filter(|id| is_faulty(turn.host(**id))).count();
    let within = limits.failures_per_batch.is_none_or(|limit| here <= limit as usize)
        && limits.failures_in_a_row.is_none_or(|limit| turn.state.failures_in_a_row <= limit);
    if within && faulty <= (allowed as usize).min(spare) {
        return None;
    }
    turn.plan.hosts.iter().find_map(|planned| {
        let host = turn.host(planned.id);
        let (id, name) = (planned.id, planned.name.clone());
        match host.fault.as_ref().filter(|_| is_faulty(host))? {
            Fault::Failed { error } => {
                Some(Cause::HostFailed { host: id, name, error: error.clone() })
            }
            Fault::Lost { since } => Some(Cause::HostLost { host: id, name, since: *since }),
            Fault::Stuck { message } => {
                let error = overdue_error(message, true);
                Some(Cause::HostFailed { host: id, name, error })
            }
        }
    })
}

/// A host whose turn it is and whose agent is silent: it would be updated now, or given its share of
/// the traffic.
fn notice_silent_due(turn: &mut Turn<'_>) {
    let plan = turn.plan;
    let all: Vec<AgentId>;
    let (hosts, due) = match plan.steps.get(turn.state.step) {
        Some(Step::Install { hosts, .. }) => (hosts.as_slice(), App::Before),
        Some(Step::Shift { .. }) => {
            all = plan.hosts.iter().map(|planned| planned.id).collect();
            (all.as_slice(), App::New)
        }
        _ => return,
    };
    for id in hosts {
        let host = turn.host(*id);
        let waits = host.app == due && host.work.is_none() && host.fault.is_none();
        if !waits || host.excluded.is_some() || !is_there(host) || turn.facts.is_alive(*id) {
            continue;
        }
        if plan.host.skip_offline {
            skip_silent(turn, *id);
        } else {
            let since = turn.facts.last_seen(*id).unwrap_or(turn.state.created_at);
            turn.host_mut(*id).fault = Some(Fault::Lost { since });
        }
    }
}

/// A host that left traffic and whose agent is silent: the hook for afterwards cannot run there, which is
/// said, and keeps nobody waiting.
fn give_up_hooks(turn: &mut Turn<'_>) {
    let step = turn.plan.steps.get(turn.state.step);
    if !matches!(step, Some(Step::Shift { .. } | Step::Retire { .. })) {
        return;
    }
    for planned in &turn.plan.hosts {
        let alive = turn.facts.is_alive(planned.id);
        let host = turn.host_mut(planned.id);
        if host.is_in() && host.unsettled && host.app == App::Before && !alive {
            // It serves what it served; what its agent would say about that can wait for ever.
            host.unsettled = false;
        }
        let out = matches!(host.lane, Lane::Out | Lane::Gone) && host.app == App::Before;
        let owes = host.unsettled || host.left;
        if out && owes && !alive && host.work.is_none() && host.excluded.is_none() {
            let reason = "its agent is silent; AfterBlockTraffic did not run there".to_owned();
            host.excluded = Some(Excluded { by: "the group".to_owned(), reason });
        }
    }
}

/// The group's policy for hosts that do not answer; they catch up with the next deployment.
pub(super) fn skip_silent(turn: &mut Turn<'_>, id: AgentId) {
    let reason = "its agent is silent; it catches up with the next deployment".to_owned();
    turn.host_mut(id).excluded = Some(Excluded { by: "the group".to_owned(), reason });
}

fn alarm(turn: &Turn<'_>) -> Option<Cause> {
    let fact = turn.facts.monitors.iter().find(|fact| {
        fact.state == MonitorState::Fail
            && turn.plan.monitors.contains(&fact.name)
            && !turn.state.ailing.contains(&fact.name)
    })?;
    Some(Cause::Alarm { monitor: fact.name.clone(), reason: fact.reason.clone() })
}

/// A monitor that was red before is watched from the moment it is green.
fn recover_ailing(turn: &mut Turn<'_>) {
    if turn.state.ailing.is_empty() {
        return;
    }
    let well = |name: &String| {
        turn.facts.monitors.iter().any(|fact| fact.name == *name && fact.state == MonitorState::Ok)
    };
    turn.state.ailing.retain(|name| !well(name));
}
