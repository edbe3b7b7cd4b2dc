//! What an unfinished deployment waits for, in words.

use super::event::Facts;
use super::host::Stage;
use super::people;
use super::plan::{Plan, Step};
use super::state::{Phase, State};
use super::turn::{overdue_at, route_overdue_at};
use crate::command::Waiting;
use crate::protocol::task::Purpose;
use crate::time::Timestamp;

/// Never empty for one that is unfinished.
#[must_use]
pub fn waiting(plan: &Plan, state: &State, facts: &Facts) -> Vec<Waiting> {
    if state.phase.is_final() {
        return Vec::new();
    }
    let mut list = Vec::new();
    if let Some(pause) = &state.paused {
        let what = format!("paused by {}; resume or abort it", pause.by);
        add(&mut list, what, "a person", pause.since, None, true);
    }
    match state.phase {
        Phase::Queued => queued(plan, state, facts, &mut list),
        Phase::Running => in_step(plan, state, facts, &mut list),
        _ => {}
    }
    hosts(plan, state, facts, &mut list);
    routes(plan, state, facts, &mut list);
    if list.is_empty() {
        let what = "the next look at its hosts".to_owned();
        add(&mut list, what, "the engine", state.step_since, None, false);
    }
    list
}

fn add(
    list: &mut Vec<Waiting>,
    what: String,
    whom: &str,
    since: Timestamp,
    until: Option<Timestamp>,
    person: bool,
) {
    list.push(Waiting { what, whom: whom.to_owned(), since, until, person });
}

fn queued(plan: &Plan, state: &State, facts: &Facts, list: &mut Vec<Waiting>) {
    if let Some(holder) = &facts.held_by {
        let what = format!("{holder} is unfinished in this group; one deployment runs at a time");
        add(list, what, holder, state.created_at, None, false);
    } else if let Some(closed) = people::closed(plan, state, facts) {
        let what = format!("deployments do not start now: {}", closed.reason);
        add(list, what, people::THE_CALENDAR, state.created_at, closed.until, false);
    } else if let Some(unread) = &facts.unread {
        let what = format!("{}, read before anything is planned", unread.what);
        add(list, what, &unread.whom, unread.since, None, false);
    } else if state.paused.is_none() {
        add(list, "its turn in the group".to_owned(), "the group", state.created_at, None, false);
    }
}

fn in_step(plan: &Plan, state: &State, facts: &Facts, list: &mut Vec<Waiting>) {
    let since = state.step_since;
    match plan.steps.get(state.step) {
        Some(Step::Hold { time, judge }) => {
            let verdict = facts.verdict.as_ref().filter(|verdict| verdict.step == state.step);
            let what = match verdict {
                Some(verdict) => format!("the hold of {time}: {}", verdict.reason),
                None if judge.is_some() => {
                    format!("the hold of {time}, and enough requests to judge by")
                }
                None => format!("the hold of {time}"),
            };
            add(list, what, "time", since, Some(since + *time), false);
        }
        Some(Step::Approve { timeout, promote_after }) => {
            let until = promote_after.unwrap_or(*timeout).min(*timeout);
            let what = "an approval to go on".to_owned();
            add(list, what, "a person", since, Some(since + until), true);
        }
        Some(Step::Retire { keep, .. }) if state.working().next().is_none() => {
            let what = format!("the old hosts are kept for {keep}, to go back to at once");
            add(list, what, "time", since, Some(since + *keep), false);
        }
        _ => {}
    }
}

fn hosts(plan: &Plan, state: &State, facts: &Facts, list: &mut Vec<Waiting>) {
    let provider_is_silent = facts.provider.is_some_and(|provider| !provider.alive);
    for (id, host) in state.working() {
        let Some(work) = &host.work else { continue };
        let name = plan.host_name(id);
        let place = facts.places.get(&id);
        let by_agent = matches!(work.stage, Stage::Leaving | Stage::Updating | Stage::Settling);
        let behind = place.and_then(|place| place.behind.as_ref()).filter(|_| by_agent);
        let what = match (work.cancelling, work.purpose, work.stage) {
            _ if let Some(first) = behind => format!("{name}, which is busy with {first}"),
            // Said with the order to the balancer.
            (_, _, Stage::Draining | Stage::Entering) => continue,
            (true, ..) => format!("{name} is stopping its work"),
            (_, Purpose::Rollback, Stage::Updating) => {
                format!("{name} is returning to its earlier revision")
            }
            (_, _, Stage::Updating) => format!("{name} is running its update"),
            (_, _, Stage::Leaving) => format!("{name} is getting ready to leave traffic"),
            (_, _, Stage::Settling) => format!("{name} is running its hook after the move"),
            (_, _, Stage::Launching) => format!("{name} is being launched"),
            (_, _, Stage::Dismissing) => format!("{name} is being taken away"),
        };
        let by_provider = matches!(work.stage, Stage::Launching | Stage::Dismissing);
        let what = if by_provider && provider_is_silent {
            format!("{what}; the agent that does this is silent")
        } else {
            what
        };
        add(list, what, &name, work.since, overdue_at(plan, work, place), false);
    }
}

fn routes(plan: &Plan, state: &State, facts: &Facts, list: &mut Vec<Waiting>) {
    let Some(router) = &plan.router else { return };
    let silent = if facts.is_alive(router.agent) { "" } else { "; the agent there is silent" };
    for route in &state.routes {
        let what = match route.orders.as_slice() {
            [(id, _)] => {
                let name = plan.host_name(*id);
                format!("{} is changing the traffic of {name}{silent}", router.name)
            }
            many => {
                let (name, count) = (&router.name, many.len());
                format!("{name} is changing the traffic of {count} hosts{silent}")
            }
        };
        let until = Some(route_overdue_at(plan, route));
        add(list, what, &router.name, route.since, until, false);
    }
}
