//! What people may ask of a deployment as it stands, and what is wrong when they may not: the same
//! answer for whoever records the wish and for the engine, which hears it a moment later.

use super::event::{Closed, Facts, HoldAt};
use super::host::{App, Host};
use super::plan::{Plan, PlanHost, Step};
use super::state::{Phase, Promoted, State};
use crate::ids::AgentId;
use crate::protocol::task::Purpose;
use crate::time::Millis;

/// Who pauses a deployment that cannot be judged.
pub const THE_ANALYSIS: &str = "the analysis";

/// Whom a deployment waits for that may not start yet by its group's windows and freezes.
pub const THE_CALENDAR: &str = "the calendar";

/// Why somebody's wish cannot be followed now. `what` continues a sentence that begins with the
/// deployment: `d-7 has not begun`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub what: String,
    pub remedy: String,
}

type May = Result<(), Refused>;

fn refused(what: impl Into<String>, remedy: impl Into<String>) -> May {
    Err(Refused { what: what.into(), remedy: remedy.into() })
}

/// What keeps it from starting by the group's calendar: nothing does for a rollback, and for one that
/// somebody let pass.
#[must_use]
pub fn closed<'f>(plan: &Plan, state: &State, facts: &'f Facts) -> Option<&'f Closed> {
    let bound = plan.purpose == Purpose::Forward && state.overridden.is_none();
    facts.closed.as_ref().filter(|_| bound)
}

/// The step that waits for somebody's approval now.
#[must_use]
pub fn asks(plan: &Plan, state: &State) -> Option<usize> {
    let asks = matches!(plan.steps.get(state.step), Some(Step::Approve { .. }));
    let now = state.phase == Phase::Running && state.approved_by.is_none();
    (asks && now).then_some(state.step)
}

/// That it goes forward at this moment.
fn at_work(state: &State) -> May {
    match state.phase {
        Phase::Running => Ok(()),
        Phase::Queued => refused("has not begun", "wait until it has"),
        Phase::Failing | Phase::RollingBack => {
            refused("is turning back already", "wait for its end, then deploy again")
        }
        over => refused(
            format!("is over: {}", over.as_str().replace('-', " ")),
            "to go back to an earlier revision, use 'pipectl rollback'",
        ),
    }
}

/// What a promotion is about that is meant for this moment alone.
#[must_use]
pub fn hold_at(state: &State) -> HoldAt {
    HoldAt { step: state.step, generation: state.generation }
}

/// Ends the hold in progress, or with `full` all that come.
///
/// # Errors
/// When there is no hold to end.
pub fn may_promote(plan: &Plan, state: &State, full: bool) -> May {
    at_work(state)?;
    if let Some(pause) = state.paused.as_ref().filter(|pause| pause.by != THE_ANALYSIS) {
        return refused(format!("is paused by {}", pause.by), "resume it first");
    }
    if state.promoted == Promoted::All {
        return refused("is promoted to its end already", "there is nothing more to promote");
    }
    let Some(step) = plan.steps.get(state.step).filter(|_| !full) else { return Ok(()) };
    match step {
        Step::Hold { .. } => Ok(()),
        Step::Retire { keep, .. } if *keep > Millis::ZERO => Ok(()),
        Step::Approve { .. } => refused(
            "waits for an approval, and promoting is none",
            "approve or reject it: 'pipectl approve' or 'pipectl reject'",
        ),
        step => {
            let (number, total) = (state.step + 1, plan.steps.len());
            let sentence = step.sentence(plan);
            refused(
                format!("holds nothing back now: step {number} of {total} is to {sentence}"),
                "wait for the hold after it, or promote with --full to skip all that come",
            )
        }
    }
}

/// Which host is to be tried again, and whether its agent speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    pub host: AgentId,
    pub alive: bool,
}

/// # Errors
/// When the host has not failed, or its place in the plan is behind the deployment.
pub fn may_retry(plan: &Plan, state: &State, Retry { host: id, alive }: Retry) -> May {
    at_work(state)?;
    let (planned, host) = find(plan, state, id)?;
    let name = &planned.name;
    idle(planned, host)?;
    if host.fault.is_none() {
        return refused(format!("has nothing to try again on {name}: it has not failed"), "");
    }
    if !alive {
        let what = format!("cannot try {name} again: its agent is silent");
        return refused(what, "bring the agent back, or leave the host out: 'pipectl exclude'");
    }
    // What was done is done again from the last step that installs; what was never made is made by its
    // own step alone.
    let missing = planned.provisioned && matches!(host.app, App::Absent | App::Unknown);
    if missing && !plan.steps.get(state.step).is_some_and(|step| step.hosts().contains(&id)) {
        let what = format!("is past the step in which {name} is made");
        return refused(what, "go on without it, or abort and deploy again");
    }
    Ok(())
}

/// # Errors
/// When the host is half-way, updated already, or the last one.
pub fn may_exclude(plan: &Plan, state: &State, id: AgentId) -> May {
    if state.phase != Phase::Queued {
        at_work(state)?;
    }
    let (planned, host) = find(plan, state, id)?;
    let name = &planned.name;
    idle(planned, host)?;
    if host.fault.is_none() && (host.touched || host.left) {
        let what = match host.app {
            App::New => format!("has brought {name} to the new revision already"),
            _ => format!("is half-way through {name}"),
        };
        return refused(what, "to undo it, abort the deployment");
    }
    let others = plan.hosts.iter().filter(|other| other.id != id);
    let left = others.filter_map(|other| state.hosts.get(&other.id));
    if left.filter(|host| host.excluded.is_none()).count() == 0 {
        let what = format!("would have no host without {name}");
        return refused(what, "abort it instead: 'pipectl abort'");
    }
    Ok(())
}

/// Stops the way back, and leaves hosts as they are.
///
/// # Errors
/// When it does not turn back, or was told before.
pub fn may_halt(state: &State) -> May {
    match (&state.halt, state.phase) {
        (Some(halt), _) => refused(
            format!("was halted by {} already", halt.by),
            "what is running on hosts comes to its end first: 'pipectl explain'",
        ),
        (None, Phase::Failing | Phase::RollingBack) => Ok(()),
        (None, _) => refused(
            "does not turn back, so there is no way back to halt",
            "to stop it, abort it without --halt; the group's `rollback` says what happens then",
        ),
    }
}

/// Lets it start whatever the group's windows and freezes say.
///
/// # Errors
/// When they do not hold it back.
pub fn may_override(plan: &Plan, state: &State) -> May {
    if state.phase != Phase::Queued {
        return refused("has begun already", "windows and freezes hold nothing back any more");
    }
    if plan.purpose == Purpose::Rollback {
        return refused("is a rollback", "windows and freezes do not hold rollbacks back");
    }
    match &state.overridden {
        Some(overridden) => {
            let what = format!("was let through by {} already", overridden.by);
            refused(what, "see what else it waits for: 'pipectl explain'")
        }
        None => Ok(()),
    }
}

fn find<'a>(
    plan: &'a Plan,
    state: &'a State,
    id: AgentId,
) -> Result<(&'a PlanHost, &'a Host), Refused> {
    plan.host(id).zip(state.hosts.get(&id)).ok_or_else(|| Refused {
        what: format!("has no host {id}"),
        remedy: "see the hosts it has: 'pipectl explain'".to_owned(),
    })
}

/// Nobody is working on the host, and it was not left out.
fn idle(planned: &PlanHost, host: &Host) -> May {
    let name = &planned.name;
    if let Some(excluded) = &host.excluded {
        let what = format!("leaves {name} out, as {} wanted", excluded.by);
        return refused(what, "the host catches up with the next deployment");
    }
    if host.work.is_some() {
        let what = format!("is working on {name} at this moment");
        return refused(what, "wait until that ends, or abort the deployment");
    }
    Ok(())
}
