//! What happens to a fleet from outside: agents that fall silent, and people who intervene.

use super::fleet::index_of;
use super::play::{LEASE, Play};
use super::scenario::{ROUTER, version_of};
use super::word::Word;
use crate::deploy::event::{MonitorFact, MonitorState, StepVerdict, Verdict};
use crate::deploy::people::hold_at;
use crate::deploy::{Closed, Event, Phase, Step};
use crate::ids::AgentId;
use crate::time::Timestamp;

impl Play<'_> {
    /// Every few seconds something may happen; when it is calm, everybody comes back and people answer.
    pub fn mischief(&mut self) {
        if self.state.phase.is_final() {
            return;
        }
        if self.is_calm() {
            self.be_calm();
        } else {
            if self.dice.permille(self.faults.silent) {
                self.fall_silent();
            }
            if self.dice.permille(self.faults.people) {
                let event = self.intervention();
                self.queue.put(self.now, Word::Say(event));
            }
        }
        self.answer_approvals();
        let next = if self.is_calm() { 60_000 } else { self.dice.millis(500, 20_000) };
        self.queue.put(self.now + next, Word::Mischief);
    }

    fn be_calm(&mut self) {
        // A calendar without an end is corrected by somebody, and the engine told to look.
        if self.facts.closed.as_ref().is_some_and(|closed| closed.until.is_none()) {
            self.facts.closed = None;
            self.queue.put(self.now, Word::Say(Event::Tick));
        }
        if self.state.paused.is_some() {
            self.queue.put(self.now, Word::Say(Event::Resume { by: "ada".into() }));
        }
        if !self.router.connected {
            self.queue.put(self.now, Word::Back(ROUTER));
        }
        for index in 0..self.hosts.len() {
            let real = &self.hosts[index];
            if real.exists && !real.connected && !real.lost_for_good {
                self.queue.put(self.now, Word::Back(AgentId(index as i64 + 1)));
            }
        }
    }

    /// Now and then a deployment arrives while its group is closed, for hours or without an end.
    pub fn close(&mut self) {
        if !self.dice.permille(self.faults.people * 2) {
            return;
        }
        let opens = self.now + self.dice.millis(1000, 7_200_000);
        let until = (!self.dice.permille(200)).then_some(Timestamp(opens));
        self.facts.closed = Some(Closed { reason: "a freeze".to_owned(), until });
    }

    fn fall_silent(&mut self) {
        let ids: Vec<AgentId> = self.plan.hosts.iter().map(|planned| planned.id).collect();
        let Some(id) = self.dice.pick(&ids).copied() else { return };
        if self.dice.permille(100) {
            self.router.connected = false;
            let back = self.now + self.dice.millis(100, LEASE * 3);
            self.queue.put(self.now + LEASE, Word::Lapsed(ROUTER));
            self.queue.put(back, Word::Back(ROUTER));
            return;
        }
        let index = index_of(id);
        if !self.hosts[index].exists || !self.hosts[index].connected {
            return;
        }
        self.tell(|| format!("{id} falls silent"));
        if self.dice.permille(300) {
            // The agent alone was restarted: it says so at once.
            if let Some((attempt, outcome)) = self.hosts[index].stop(None) {
                let at = self.now + self.dice.millis(100, 3000);
                let event = Event::HostFinished { host: id, attempt, outcome };
                self.queue.put(at, Word::Say(event));
            }
            return;
        }
        self.hosts[index].connected = false;
        self.queue.put(self.now + LEASE, Word::Lapsed(id));
        if self.dice.permille(self.faults.gone) {
            self.hosts[index].lost_for_good = true;
        } else {
            let back = self.now + self.dice.millis(1000, LEASE * 4);
            self.queue.put(back, Word::Back(id));
        }
    }

    fn intervention(&mut self) -> Event {
        let by = || "ada".to_owned();
        let ids: Vec<AgentId> = self.plan.hosts.iter().map(|planned| planned.id).collect();
        let host = self.dice.pick(&ids).copied().unwrap_or(AgentId(1));
        let turns_back = matches!(self.state.phase, Phase::Failing | Phase::RollingBack);
        if turns_back && self.dice.permille(250) {
            return Event::Halt { by: by(), reason: String::new() };
        }
        match self.dice.below(13) {
            0 => Event::Abort { by: by(), reason: String::new() },
            1..=3 => Event::Pause { by: by(), reason: String::new() },
            4..=6 => Event::Resume { by: by() },
            7 => {
                let full = self.dice.permille(300);
                // Half of them come late: they were meant for the step before.
                let mut at = hold_at(&self.state);
                at.step = at.step.saturating_sub(usize::from(self.dice.permille(500)));
                Event::Promote { by: by(), full, at: (!full).then_some(at) }
            }
            8 => Event::Retry { by: by(), host },
            9 => Event::Exclude { by: by(), host, reason: String::new() },
            10 => Event::Supersede { by: by() },
            11 => Event::Override { by: by(), reason: String::new() },
            _ => {
                // A page from before: it must decide nothing.
                let generation = self.state.generation.wrapping_sub(1);
                let (step, reason) = (self.state.step, String::new());
                Event::Decide { by: by(), step, generation, approve: true, reason }
            }
        }
    }

    fn answer_approvals(&mut self) {
        let waits = matches!(self.plan.steps.get(self.state.step), Some(Step::Approve { .. }));
        let due = self.is_calm() || self.dice.permille(100);
        if self.state.phase != Phase::Running || !waits || !due {
            return;
        }
        let approve = self.is_calm() || !self.dice.permille(200);
        let (step, generation) = (self.state.step, self.state.generation);
        let (by, reason) = ("eve".to_owned(), String::new());
        let event = Event::Decide { by, step, generation, approve, reason };
        self.queue.put(self.now, Word::Say(event));
    }

    /// What the monitors and the judge say by now.
    pub fn look_around(&mut self) {
        self.facts.patient = self.now < self.patient_until;
        let over = |closed: &mut Closed| closed.until.is_some_and(|until| until.0 <= self.now);
        self.facts.closed.take_if(over);
        let new = version_of(&self.plan.revision);
        let shows = |real: &super::fleet::Real| {
            real.exists
                && real.version == new
                && (real.weight.is_some() || self.plan.router.is_none())
        };
        let visible = self.bad && self.hosts.iter().any(shows);
        let silent = !self.is_calm() && self.dice.permille(self.faults.no_data);
        let state = match (silent, visible) {
            (true, _) => MonitorState::NoData,
            (false, true) => MonitorState::Fail,
            (false, false) => MonitorState::Ok,
        };
        self.facts.monitors.clear();
        for name in &self.plan.monitors {
            let reason = String::new();
            self.facts.monitors.push(MonitorFact {
                name: name.clone(),
                state,
                reason,
                looked_at: Timestamp(self.now),
            });
        }
        let judged =
            matches!(self.plan.steps.get(self.state.step), Some(Step::Hold { judge: Some(_), .. }));
        self.facts.verdict = judged.then(|| {
            let verdict = match state {
                MonitorState::NoData => Verdict::Inconclusive,
                MonitorState::Fail => Verdict::Fail,
                MonitorState::Ok if self.held_for().0 > 20_000 => Verdict::Pass,
                MonitorState::Ok => Verdict::Inconclusive,
            };
            StepVerdict { step: self.state.step, verdict, reason: String::new() }
        });
    }
}
