//! Noting an event in the state, and nothing else: what follows from it is `advance`'s business.

use super::event::{Event, Facts, HostOutcome, RouteOutcome};
use super::host::{App, Excluded, Fault, Lane, Stage};
use super::people::{self, Retry};
use super::plan::{Plan, Step};
use super::state::{Cause, Halt, Overridden, Pause, Phase, Promoted, RouteTrouble, State};
use crate::command::{Command, Serving};
use crate::ids::AgentId;
use crate::protocol::report::{ErrorCode, TaskError};
use crate::protocol::route::Traffic;
use crate::protocol::task::Purpose;
use crate::time::Timestamp;

/// Notes `event`. Late, doubled and unknown words leave the state as it is.
pub(super) fn record(
    plan: &Plan,
    state: &mut State,
    facts: &Facts,
    (event, now): (&Event, Timestamp),
    commands: &mut Vec<Command>,
) {
    if state.phase.is_final() {
        return;
    }
    match event {
        Event::HostFinished { host, attempt, outcome } => {
            host_finished(plan, state, (*host, *attempt), outcome, commands);
        }
        Event::Routed { attempt, outcome } => routed(plan, state, (*attempt, outcome), commands),
        Event::Instance { host, attempt, error } => {
            instance(state, (*host, *attempt), error.as_deref());
        }
        Event::Halt { by, reason } => {
            if people::may_halt(state).is_ok() {
                let (by, reason) = (by.clone(), reason.clone());
                state.halt = Some(Halt { by, reason, at: now });
            }
        }
        Event::Pause { by, .. } => {
            if state.paused.is_none() {
                state.paused = Some(Pause { by: by.clone(), since: now });
            }
        }
        Event::Resume { .. } => state.paused = None,
        Event::Promote { full, at, .. } => {
            // Two people who end the same hold do not end the one after it.
            let is_late = at.is_some_and(|at| at != people::hold_at(state));
            if !is_late && people::may_promote(plan, state, *full).is_ok() {
                state.promoted = if *full { Promoted::All } else { Promoted::Step(state.step) };
                // It paused to be told this.
                state.paused.take_if(|pause| pause.by == people::THE_ANALYSIS);
            }
        }
        Event::Override { by, reason } => {
            if people::may_override(plan, state).is_ok() {
                let (by, reason) = (by.clone(), reason.clone());
                state.overridden = Some(Overridden { by, reason, at: now });
            }
        }
        Event::Abort { .. } | Event::Decide { .. } | Event::Supersede { .. } => {
            decision_of_a_person(plan, state, event);
        }
        Event::Retry { host, .. } => {
            let wanted = Retry { host: *host, alive: facts.is_alive(*host) };
            if people::may_retry(plan, state, wanted).is_ok() {
                retry(plan, state, *host, now);
            }
        }
        Event::Exclude { by, host, reason } => exclude(plan, state, *host, by, reason),
        Event::Tick => {}
    }
}

fn decision_of_a_person(plan: &Plan, state: &mut State, event: &Event) {
    let cause = match event {
        Event::Abort { by, reason } if matches!(state.phase, Phase::Queued | Phase::Running) => {
            Cause::Stopped { by: by.clone(), reason: reason.clone() }
        }
        Event::Supersede { by } if state.phase == Phase::Queued => {
            Cause::Superseded { by: by.clone() }
        }
        Event::Decide { by, step, generation, approve, reason } => {
            if people::asks(plan, state) != Some(*step) || *generation != state.generation {
                return;
            }
            if *approve {
                state.approved_by = Some(by.clone());
                return;
            }
            Cause::Rejected { by: by.clone(), reason: reason.clone() }
        }
        _ => return,
    };
    state.cause.get_or_insert(cause);
}

/// A failed host is wanted again. Where its step is behind the deployment, the last one that installs
/// takes it up, and what came after that is done again: shares, holds, approvals.
fn retry(plan: &Plan, state: &mut State, id: AgentId, now: Timestamp) {
    let Some(planned) = plan.host(id) else { return };
    let (step, of) = (state.step, |step: &Step| step.hosts().contains(&id));
    let Some(host) = state.hosts.get_mut(&id) else { return };
    let missing = planned.provisioned && matches!(host.app, App::Absent | App::Unknown);
    host.fault = None;
    let installs = |step: &Step| matches!(step, Step::Install { .. });
    let own = plan.steps.iter().position(|step| installs(step) && of(step));
    let before = plan.steps.iter().take(step + 1).rposition(installs);
    if let (false, Some(own), Some(last)) = (missing, own, before)
        && own <= step
        && last < step
    {
        state.step = last;
        state.step_since = now;
        state.approved_by = None;
        if matches!(state.promoted, Promoted::Step(_)) {
            state.promoted = Promoted::No;
        }
    }
}

/// A host that is being worked on is not let out half-way.
fn exclude(plan: &Plan, state: &mut State, id: AgentId, by: &str, reason: &str) {
    let may = people::may_exclude(plan, state, id).is_ok();
    if let Some(host) = state.hosts.get_mut(&id).filter(|_| may) {
        host.excluded = Some(Excluded { by: by.to_owned(), reason: reason.to_owned() });
    }
}

fn host_finished(
    plan: &Plan,
    state: &mut State,
    (id, attempt): (AgentId, u32),
    outcome: &HostOutcome,
    commands: &mut Vec<Command>,
) {
    let Some(host) = state.hosts.get_mut(&id) else { return };
    let Some(work) = host.work else { return };
    let by_agent = matches!(work.stage, Stage::Leaving | Stage::Updating | Stage::Settling);
    if host.attempt != attempt || !by_agent {
        return;
    }
    host.work = None;
    let update = work.stage == Stage::Updating;
    match outcome {
        HostOutcome::Succeeded if update => state.failures_in_a_row = 0,
        HostOutcome::Failed(_) => state.failures_in_a_row += 1,
        HostOutcome::Succeeded | HostOutcome::Cancelled { .. } => {}
    }
    match outcome {
        HostOutcome::Succeeded => match (work.stage, work.purpose) {
            (Stage::Leaving, _) => host.left = true,
            (Stage::Settling, _) => host.unsettled = false,
            (_, purpose) => {
                host.app = if purpose == Purpose::Forward { App::New } else { App::Restored };
                host.left = false;
                host.fault = None;
                let revision = plan.target(id, purpose).cloned();
                let serving = revision.map(Serving::Revision);
                commands.extend(serving.map(|serving| Command::RecordHost { host: id, serving }));
            }
        },
        HostOutcome::Failed(error) => {
            let touched = update && error.touched;
            ended_badly(host, touched, work.purpose == Purpose::Forward || !update);
            host.fault = Some(match work.purpose {
                Purpose::Forward => Fault::Failed { error: error.clone() },
                Purpose::Rollback => {
                    let step = error.step.as_deref().unwrap_or("its rollback");
                    Fault::Stuck { message: format!("failed in {step}: {}", error.message) }
                }
            });
            if host.app == App::Broken {
                commands.push(Command::RecordHost { host: id, serving: Serving::Broken });
            }
        }
        HostOutcome::Cancelled { touched } => {
            let touched = update && *touched;
            ended_badly(host, touched, work.purpose == Purpose::Forward || !update);
            if work.purpose == Purpose::Rollback && update {
                let message = "its rollback was cancelled".to_owned();
                host.fault = Some(Fault::Stuck { message });
            } else if touched {
                host.fault = Some(Fault::Failed { error: cancelled() });
            }
            if host.app == App::Broken {
                commands.push(Command::RecordHost { host: id, serving: Serving::Broken });
            }
        }
    }
}

/// An agent's work did not come to its end. `forgiving`: an untouched application is what it was.
fn ended_badly(host: &mut super::host::Host, touched: bool, forgiving: bool) {
    if touched || !forgiving {
        host.app = App::Broken;
        // What follows begins anew: it fetches what it needs, and AfterBlockTraffic has run.
        host.left = false;
    }
    // Work before this one may have touched it as well.
    host.touched = host.app != App::Before;
}

fn cancelled() -> TaskError {
    TaskError {
        code: ErrorCode::Interrupted,
        message: "stopped half-way because the deployment turned back".to_owned(),
        step: None,
        command: None,
        touched: true,
    }
}

fn routed(
    plan: &Plan,
    state: &mut State,
    (attempt, outcome): (u32, &RouteOutcome),
    commands: &mut Vec<Command>,
) {
    let red = |id: AgentId, traffic: Traffic| {
        let left_out = |out: &[String]| out.contains(&plan.host_name(id));
        let wanted = matches!(traffic, Traffic::In { .. });
        wanted && matches!(outcome, RouteOutcome::Partly { out } if left_out(out))
    };
    let Some(at) = state.routes.iter().position(|route| route.attempt == attempt) else { return };
    let route = state.routes.remove(at);
    let mut together = false;
    for (id, traffic) in &route.orders {
        let Some(host) = state.hosts.get_mut(id) else { continue };
        let work =
            host.work.take_if(|work| matches!(work.stage, Stage::Draining | Stage::Entering));
        together |= work.is_none();
        let (was_in, was_out) = (host.is_in(), matches!(host.lane, Lane::Out | Lane::Gone));
        host.lane = match outcome {
            _ if red(*id, *traffic) => Lane::Out,
            RouteOutcome::Applied | RouteOutcome::Partly { .. } => Lane::from(*traffic),
            RouteOutcome::Failed(_) | RouteOutcome::Cancelled => Lane::Unknown,
        };
        // Where the order failed, it may: it is told again, or out, before anything else happens to it.
        host.cohort = match outcome {
            RouteOutcome::Failed(_) | RouteOutcome::Cancelled => {
                host.cohort || route.cohort.contains(id)
            }
            RouteOutcome::Applied | RouteOutcome::Partly { .. } => {
                host.is_in() && route.cohort.contains(id)
            }
        };
        let weight = plan.weight_of(*id);
        commands.push(Command::RecordTraffic { host: *id, lane: host.lane, weight });
        if matches!(outcome, RouteOutcome::Applied | RouteOutcome::Partly { .. }) {
            // Out on the way to an update: the hook is the update's first part.
            let on_the_way = work.is_some_and(|work| work.stage == Stage::Draining);
            // One that never left has nothing to say about coming back.
            let came = host.is_in() && (was_out || host.left || host.app != App::Before);
            let went = !host.is_in() && host.left;
            host.unsettled = was_in != host.is_in() && !on_the_way && (came || went);
        }
        if red(*id, *traffic) {
            let message = "the balancer's own check finds it bad, so it got no traffic".to_owned();
            host.fault = Some(Fault::Stuck { message });
        }
        if let (RouteOutcome::Failed(error), Some(work)) = (outcome, work) {
            host.fault = Some(match work.purpose {
                Purpose::Forward => Fault::Failed { error: error.clone() },
                Purpose::Rollback => Fault::Stuck { message: error.message.clone() },
            });
        }
    }
    match outcome {
        RouteOutcome::Failed(error) if together => {
            let times = state.route_trouble.as_ref().map_or(1, |trouble| trouble.times + 1);
            state.route_trouble = Some(RouteTrouble { times, error: error.clone() });
        }
        RouteOutcome::Applied | RouteOutcome::Partly { .. } => state.route_trouble = None,
        RouteOutcome::Failed(_) | RouteOutcome::Cancelled => {}
    }
}

fn instance(state: &mut State, (id, attempt): (AgentId, u32), error: Option<&str>) {
    let Some(host) = state.hosts.get_mut(&id) else { return };
    let Some(work) = host.work.filter(|_| host.attempt == attempt) else { return };
    match (work.stage, error) {
        // Its agent has to speak as well.
        (Stage::Launching, None) => {}
        (Stage::Launching, Some(error)) => {
            host.work = None;
            // Told twice, a provider may have made it all the same.
            host.app = App::Unknown;
            host.fault = Some(Fault::Failed { error: launch_failed(error) });
        }
        (Stage::Dismissing, None) => {
            host.work = None;
            host.app = App::Absent;
        }
        // What cannot be cleaned up is said; it undoes nothing.
        (Stage::Dismissing, Some(error)) => {
            host.work = None;
            let reason =
                format!("its instance could not be taken away: {error}; remove it by hand");
            host.excluded = Some(Excluded { by: "clean-up".to_owned(), reason });
        }
        _ => {}
    }
}

fn launch_failed(error: &str) -> TaskError {
    TaskError {
        code: ErrorCode::AgentError,
        message: format!("its instance could not be made: {error}"),
        step: None,
        command: None,
        touched: false,
    }
}
