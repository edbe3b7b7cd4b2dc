//! The default judge: does the new revision do worse than the untouched hosts beside it?
//!
//! It counts what the balancer counted since the step began, for both sides in the same windows, and
//! says so with its numbers. Its rules are few and exact, so that its mistakes are known: at an equal
//! error rate of 1 %, ten looks at 200 new and 1,800 old requests end in a false alarm in about 1 of
//! 100 deployments; a rise from 0.1 % to 1 % is found in practically all (`tests`).
//!
//! It never passes on too little: fewer than the asked-for requests, or nobody to compare with, is
//! inconclusive, and the plan's hold says what follows.

mod chance;
#[cfg(test)]
mod tests;

pub use chance::chance;

use crate::deploy::event::Verdict;
use crate::monitor::{number, sum};
use crate::protocol::answer::Counters;
use crate::spec::group::Analysis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One look at the balancer, and who stood on which side at that moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Look {
    pub counters: Counters,
    /// Servers of the new revision that are warm.
    pub new: BTreeSet<String>,
    /// Untouched servers in traffic.
    pub old: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    pub requests: u64,
    pub errors: u64,
}

/// What was counted in one step so far. Its size does not grow with the number of looks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Windows between two looks that counted.
    pub windows: u32,
    pub new: Counts,
    pub old: Counts,
    /// Looks in a row, up to the last one, at which the error rule held.
    pub worse_in_a_row: u32,
    /// Of the last looks with enough requests to compare times: whether the new ones were slower.
    pub slow: Vec<bool>,
    /// Answer times at the last of those, in milliseconds: new, old.
    pub times: Option<(f64, f64)>,
    /// The rule that failed it; it stays failed.
    pub failed: Option<String>,
    last: Option<Look>,
}

impl Tally {
    /// Counts what happened since the look before.
    pub fn add(&mut self, rules: &Analysis, look: Look) {
        if let Some(last) = self.last.take() {
            self.window(rules, &last, &look);
        }
        self.last = Some(look);
    }

    fn window(&mut self, rules: &Analysis, before: &Look, after: &Look) {
        let both = |before: &BTreeSet<String>, after: &BTreeSet<String>| -> Vec<String> {
            before.intersection(after).cloned().collect()
        };
        let side = |names: &[String]| {
            let names = names.iter().map(String::as_str);
            sum(&before.counters, &after.counters, names)
        };
        let (new, old) = (both(&before.new, &after.new), both(&before.old, &after.old));
        let (fresh, beside) = (side(&new), side(&old));
        // One side alone would be held against another time of the other.
        if fresh.servers == 0 || (beside.servers == 0 && !old.is_empty()) {
            return;
        }
        self.windows = self.windows.saturating_add(1);
        self.new.add(fresh.requests, fresh.errors);
        self.old.add(beside.requests, beside.errors);
        self.worse_in_a_row =
            if self.is_worse(rules) { self.worse_in_a_row.saturating_add(1) } else { 0 };
        let enough = u64::from(rules.latency.min_samples);
        if fresh.requests >= enough
            && beside.requests >= enough
            && let (Some(new), Some(old)) = (fresh.latency, beside.latency)
        {
            self.times = Some((new, old));
            let slack = rules.latency.slack.0 as f64;
            self.slow.push(new > (old * rules.latency.ratio).max(old + slack));
            let surplus = self.slow.len().saturating_sub(rules.latency.of as usize);
            self.slow.drain(..surplus);
        }
        if self.failed.is_none() {
            self.failed = self.broken_rule(rules);
        }
    }

    /// More errors than beside it, by all three conditions.
    fn is_worse(&self, rules: &Analysis) -> bool {
        let rule = &rules.errors;
        let ratio = self.new.rate() > 0.0 && self.new.rate() >= rule.ratio * self.old.rate();
        self.new.errors >= u64::from(rule.at_least)
            && self.old.requests > 0
            && ratio
            && self.chance() <= rule.p
    }

    /// How likely equals differ by so much.
    fn chance(&self) -> f64 {
        let all = self.new.requests as f64 + self.old.requests as f64;
        let share = self.new.requests as f64 / all;
        chance(self.new.errors, self.new.errors.saturating_add(self.old.errors), share)
    }

    fn slow_ones(&self) -> usize {
        self.slow.iter().filter(|slow| **slow).count()
    }

    fn broken_rule(&self, rules: &Analysis) -> Option<String> {
        let (errors, ceiling, latency) = (&rules.errors, &rules.ceiling, &rules.latency);
        if self.worse_in_a_row >= errors.looks {
            return Some(format!(
                "at least {} errors, {} times the others' rate and p at most {} in {} looks in a row",
                errors.at_least,
                number(errors.ratio),
                number(errors.p),
                errors.looks
            ));
        }
        let many = self.new.errors >= u64::from(ceiling.at_least);
        if many && self.new.rate() > ceiling.rate {
            let rate = percent(ceiling.rate);
            return Some(format!("more than {rate} errors, and at least {}", ceiling.at_least));
        }
        if self.slow_ones() >= latency.windows as usize {
            return Some(format!(
                "answers slower than {} times the others' and {} more, in {} of {} looks",
                number(latency.ratio),
                latency.slack,
                latency.windows,
                latency.of
            ));
        }
        None
    }

    /// What follows, and why: the numbers, n, p and the rule that decided.
    #[must_use]
    pub fn verdict(&self, rules: &Analysis, min_samples: u32) -> (Verdict, String) {
        let (verdict, why) = self.ruling(rules, min_samples);
        let word = match verdict {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Inconclusive => "inconclusive",
        };
        (verdict, format!("{word}, {why}; {}", self.numbers()))
    }

    fn ruling(&self, rules: &Analysis, min_samples: u32) -> (Verdict, String) {
        if let Some(rule) = &self.failed {
            return (Verdict::Fail, format!("by the rule: {rule}"));
        }
        let wanted = u64::from(min_samples.max(1));
        let inconclusive = |why: String| (Verdict::Inconclusive, why);
        if self.new.requests < wanted {
            return inconclusive(format!("{} of {wanted} requests to judge by", self.new.requests));
        }
        if self.old.requests == 0 {
            return inconclusive("no untouched host has requests to compare with".to_owned());
        }
        if self.worse_in_a_row > 0 {
            let (now, looks) = (self.worse_in_a_row, rules.errors.looks);
            return inconclusive(format!("worse in {now} of {looks} looks in a row"));
        }
        if self.slow.last() == Some(&true) {
            let (now, windows) = (self.slow_ones(), rules.latency.windows);
            return inconclusive(format!("slower in {now} of {windows} looks"));
        }
        (Verdict::Pass, format!("at least {wanted} requests and no rule against them"))
    }

    fn numbers(&self) -> String {
        let mut text = format!("new {}, old {}", self.new, self.old);
        if self.new.requests > 0 && self.old.requests > 0 {
            let n = self.new.requests.saturating_add(self.old.requests);
            text.push_str(&format!(", n = {n}, p = {}", number(self.chance())));
        }
        if let Some((new, old)) = self.times {
            text.push_str(&format!(", {} against {} ms", number(new), number(old)));
        }
        text
    }
}

impl Counts {
    fn add(&mut self, requests: u64, errors: u64) {
        self.requests = self.requests.saturating_add(requests);
        self.errors = self.errors.saturating_add(errors);
    }

    /// 0 to 1; 0 without requests.
    #[must_use]
    pub fn rate(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.errors as f64 / self.requests as f64 }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} errors in {} requests", self.errors, self.requests)?;
        if self.requests > 0 {
            write!(f, " ({})", percent(self.rate()))?;
        }
        Ok(())
    }
}

fn percent(rate: f64) -> String {
    format!("{} %", number(rate * 100.0))
}
