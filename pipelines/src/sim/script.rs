//! A script: everything the engine was told in one deployment, as a file. A seed is only good for as long
//! as the dice fall the same; a script stays what it is, so one that went wrong once is kept as a script,
//! with what the engine answers now written beside it.
//!
//! A JSON document a line: the plan and when it began, then a word each.

use super::Engine;
use crate::command::Command;
use crate::deploy::{Event, Facts, Phase, Plan, State};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    beginning: Beginning,
    words: Vec<Heard>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Beginning {
    plan: Plan,
    at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Heard {
    at: Timestamp,
    event: Event,
    /// None: as at the word before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    facts: Option<Facts>,
}

/// A file that is no script, and in which line.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {source}")]
pub struct NoScript {
    pub line: usize,
    source: serde_json::Error,
}

impl Script {
    pub(super) fn new(plan: &Plan, at: i64) -> Script {
        let beginning = Beginning { plan: plan.clone(), at: Timestamp(at) };
        Script { beginning, words: Vec::new() }
    }

    pub(super) fn hear(&mut self, event: &Event, facts: &Facts, at: i64) {
        let known = self.words.iter().rev().find_map(|heard| heard.facts.as_ref());
        let facts = (known != Some(facts)).then(|| facts.clone());
        self.words.push(Heard { at: Timestamp(at), event: event.clone(), facts });
    }

    /// How many times the engine was told something.
    #[must_use]
    pub fn words(&self) -> usize {
        self.words.len()
    }

    /// # Errors
    /// When a line is not what a script has there.
    pub fn read(text: &str) -> Result<Script, NoScript> {
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        let beginning =
            serde_json::from_str(first).map_err(|source| NoScript { line: 1, source })?;
        let words = rest.lines().enumerate().map(|(index, line)| {
            serde_json::from_str(line).map_err(|source| NoScript { line: index + 2, source })
        });
        Ok(Script { beginning, words: words.collect::<Result<_, _>>()? })
    }

    /// # Errors
    /// Never, for what the simulator recorded: all of it has names for keys.
    pub fn write(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string(&self.beginning)? + "\n";
        for heard in &self.words {
            text += &serde_json::to_string(heard)?;
            text.push('\n');
        }
        Ok(text)
    }

    /// Tells an engine all of it once more: what it decides, a line each.
    #[must_use]
    pub fn play(&self, engine: Engine) -> Vec<String> {
        let mut before = State::new(&self.beginning.plan, self.beginning.at);
        let mut lines = Vec::new();
        let end = self.tell(engine, |heard, state, commands| {
            let said = decision(&heard.event, &before, state, commands);
            lines.extend(said.map(|line| line_at(heard.at.0, &line)));
            before.clone_from(state);
        });
        lines.push(format!("ended: {}", end.as_str()));
        lines
    }

    /// The same, and only how it ends: the engine alone, for measurements.
    #[must_use]
    pub fn end(&self, engine: Engine) -> Phase {
        self.tell(engine, |_, _, _| {})
    }

    fn tell(&self, engine: Engine, mut seen: impl FnMut(&Heard, &State, &[Command])) -> Phase {
        let Beginning { plan, at } = &self.beginning;
        let mut state = State::new(plan, *at);
        let unknown = Facts::default();
        let mut facts = &unknown;
        let mut commands = Vec::new();
        for heard in &self.words {
            facts = heard.facts.as_ref().unwrap_or(facts);
            commands.clear();
            engine(plan, &mut state, facts, &heard.event, heard.at, &mut commands);
            seen(heard, &state, &commands);
        }
        state.phase
    }
}

pub(super) fn line_at(at: i64, line: &str) -> String {
    format!("{at:>9} ms  {line}")
}

/// What there is to say about one look of the engine: what it heard, where it stands, what it wants done.
pub(super) fn decision<'a>(
    event: &Event,
    before: &State,
    after: &State,
    commands: &'a [Command],
) -> impl Iterator<Item = String> + use<'a> {
    let heard = (*event != Event::Tick).then(|| format!("heard {event:?}"));
    let moved = (before.phase != after.phase || before.step != after.step).then(|| {
        let cause = after.cause.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{} step {} {cause}", after.phase.as_str(), after.step)
    });
    let wanted = commands.iter().map(|command| format!("  → {command:?}"));
    heard.into_iter().chain(moved).chain(wanted)
}
