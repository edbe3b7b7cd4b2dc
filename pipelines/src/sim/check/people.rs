//! Whether people are heard: aborts, pauses, approvals, and the calendar that yields to them.

use super::Found;
use crate::command::Command;
use crate::deploy::{App, Event, Phase, State};
use crate::ids::AgentId;
use crate::protocol::task::Purpose;
use crate::sim::play::Play;

/// I18, that a stale page decides nothing, and that the calendar yields to people.
pub(super) fn heard(play: &Play<'_>, before: &State, event: &Event, found: &mut Found) {
    let after = &play.state;
    if play.plan.purpose == Purpose::Rollback {
        let held = after.phase == Phase::Queued && after.paused.is_none();
        found.must(!held, "calendar", "a rollback waited for the calendar");
    }
    match event {
        Event::Abort { .. } => {
            let open = matches!(before.phase, Phase::Queued | Phase::Running);
            let stopped = !matches!(after.phase, Phase::Queued | Phase::Running);
            found.must(!open || stopped, "I18", "an abort was not obeyed");
        }
        Event::Halt { .. } => {
            let turns_back = matches!(before.phase, Phase::Failing | Phase::RollingBack);
            let heard = after.halt.is_some() || after.phase.is_final();
            found.must(!turns_back || heard, "I18", "a halt was not heard");
        }
        Event::Pause { .. } => {
            let heard = after.paused.is_some() || after.phase.is_final();
            found.must(heard, "I17", "a pause was not heard");
        }
        Event::Override { .. } => {
            let held = after.phase == Phase::Queued && after.paused.is_none();
            found.must(!held, "calendar", "an override was not heard");
        }
        Event::Decide { generation, .. } if *generation != before.generation => {
            let same = before.approved_by == after.approved_by;
            found.must(same, "approval", "a stale page approved something");
        }
        _ => {}
    }
}

/// I18: after a halt nothing is begun. Hosts that are on their way back come to its end.
pub(super) fn halted(state: &State, command: &Command, found: &mut Found) {
    let begun = |id: AgentId| {
        let host = &state.hosts[&id];
        let ordered = state.routes.iter().any(|route| route.is_about(id));
        let begun = host.left || host.unsettled || host.app == App::Restored;
        begun || ordered || host.work.is_some()
    };
    let goes_on = match command {
        Command::StartHost { host, .. } => begun(*host),
        // One that failed half-way is told again.
        Command::Route { orders, .. } => {
            state.route_trouble.is_some() || orders.iter().all(|(host, _)| begun(*host))
        }
        Command::Dismiss { .. } | Command::Launch { .. } => false,
        _ => true,
    };
    found.must(state.halt.is_none() || goes_on, "I18", "something was begun after a halt");
}

/// Whether it stays in the queue until a time that is known, so that somebody has to look then.
pub(super) fn is_waited_out(play: &Play<'_>) -> bool {
    let bound = play.plan.purpose == Purpose::Forward && play.state.overridden.is_none();
    bound && play.facts.closed.as_ref().is_some_and(|closed| closed.until.is_some())
}
