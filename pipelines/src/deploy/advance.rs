//! Moving as far as the facts allow. Looks at everything every time: a lost, doubled or late event
//! costs a look, never a decision.

use super::back;
use super::event::{Facts, MonitorState};
use super::faults;
use super::forward;
use super::host::{App, Stage};
use super::outlook;
use super::people;
use super::plan::Plan;
use super::state::{Cause, Phase, State};
use super::turn::Turn;
use crate::command::Command;
use crate::ids::AgentId;
use crate::time::Timestamp;
use std::collections::BTreeSet;

/// Moves `state` on and adds what is to be done to `commands`.
pub fn advance(
    plan: &Plan,
    state: &mut State,
    facts: &Facts,
    now: Timestamp,
    commands: &mut Vec<Command>,
) {
    if state.phase.is_final() {
        return;
    }
    let mut turn = Turn { plan, state, facts, now, commands };
    if turn.state.phase == Phase::Queued {
        turn.leave_queue();
    }
    if !turn.state.phase.is_final() && turn.state.phase != Phase::Queued {
        faults::notice(&mut turn);
    }
    if turn.state.phase == Phase::Running {
        turn.run();
    }
    match turn.state.phase {
        Phase::Failing => back::tidy(&mut turn),
        Phase::RollingBack => back::advance(&mut turn),
        _ => {}
    }
    if turn.state.phase.is_final() {
        if turn.state.phase == Phase::Succeeded {
            let good = turn.proved_good();
            turn.commands.push(Command::RecordGood { hosts: good });
        }
        turn.commands.push(Command::Finished);
    }
}

impl Turn<'_> {
    fn leave_queue(&mut self) {
        match &self.state.cause {
            Some(Cause::Superseded { .. }) => return self.finish(Phase::Superseded),
            Some(Cause::Refused { .. }) => return self.finish(Phase::Failed),
            Some(_) => return self.finish(Phase::Cancelled),
            None => {}
        }
        let facts = self.facts;
        let closed = people::closed(self.plan, self.state, facts).is_some();
        let held = facts.held_by.is_some() || closed || facts.unread.is_some();
        if held || self.state.paused.is_some() {
            return;
        }
        self.state.started_at = Some(self.now);
        self.state.step_since = self.now;
        self.state.generation = self.facts.group_generation + 1;
        self.state.phase = Phase::Running;
        let failing = self.facts.monitors.iter().filter(|fact| fact.state == MonitorState::Fail);
        self.state.ailing = failing.map(|fact| fact.name.clone()).collect();
        if let Some(reason) = self.refusal() {
            self.state.cause = Some(Cause::Refused { reason });
            self.finish(Phase::Failed);
        }
    }

    /// Better to find a silent agent now than after half the group was changed.
    fn refusal(&mut self) -> Option<String> {
        let (plan, facts) = (self.plan, self.facts);
        // Who was left out by word need not speak.
        let excluded = self.state.hosts.iter().filter(|(_, host)| host.excluded.is_some());
        let excluded: BTreeSet<AgentId> = excluded.map(|(id, _)| *id).collect();
        let speaks = |id| facts.is_alive(id) || excluded.contains(&id);
        let refused = outlook::refusal(plan, speaks);
        if refused.is_some() || !plan.host.skip_offline {
            return refused;
        }
        for host in outlook::silent(plan, speaks) {
            faults::skip_silent(self, host.id);
        }
        let left = self.state.hosts.values().any(|host| host.excluded.is_none());
        (!left).then(|| "every agent of the group is silent".to_owned())
    }

    fn run(&mut self) {
        // Before moving on: what failed in a step counts by that step's budget. And after it: a host of
        // the next one may have fallen silent before its turn.
        if self.state.cause.is_none() {
            self.state.cause = faults::cause(self);
        }
        while self.state.cause.is_none() {
            let step = self.state.step;
            forward::skip_done(self);
            self.state.cause = faults::cause(self);
            // Whoever was left out just now may have been all that the next step was about.
            if self.state.step == step {
                break;
            }
        }
        if self.state.cause.is_none() && self.state.step < self.plan.steps.len() {
            forward::step(self);
        }
        if self.state.cause.is_some() {
            return self.turn_back();
        }
        if self.state.step >= self.plan.steps.len() {
            self.finish(Phase::Succeeded);
        }
    }

    /// Stops going forward: by the cause and the group's policy into rollback, or into plain failure.
    fn turn_back(&mut self) {
        for (id, host) in &mut self.state.hosts {
            let attempt = host.attempt;
            let Some(work) = &mut host.work else { continue };
            let by_agent = matches!(work.stage, Stage::Leaving | Stage::Updating | Stage::Settling);
            if !std::mem::replace(&mut work.cancelling, true) && by_agent {
                self.commands.push(Command::CancelHost { host: *id, attempt });
            }
        }
        for route in &mut self.state.routes {
            if !std::mem::replace(&mut route.cancelling, true) {
                self.commands.push(Command::CancelRoute { attempt: route.attempt });
            }
        }
        let wanted = match &self.state.cause {
            Some(Cause::Stopped { .. } | Cause::Rejected { .. } | Cause::ApprovalExpired) => {
                self.plan.rollback.stop
            }
            Some(Cause::Alarm { .. } | Cause::Analysis { .. }) => self.plan.rollback.alarm,
            Some(_) => self.plan.rollback.failure,
            None => false,
        };
        let changed = back::is_changed(self);
        if changed && wanted && !self.is_past_return() {
            // Later commands outrank anything agents were told so far.
            self.state.generation += 1;
            self.state.rollback_at = Some(self.now);
            self.state.route_trouble = None;
            self.state.phase = Phase::RollingBack;
        } else if changed {
            self.state.route_trouble = None;
            self.state.phase = Phase::Failing;
        } else if matches!(self.state.cause, Some(Cause::Stopped { .. })) {
            self.finish(Phase::Cancelled);
        } else {
            self.finish(Phase::Failed);
        }
    }

    /// Something ran that no older revision undoes: going back needs a person's word. Or hosts that
    /// served the earlier revision are gone: going back would leave too few, or none.
    fn is_past_return(&self) -> bool {
        let ran = !self.plan.irreversible.is_empty()
            && self.state.hosts.values().any(|host| host.touched);
        let gone = self.plan.hosts.iter().filter(|planned| !planned.provisioned).any(|planned| {
            let host = self.host(planned.id);
            host.app == App::Absent || host.work.is_some_and(|w| w.stage == Stage::Dismissing)
        });
        ran || gone
    }

    pub(super) fn finish(&mut self, phase: Phase) {
        self.state.phase = phase;
        self.state.finished_at = Some(self.now);
        self.state.paused = None;
    }

    /// Only those: a host that was left out keeps what was good there.
    fn proved_good(&self) -> Vec<AgentId> {
        let good = |id: &AgentId| {
            let host = self.host(*id);
            host.app == App::New && host.fault.is_none() && host.excluded.is_none()
        };
        self.plan.hosts.iter().map(|planned| planned.id).filter(good).collect()
    }
}
