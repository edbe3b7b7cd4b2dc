//! Thousands of seeded deployments on a fleet that lies late, dies, falls silent and comes back, with
//! words lost, doubled and reordered, and operators who change their minds. `decide` asserts its
//! invariants at every step; this adds what only the outside can see.

use super::*;
use crate::command::{Command, Serving};
use crate::time::Millis;
use std::collections::BTreeMap;

/// A small seeded generator (SplitMix64): the same seed, the same history, on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What a host really is, which the engine only hears of.
#[derive(Clone, Default)]
struct Real {
    alive: bool,
    /// Highest generation it was told.
    generation: u64,
    /// Attempts it has begun; a hook never runs twice in one.
    begun: Vec<u32>,
    revision: Option<Revision>,
}

struct World {
    dice: Dice,
    plan: Plan,
    state: State,
    now: Timestamp,
    hosts: BTreeMap<AgentId, Real>,
    /// Words on their way to the engine.
    mail: Vec<Event>,
    recorded: BTreeMap<AgentId, Serving>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dice = Dice(seed);
        let count = 1 + dice.below(12) as i64;
        let floor = dice.chance(50).then(|| Amount::Count(dice.below(count as u64) as u32));
        let strategy = match dice.below(3) {
            0 => Strategy::AllAtOnce,
            1 => rolling(1 + dice.below(4) as u32),
            _ => {
                let batch = Amount::Percent(1 + dice.below(100) as u32);
                Strategy::Rolling {
                    batch: batch.into(),
                    first_batch: Some(batch),
                    barrier: true,
                    hold: None,
                    bake: Millis::ZERO,
                }
            }
        };
        let fleet: Vec<Member> = (1..=count)
            .map(|id| {
                let serving = dice.chance(80).then_some("v1");
                Member { zone: Some(dice.below(3).to_string()), ..member(id, serving) }
            })
            .collect();
        let plan = plan_for(&group(strategy, floor), &fleet, "v2");
        let hosts = fleet
            .iter()
            .map(|member| {
                let revision = member.serving.clone();
                (member.id, Real { alive: true, revision, ..Real::default() })
            })
            .collect();
        let state = State::new(&plan, Timestamp(0));
        let recorded = BTreeMap::new();
        World { dice, plan, state, now: Timestamp(0), hosts, mail: Vec::new(), recorded }
    }

    fn facts(&self) -> Facts {
        let hosts = self
            .hosts
            .iter()
            .map(|(id, real)| (*id, HostFacts { alive: real.alive, last_seen: Some(self.now) }));
        Facts { hosts: hosts.collect(), held_by: None, patient: false, group_generation: 5 }
    }

    fn tell(&mut self, event: &Event) {
        let facts = self.facts();
        let decision = decide(&self.plan, &self.state, &facts, event, self.now);
        let again = decide(&self.plan, &self.state, &facts, event, self.now);
        assert_eq!(decision, again, "same arguments, same decision");
        let text = serde_json::to_string(&decision.state).unwrap();
        self.state = serde_json::from_str(&text).unwrap();
        for command in decision.commands {
            self.perform(command);
        }
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::StartHost { host, attempt, generation, revision, .. } => {
                let real = self.hosts.get_mut(&host).unwrap();
                assert!(generation >= real.generation, "an agent would refuse this");
                real.generation = generation;
                assert!(!real.begun.contains(&attempt), "attempt {attempt} was handed out twice");
                real.begun.push(attempt);
                let outcome = match self.dice.below(10) {
                    0 => failed(true),
                    1 => failed(false),
                    _ => {
                        real.revision = Some(revision);
                        HostOutcome::Succeeded
                    }
                };
                self.mail.push(Event::HostFinished { host, attempt, outcome });
            }
            Command::CancelHost { host, attempt } if self.dice.chance(50) => {
                let outcome = HostOutcome::Cancelled { touched: true };
                self.mail.push(Event::HostFinished { host, attempt, outcome });
            }
            Command::RecordHost { host, serving } => {
                self.recorded.insert(host, serving);
            }
            _ => {}
        }
    }

    fn step(&mut self) {
        self.now = self.now + Millis(self.dice.below(5000));
        let ids: Vec<AgentId> = self.hosts.keys().copied().collect();
        let any = ids[self.dice.below(ids.len() as u64) as usize];
        let event = match self.dice.below(20) {
            0 => {
                let real = self.hosts.get_mut(&any).unwrap();
                real.alive = !real.alive;
                Event::Tick
            }
            1 => Event::Pause { by: "ada".into() },
            2 | 3 => Event::Resume { by: "ada".into() },
            4 if self.dice.chance(20) => Event::Abort { by: "ada".into(), reason: String::new() },
            5 => Event::HostFinished { host: any, attempt: 1, outcome: HostOutcome::Succeeded },
            _ if self.mail.is_empty() => Event::Tick,
            _ => {
                let at = self.dice.below(self.mail.len() as u64) as usize;
                // Doubled now and then: the word stays in the mail.
                if self.dice.chance(15) { self.mail[at].clone() } else { self.mail.remove(at) }
            }
        };
        self.tell(&event);
    }

    /// Faults stop: everybody answers, nobody pauses. It must come to an end.
    fn calm(&mut self) {
        for real in self.hosts.values_mut() {
            real.alive = true;
        }
        self.tell(&Event::Resume { by: "ada".into() });
        for _ in 0..400 {
            if self.state.phase.is_final() {
                return;
            }
            let event = if self.mail.is_empty() { Event::Tick } else { self.mail.remove(0) };
            if self.mail.is_empty() {
                self.now = self.now + Millis::from_minutes(70);
            }
            self.tell(&event);
        }
        panic!("no end in sight: {:?}", self.state);
    }

    fn check_the_end(&self) {
        for planned in &self.plan.hosts {
            let (host, real) = (&self.state.hosts[&planned.id], &self.hosts[&planned.id]);
            if host.attempt == 0 {
                assert!(real.begun.is_empty(), "I8: an untouched host was worked on");
            }
            match self.state.phase {
                Phase::Succeeded => assert_eq!(host.state, HostState::Updated),
                Phase::RolledBack if host.touched => {
                    assert_eq!(host.state, HostState::RolledBack);
                    let prior = planned.prior.clone().map(Serving::Revision);
                    assert_eq!(self.recorded.get(&planned.id), prior.as_ref());
                }
                _ => {}
            }
        }
    }
}

#[test]
fn thousands_of_deployments_under_faults_keep_every_invariant_and_end() {
    let mut ends = BTreeMap::<&str, u32>::new();
    for seed in 0..4000 {
        let run = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..60 {
                if world.state.phase.is_final() {
                    break;
                }
                world.step();
            }
            world.calm();
            world.check_the_end();
            world.state.phase.as_str()
        });
        match run {
            Ok(end) => *ends.entry(end).or_default() += 1,
            Err(_) => panic!("seed {seed} broke it; the message is above"),
        }
    }
    // The generator reaches every kind of end, or it proves nothing.
    for end in ["succeeded", "failed", "rolled-back", "rollback-failed"] {
        assert!(ends.get(end).copied().unwrap_or(0) > 50, "{ends:?}");
    }
}
