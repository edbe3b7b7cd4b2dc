//! The deployment engine against a virtual fleet that lies late, dies and comes back, with words lost,
//! doubled and reordered, a controller that is killed around any commit, a second one that believes it
//! is the first, a balancer that fails, and people who change their minds.
//!
//! Everything follows from a seed. `scenario` throws a group and its hosts, `fleet` is what is really
//! there, `play` carries words between it and the engine, `people` and `faults` disturb, `check` asserts
//! the rules of delivery from outside.

mod check;
mod dice;
mod faults;
mod fleet;
mod people;
mod play;
mod scenario;
mod script;
mod settle;
mod word;

pub use check::RULES;
pub use dice::Dice;
pub use faults::Faults;
pub use script::{NoScript, Script};

use crate::command::Command;
use crate::deploy::{self, Event, Facts, Phase, Plan, State};
use crate::spec::group::Group;
use crate::time::Timestamp;
use play::Play;

/// What decides: the engine, or one that was broken on purpose to see the checks see it.
pub type Engine = fn(&Plan, &mut State, &Facts, &Event, Timestamp, &mut Vec<Command>);

/// The engine as it is.
pub const ENGINE: Engine = deploy::step;

/// What is simulated.
#[derive(Clone)]
pub struct Settings<'a> {
    /// The user's group with so many hosts; None: random ones.
    pub group: Option<(&'a Group, u32)>,
    pub faults: Faults,
    pub engine: Engine,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self { group: None, faults: Faults::DEFAULT, engine: ENGINE }
    }
}

/// A rule that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// `I1` to `I30`, or a word for what has no number.
    pub invariant: String,
    pub message: String,
}

/// What became of one seed's deployments.
#[derive(Debug, Clone, Default)]
pub struct Story {
    pub ends: Vec<Phase>,
    pub violations: Vec<Violation>,
    /// What happened, a line each; kept only when asked for.
    pub lines: Vec<String>,
    /// What the engine was told, a script for each deployment; kept only when asked for.
    pub scripts: Vec<Script>,
}

/// Plays one seed. `tell`: keep the history, for people.
#[must_use]
pub fn play(seed: u64, settings: &Settings<'_>, tell: bool) -> Story {
    let mut dice = Dice::new(seed);
    let scenario = match settings.group {
        Some((group, hosts)) => scenario::of_group(group, hosts, &mut dice),
        None => scenario::random(&mut dice),
    };
    let mut play = Play::new(dice, scenario, settings, tell);
    play.whole_story();
    play.into_story()
}

#[cfg(test)]
mod tests;
