//! What must hold at every step, checked on every decision in production, in tests and in the
//! simulator. Numbers are those of the delivery rules (I1 to I30) where one applies.

use super::event::Facts;
use super::plan::Plan;
use super::state::{HostState, Phase, State};
use crate::command::{Command, Waiting};
use crate::protocol::task::Purpose;

/// Everything the step from `before` to `after` breaks; empty when all is well.
#[must_use]
pub fn check(
    plan: &Plan,
    before: &State,
    after: &State,
    facts: &Facts,
    commands: &[Command],
    waiting: &[Waiting],
) -> Vec<String> {
    let mut broken = Vec::new();
    let mut must = |holds: bool, text: &str| {
        if !holds {
            broken.push(text.to_owned());
        }
    };
    must(after.generation >= before.generation, "I4: the generation fell");
    if before.phase.is_final() {
        must(after.phase == before.phase, "a final phase changed");
        must(commands.is_empty(), "a finished deployment did something");
    }
    must(after.phase.is_final() || !waiting.is_empty(), "unfinished without a reason");
    let everyone_updated = after.hosts.values().all(|host| host.state == HostState::Updated);
    must(after.phase != Phase::Succeeded || everyone_updated, "I10: success without every host");
    let back = after.hosts.values().all(|host| {
        !host.touched
            || matches!(host.state, HostState::RolledBack)
            || matches!(host.state, HostState::Pending)
    });
    must(after.phase != Phase::RolledBack || back, "I7: rolled back, but a touched host is not");
    for command in commands {
        check_command(plan, before, after, facts, command, &mut must);
    }
    broken
}

fn check_command(
    plan: &Plan,
    before: &State,
    after: &State,
    facts: &Facts,
    command: &Command,
    must: &mut impl FnMut(bool, &str),
) {
    match command {
        Command::StartHost { host, purpose, generation, revision, .. } => {
            let planned = plan.host(*host);
            must(planned.is_some(), "I8: work for a host outside the plan");
            must(*generation == after.generation, "I4: a command of an old generation");
            must(facts.is_alive(*host), "I9: work for a silent host");
            match purpose {
                Purpose::Forward => {
                    must(after.phase == Phase::Running, "forward work while not running");
                    must(
                        before.paused.is_none() || after.paused.is_none(),
                        "I17: work while paused",
                    );
                    must(*revision == plan.revision, "another revision than planned");
                }
                Purpose::Rollback => {
                    must(after.phase == Phase::RollingBack, "rollback work while not rolling back");
                    let target = planned.and_then(|planned| planned.prior.as_ref());
                    must(
                        target == Some(revision),
                        "I7: a rollback target that is not the prior one",
                    );
                    let touched = before.hosts.get(host).is_some_and(|h| h.touched)
                        || after.hosts.get(host).is_some_and(|h| h.touched);
                    must(touched, "I8: rollback of an untouched host");
                }
            }
            // The floor may be undercut by faults, never by our own starts.
            let was_serving = match before.hosts.get(host).map(|h| &h.state) {
                Some(HostState::Pending) => planned.is_some_and(|planned| planned.serving),
                Some(HostState::Updated) => true,
                _ => false,
            };
            let left = super::advance::available(plan, after, facts);
            let floor = match purpose {
                Purpose::Forward => plan.limits.min_healthy,
                Purpose::Rollback => plan.limits.rollback_min_healthy,
            };
            must(!was_serving || left >= floor, "I1: too few hosts left in service");
        }
        Command::RecordGood => must(after.phase == Phase::Succeeded, "I11: a failed base revision"),
        Command::Finished => must(after.phase.is_final(), "finished, but not final"),
        Command::CancelHost { .. } | Command::RecordHost { .. } | Command::WakeAt { .. } => {}
        Command::FetchSource { .. }
        | Command::StartBuild { .. }
        | Command::CancelBuild { .. }
        | Command::StartDeployment { .. }
        | Command::AbortDeployment { .. } => must(false, "a run's command from a deployment"),
    }
}
