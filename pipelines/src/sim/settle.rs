//! Carrying words: commands to the fleet, and what the fleet answers back.

use super::fleet::{HostTask, Refusal, RouteTask, index_of};
use super::play::{LEASE, Play};
use super::scenario::{ROUTER, version_of};
use super::word::Word;
use crate::command::{Command, Serving};
use crate::deploy::retention::Keep;
use crate::deploy::{Event, HostOutcome, Lane, PlanHost, RouteOutcome};
use crate::ids::AgentId;

impl Play<'_> {
    /// What a committed decision asked for.
    pub fn perform(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::StartHost { host, attempt, generation, purpose, parts } => {
                    let target = self.plan.target(host, purpose).map_or(0, version_of);
                    let prior = self.plan.host(host).and_then(|planned| planned.prior.as_ref());
                    let pinned = prior.map(version_of);
                    let number = self.plan.host.keep_releases + 1;
                    let keep = Keep { number, bytes: None };
                    let task = HostTask { host, attempt, generation, parts, target, pinned, keep };
                    self.send(Word::Task(task), 400);
                }
                Command::CancelHost { host, attempt } => {
                    self.send(Word::Cancel(host, attempt), 400);
                }
                Command::Route { attempt, generation, orders, cohort, partial } => {
                    let task = RouteTask { attempt, generation, orders, cohort, partial };
                    self.send(Word::Route(task), 8000);
                }
                Command::CancelRoute { attempt } => self.send(Word::CancelRoute(attempt), 400),
                Command::Launch { host, attempt } => self.send(Word::Launch(host, attempt), 5000),
                Command::Dismiss { host, attempt } => self.send(Word::Dismiss(host, attempt), 3000),
                Command::RecordHost { host, serving } => {
                    self.database[index_of(host)].noted = true;
                    self.database[index_of(host)].serving = match serving {
                        Serving::Revision(revision) => Some(version_of(&revision)),
                        Serving::Unknown | Serving::Broken => None,
                    };
                }
                Command::RecordTraffic { host, lane, weight } => {
                    let known = &mut self.database[index_of(host)];
                    (known.lane, known.weight) = (lane, Some(weight));
                }
                Command::RecordGood { hosts } => {
                    for host in hosts {
                        self.database[index_of(host)].good = Some(version_of(&self.plan.revision));
                    }
                }
                Command::WakeAt { at } => {
                    let at = at.0.max(self.now + 1);
                    if self.seen.wake_at != Some(at) {
                        self.seen.wake_at = Some(at);
                        self.queue.put(at, Word::Say(Event::Tick));
                    }
                }
                _ => {}
            }
        }
    }

    /// A word on its way: it may be late, doubled, or lost and said again.
    fn send(&mut self, word: Word, slowest: i64) {
        let start = self.now.max(self.up_at);
        let (lost, doubled) =
            if self.is_calm() { (0, 0) } else { (self.faults.lost, self.faults.doubled) };
        if self.dice.permille(doubled) {
            let at = start + self.dice.millis(1, slowest * 4);
            self.queue.put(at, word.clone());
        }
        let again = if self.dice.permille(lost) { self.dice.millis(1000, 40_000) } else { 0 };
        let at = start + again + self.dice.millis(1, slowest);
        self.queue.put(at, word);
    }

    pub fn hear(&mut self, word: Word) {
        match word {
            Word::Say(event) => self.decide(event),
            Word::Task(task) => self.task(task),
            Word::Cancel(host, attempt) => self.cancel(host, attempt),
            Word::Ended(host, attempt) => {
                match self.hosts[index_of(host)].end(attempt) {
                    Ok(Some(outcome)) => self.report(host, attempt, outcome),
                    Ok(None) => {}
                    Err(rule) => self.broken(&rule[..3], rule),
                }
                if !self.hosts[index_of(host)].is_complete() {
                    self.broken("I24", "`current` leads to a release that is not there");
                }
            }
            Word::Route(task) => self.route(task),
            Word::CancelRoute(attempt) => self.cancel_route(attempt),
            Word::Launch(host, attempt) => self.launch(host, attempt),
            Word::Dismiss(host, attempt) => self.dismiss(host, attempt),
            Word::Lapsed(host) => self.lapsed(host),
            Word::Back(host) => self.back(host),
            Word::Mischief => self.mischief(),
        }
    }

    fn report(&mut self, host: AgentId, attempt: u32, outcome: HostOutcome) {
        self.send(Word::Say(Event::HostFinished { host, attempt, outcome }), 400);
    }

    fn task(&mut self, task: HostTask) {
        let index = index_of(task.host);
        let (exists, lost) = (self.hosts[index].exists, self.hosts[index].lost_for_good);
        if !exists || lost {
            return;
        }
        // The agent polls when it can; it has one thing to do at a time.
        if !self.hosts[index].connected || self.hosts[index].is_busy() {
            let at = self.now + self.dice.millis(500, 5000);
            // Told of the old one's end, the controller does not hand it out any more.
            if self.is_wanted(&task) {
                self.queue.put(at, Word::Task(task));
            }
            return;
        }
        let (host, attempt) = (task.host, task.attempt);
        let faults = if self.is_calm() { super::Faults::NONE } else { self.faults };
        match self.hosts[index].begin(&task, &mut self.dice, &faults) {
            Ok(true) => {
                let at = self.now + self.dice.millis(100, 20_000);
                self.queue.put(at, Word::Ended(host, attempt));
            }
            Ok(false) => {}
            Err(Refusal::Answer(outcome)) => self.report(host, attempt, outcome),
            Err(Refusal::Broken(rule)) => self.broken(&rule[..2], rule),
        }
    }

    /// Whether the controller still has the task in its hands.
    fn is_wanted(&self, task: &HostTask) -> bool {
        let current = self.state.hosts.get(&task.host);
        current.is_some_and(|host| host.work.is_some() && host.attempt == task.attempt)
    }

    fn cancel(&mut self, host: AgentId, attempt: u32) {
        let real = &mut self.hosts[index_of(host)];
        if !real.exists || real.lost_for_good {
            return;
        }
        if !real.connected {
            let at = self.now + self.dice.millis(500, 5000);
            self.queue.put(at, Word::Cancel(host, attempt));
        } else if let Some((attempt, outcome)) = real.stop(Some(attempt)) {
            self.report(host, attempt, outcome);
        }
    }

    fn route(&mut self, task: RouteTask) {
        if !self.router.connected {
            let at = self.now + self.dice.millis(500, 5000);
            if self.state.routes.iter().any(|route| route.attempt == task.attempt) {
                self.queue.put(at, Word::Route(task));
            }
            return;
        }
        let before = self.reached();
        let faults = if self.is_calm() { super::Faults::NONE } else { self.faults };
        match self.router.apply(&task, &mut self.hosts, &mut self.dice, &faults) {
            Ok(Some(outcome)) => {
                let limits = &self.plan.limits;
                let lone = limits.min_healthy == 0
                    || limits.rollback_min_healthy == 0
                    || !self.plan.hosts.iter().any(PlanHost::had_traffic);
                if before > 0 && self.reached() == 0 && !lone && outcome == RouteOutcome::Applied {
                    self.broken("I15", "nobody is left to send traffic to");
                }
                self.seen_traffic();
                let attempt = task.attempt;
                let outcome = self.by_name(outcome);
                self.send(Word::Say(Event::Routed { attempt, outcome }), 300);
            }
            Ok(None) => {}
            Err(rule) => self.broken(&rule[..2], rule),
        }
    }

    /// A balancer knows servers by their names.
    fn by_name(&self, outcome: RouteOutcome) -> RouteOutcome {
        let RouteOutcome::Partly { out } = outcome else { return outcome };
        let hosts = self.plan.hosts.iter().filter(|host| out.contains(&host.id.to_string()));
        RouteOutcome::Partly { out: hosts.map(|host| host.name.clone()).collect() }
    }

    /// Hosts that get traffic and can answer it.
    fn reached(&self) -> usize {
        self.hosts.iter().filter(|real| real.exists && real.sound && real.weight.is_some()).count()
    }

    fn cancel_route(&mut self, attempt: u32) {
        let (generation, orders, cohort) = (u64::MAX, Vec::new(), Vec::new());
        let task = RouteTask { attempt, generation, orders, cohort, partial: false };
        // Whatever of it was done is done; an empty order marks the rest as not to be done.
        if self.router.connected && self.router.forget(&task) {
            let outcome = RouteOutcome::Cancelled;
            self.send(Word::Say(Event::Routed { attempt, outcome }), 300);
        } else if !self.router.connected {
            let at = self.now + self.dice.millis(500, 5000);
            self.queue.put(at, Word::CancelRoute(attempt));
        }
    }

    fn launch(&mut self, host: AgentId, attempt: u32) {
        if self.hosts[index_of(host)].exists || self.seen.dismissed.contains(&host) {
            return;
        }
        let fails = !self.is_calm() && self.dice.permille(self.faults.work_fails);
        let error = fails.then(|| "no room".to_owned());
        if error.is_none() {
            let real = &mut self.hosts[index_of(host)];
            (real.exists, real.connected) = (true, true);
            self.set_alive(host, true);
        }
        self.send(Word::Say(Event::Instance { host, attempt, error }), 2000);
    }

    fn dismiss(&mut self, host: AgentId, attempt: u32) {
        let index = index_of(host);
        if self.hosts[index].exists && self.hosts[index].weight.is_some() {
            self.broken("I16", "an instance was taken away under traffic");
        }
        let fails = !self.is_calm() && self.dice.permille(self.faults.work_fails);
        if !fails {
            self.hosts[index] = super::fleet::Real::not_yet();
            self.database[index].registered = false;
            self.seen.dismissed.push(host);
            self.set_alive(host, false);
        }
        let error = fails.then(|| "it hangs".to_owned());
        self.send(Word::Say(Event::Instance { host, attempt, error }), 500);
    }

    /// The agent kills its own work when it cannot reach the controller for so long.
    fn lapsed(&mut self, host: AgentId) {
        if host == ROUTER {
            if !self.router.connected {
                self.set_alive(host, false);
            }
            return;
        }
        let index = index_of(host);
        if self.hosts[index].connected || !self.hosts[index].exists {
            return;
        }
        self.set_alive(host, false);
        if let Some((attempt, outcome)) = self.hosts[index].stop(None) {
            // Said when it is back.
            let at = self.now + LEASE;
            let event = Event::HostFinished { host, attempt, outcome };
            if !self.hosts[index].lost_for_good {
                self.queue.put(at, Word::Say(event));
            }
        }
        self.queue.put(self.now, Word::Say(Event::Tick));
    }

    fn back(&mut self, host: AgentId) {
        if host == ROUTER {
            self.router.connected = true;
        } else if self.hosts[index_of(host)].exists {
            self.hosts[index_of(host)].connected = true;
        } else {
            return;
        }
        self.set_alive(host, true);
        self.queue.put(self.now, Word::Say(Event::Tick));
    }

    fn set_alive(&mut self, host: AgentId, alive: bool) {
        let last_seen = Some(crate::time::Timestamp(self.now));
        self.facts.hosts.insert(host, crate::deploy::HostFacts { alive, last_seen });
    }

    /// The share of the new revision right after the balancer changed.
    fn seen_traffic(&mut self) {
        let new = version_of(&self.plan.revision);
        let weights = |on_new: bool| -> u64 {
            let hosts =
                self.hosts.iter().filter(|real| real.exists && (real.version == new) == on_new);
            hosts.filter_map(|real| real.weight).map(u64::from).sum()
        };
        self.seen.share = (weights(true), weights(false));
        let astray = |real: &super::fleet::Real| {
            real.cohort
                && !(real.exists && real.sound && real.weight.is_some() && real.version == new)
        };
        if self.hosts.iter().any(astray) {
            self.broken("I2", "a cohort is sent to what is not the new revision, validated");
        }
    }

    /// What the router's lanes are for a host, as far as the real one says.
    pub fn real_lane(&self, host: AgentId) -> Lane {
        match self.hosts[index_of(host)].weight {
            Some(weight) => Lane::In { weight },
            None => Lane::Out,
        }
    }
}
