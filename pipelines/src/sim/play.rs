//! One seed: deployments one after the other on the same fleet, each carried to its end.

use super::check::{self, Seen};
use super::fleet::{ADOPTED, Real, Router, Version, index_of};
use super::scenario::{self, ROUTER, Scenario, revision, version_of};
use super::script::{self, Script};
use super::word::{Queue, Word};
use super::{Dice, Faults, Settings, Story, Violation};
use crate::command::Command;
use crate::deploy::strategy::{self, Member, Order};
use crate::deploy::{Event, Facts, HostFacts, Lane, Phase, Plan, State};
use crate::ids::{AgentId, DeploymentId};
use crate::protocol::task::Purpose;
use crate::time::{Millis, Timestamp};

/// Words per deployment after which it counts as stuck; real ones need a few hundred.
const WORDS_MAX: u32 = 60_000;
/// Silence after which an agent counts as lost, ms.
pub const LEASE: i64 = 30_000;

pub struct Play<'s> {
    pub dice: Dice,
    pub faults: Faults,
    pub now: i64,
    pub queue: Queue,
    pub plan: Plan,
    pub state: State,
    pub facts: Facts,
    pub hosts: Vec<Real>,
    pub router: Router,
    pub bad: bool,
    /// From then on nothing goes wrong any more, and people answer.
    pub calm_at: i64,
    /// The controller is down until then.
    pub up_at: i64,
    pub patient_until: i64,
    pub database: Vec<Known>,
    pub seen: Seen,
    pub story: Story,
    settings: Settings<'s>,
    scenario: Scenario,
    base: Option<Version>,
    generation: u64,
    tell: bool,
    /// What a second controller still believes.
    old: Option<State>,
    /// Everything the engine was told, to see whether it can be told again.
    log: Option<Vec<(Event, Facts, i64)>>,
}

/// What the controller's database has about a host.
#[derive(Debug, Clone)]
pub struct Known {
    pub name: String,
    pub tags: std::collections::BTreeMap<String, String>,
    pub serving: Option<Version>,
    /// Something was noted of what it serves, be it that nobody knows.
    pub noted: bool,
    pub good: Option<Version>,
    pub lane: Lane,
    pub weight: Option<u16>,
    pub instance: bool,
    pub registered: bool,
}

impl<'s> Play<'s> {
    pub fn new(mut dice: Dice, scenario: Scenario, settings: &Settings<'s>, tell: bool) -> Self {
        let faults = scenario::weather(settings.faults, &mut dice);
        let version = |member: &Member| member.serving.as_ref().map(version_of);
        let hosts = scenario.members.iter().map(|member| {
            let weight = match member.lane {
                Lane::In { weight } => Some(weight),
                _ => None,
            };
            let there = if member.answers { ADOPTED } else { 0 };
            Real::new(version(member).unwrap_or(there), weight)
        });
        let hosts = hosts.collect();
        let database = scenario.members.iter().map(|member| Known {
            name: member.name.clone(),
            tags: member.tags.clone(),
            serving: version(member),
            noted: member.serving.is_some(),
            good: version(member),
            lane: member.lane,
            weight: member.weight,
            instance: member.instance,
            registered: true,
        });
        let database: Vec<Known> = database.collect();
        let base = database.iter().find_map(|known| known.good);
        let order = order(1, 1, Purpose::Forward);
        let plan = strategy::refused(&scenario.group, order);
        let state = State::new(&plan, Timestamp(0));
        let log = dice.permille(40).then(Vec::new);
        Play {
            faults,
            now: 0,
            queue: Queue::default(),
            plan,
            state,
            facts: Facts::default(),
            hosts,
            router: Router::new(),
            bad: false,
            calm_at: 0,
            up_at: 0,
            patient_until: 0,
            database,
            seen: Seen::default(),
            story: Story::default(),
            settings: settings.clone(),
            scenario,
            base,
            generation: 0,
            tell,
            old: None,
            log,
            dice,
        }
    }

    pub fn into_story(self) -> Story {
        self.story
    }

    /// A new revision, and then another one or the way back.
    pub fn whole_story(&mut self) {
        if !self.deployment(1, 2, Purpose::Forward) {
            return;
        }
        let back = self.base == Some(2) && self.dice.permille(400);
        let (version, purpose) = if back { (1, Purpose::Rollback) } else { (3, Purpose::Forward) };
        if self.dice.permille(500) {
            self.deployment(2, version, purpose);
        }
    }

    /// False when something was wrong.
    fn deployment(&mut self, id: i64, version: Version, purpose: Purpose) -> bool {
        let members = self.members();
        let first_new = i64::try_from(self.hosts.len()).unwrap_or(0) + 1;
        let fleet = scenario::fleet(&self.scenario, members, first_new);
        let compiled = strategy::compile(&self.scenario.group, &fleet, order(id, version, purpose));
        let Ok(plan) = compiled else {
            self.tell(|| "the plan was refused".to_owned());
            self.story.ends.push(Phase::Failed);
            return true;
        };
        for (_, name) in &fleet.new {
            self.hosts.push(Real::not_yet());
            self.database.push(Known {
                name: name.clone(),
                tags: std::collections::BTreeMap::new(),
                serving: None,
                noted: false,
                good: None,
                lane: Lane::Gone,
                weight: None,
                instance: true,
                registered: true,
            });
        }
        self.check_targets(&plan);
        self.begin(plan);
        let mut words = 0;
        while !self.state.phase.is_final() {
            let Some((at, word)) = self.queue.next() else {
                self.broken("I20", "unfinished, and nothing will ever happen again");
                return false;
            };
            self.now = self.now.max(at);
            self.hear(word);
            words += 1;
            if words > WORDS_MAX {
                let state = format!(
                    "{:?} {:?} {:?} {:?}",
                    self.state, self.facts, self.plan.steps, self.plan.limits
                );
                self.tell(|| state);
                self.broken("I20", "it does not come to an end");
            }
            if !self.story.violations.is_empty() {
                return false;
            }
        }
        self.finish();
        self.story.violations.is_empty()
    }

    /// I11 and I30: what would be gone back to is what last succeeded there, nothing half-done.
    fn check_targets(&mut self, plan: &Plan) {
        for planned in plan.hosts.iter().filter(|planned| !planned.provisioned) {
            let known = &self.database[index_of(planned.id)];
            let wanted = known.good.or(self.base);
            if planned.prior.as_ref().map(version_of) != wanted {
                self.broken("I30", "a rollback target that is not the last success");
                return;
            }
        }
    }

    fn begin(&mut self, plan: Plan) {
        self.tell(|| {
            format!("--- {} of {}: {}", plan.revision.label, plan.hosts.len(), plan.strategy)
        });
        self.hosts.iter_mut().for_each(Real::forget_attempts);
        self.router.forget_attempts();
        self.queue.clear();
        self.seen = Seen::default();
        self.bad = self.dice.permille(self.faults.bad);
        self.calm_at = self.now + self.dice.millis(10_000, 1_200_000);
        self.state = State::new(&plan, Timestamp(self.now));
        self.old = None;
        if self.tell {
            self.story.scripts.push(Script::new(&plan, self.now));
        }
        self.plan = plan;
        let hosts = self.hosts.iter().enumerate().filter(|(_, real)| real.exists);
        let ids = hosts.map(|(index, real)| (AgentId(index as i64 + 1), real.connected));
        let ids = ids.chain([(ROUTER, self.router.connected)]);
        let fact = |alive| HostFacts { alive, last_seen: Some(Timestamp(self.now)) };
        self.facts = Facts {
            hosts: ids.map(|(id, alive)| (id, fact(alive))).collect(),
            group_generation: self.generation,
            ..Facts::default()
        };
        if let Some(log) = &mut self.log {
            log.clear();
        }
        self.close();
        self.queue.put(self.now, Word::Say(Event::Tick));
        let mischief = self.now + self.dice.millis(100, 5000);
        self.queue.put(mischief, Word::Mischief);
    }

    fn members(&self) -> Vec<Member> {
        let base = self.base.map(revision);
        let present = self
            .database
            .iter()
            .enumerate()
            .filter(|(index, known)| known.registered && self.hosts[*index].exists);
        present
            .map(|(index, known)| Member {
                id: AgentId(index as i64 + 1),
                name: known.name.clone(),
                tags: known.tags.clone(),
                alive: self.hosts[index].connected,
                serving: known.serving.map(revision),
                good: known.good.map(revision).or_else(|| base.clone()),
                lane: if self.scenario.router.is_some() { known.lane } else { Lane::Direct },
                weight: known.weight,
                answers: self.answers(index),
                instance: known.instance,
            })
            .collect()
    }

    /// What the balancer says of a host before a plan, where nothing was noted of it.
    fn answers(&self, index: usize) -> bool {
        let real = &self.hosts[index];
        !self.database[index].noted && real.sound && real.weight.is_some()
    }

    /// One look of the engine, with everything that can happen around a commit.
    pub fn decide(&mut self, event: Event) {
        if self.now < self.up_at {
            self.queue.put(self.up_at, Word::Say(event));
            return;
        }
        self.look_around();
        let now = Timestamp(self.now);
        let mut commands = Vec::new();
        if let Some(mut old) = self.old.take() {
            // A rival decides on what it remembers, and cannot save it: the version is another.
            (self.settings.engine)(&self.plan, &mut old, &self.facts, &event, now, &mut commands);
            commands.clear();
        }
        let before = self.state.clone();
        (self.settings.engine)(
            &self.plan,
            &mut self.state,
            &self.facts,
            &event,
            now,
            &mut commands,
        );
        if self.dice.permille(self.faults.crash) {
            // Before the commit: nothing has happened, and the event is still in the inbox.
            self.state = before;
            self.down();
            self.queue.put(self.up_at, Word::Say(event));
            return;
        }
        if let Some(log) = &mut self.log {
            log.push((event.clone(), self.facts.clone(), self.now));
        }
        if let Some(script) = self.story.scripts.last_mut() {
            script.hear(&event, &self.facts, self.now);
        }
        self.tell_decision(&event, &before, &commands);
        for broken in check::decision(self, &before, &event, &commands) {
            self.story.violations.push(broken);
        }
        if self.dice.permille(self.faults.rival) {
            self.old = Some(before);
        }
        if self.dice.permille(self.faults.crash) {
            self.down();
        }
        self.perform(commands);
    }

    fn down(&mut self) {
        self.up_at = self.now + self.dice.millis(50, 90_000);
        self.patient_until = self.up_at + LEASE;
        let up_at = self.up_at;
        self.tell(|| format!("the controller died, and is back at {up_at}"));
        self.queue.put(self.up_at, Word::Say(Event::Tick));
        // What was let pass out of patience is looked at again when that is over.
        self.queue.put(self.patient_until + 1, Word::Say(Event::Tick));
    }

    fn finish(&mut self) {
        let phase = self.state.phase;
        self.tell(|| format!("--- ended: {}", phase.as_str()));
        for broken in check::the_end(self) {
            self.story.violations.push(broken);
        }
        self.replay();
        self.generation = self.generation.max(self.state.generation);
        if phase == Phase::Succeeded {
            self.base = Some(version_of(&self.plan.revision));
        }
        self.story.ends.push(phase);
    }

    /// I29: what was recorded leads to the same end again.
    fn replay(&mut self) {
        let Some(log) = &self.log else { return };
        let Some((_, _, first)) = log.first() else { return };
        let mut state = State::new(&self.plan, Timestamp(*first));
        state.created_at = self.state.created_at;
        state.step_since = self.state.created_at;
        for (event, facts, now) in log {
            let mut commands = Vec::new();
            let now = Timestamp(*now);
            (self.settings.engine)(&self.plan, &mut state, facts, event, now, &mut commands);
        }
        if state != self.state {
            self.broken("I29", "the history does not lead to the same end");
        }
    }

    pub fn broken(&mut self, invariant: &str, message: &str) {
        let (invariant, message) = (invariant.to_owned(), message.to_owned());
        self.story.violations.push(Violation { invariant, message });
    }

    pub fn is_calm(&self) -> bool {
        self.now >= self.calm_at
    }

    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.tell {
            self.story.lines.push(script::line_at(self.now, &line()));
        }
    }

    fn tell_decision(&mut self, event: &Event, before: &State, commands: &[Command]) {
        if self.tell {
            for line in script::decision(event, before, &self.state, commands) {
                self.tell(|| line);
            }
        }
    }

    /// How long the hold in progress has lasted.
    pub fn held_for(&self) -> Millis {
        Timestamp(self.now).since(self.state.step_since)
    }
}

fn order(id: i64, version: Version, purpose: Purpose) -> Order {
    Order { deployment: DeploymentId(id), revision: revision(version), purpose }
}
