//! What a monitor's looks amount to: fine, an alarm, or nothing known.
//!
//! Whoever looks (the controller, networks and agents being the world) turns what it saw into a
//! [`Look`]; what follows from several of them is decided here. No data is never success: a missing
//! value, an old one and none at all are [`MonitorState::NoData`], or bad where the group says so.

mod counters;
mod number;
#[cfg(test)]
mod tests;

pub use counters::{Sum, router_look, sum};
pub use number::number;

use crate::deploy::event::{MonitorFact, MonitorState};
use crate::spec::group::{Monitor, NoData};
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// One look at what a monitor watches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub at: Timestamp,
    pub look: Look,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Look {
    /// A number, to be held against the bounds. Always finite: see [`Look::value`].
    Value(f64),
    /// It is as it should be, and has no number.
    Good,
    /// It is not as it should be, whatever the bounds.
    Bad { why: String },
    /// Nothing was found.
    Missing { why: String },
}

impl Look {
    /// A number, where it is one: NaN and infinities are no data.
    #[must_use]
    pub fn value(value: f64) -> Look {
        if value.is_finite() {
            return Look::Value(value);
        }
        Look::Missing { why: format!("the value is {value}") }
    }

    #[must_use]
    pub fn missing(why: impl Into<String>) -> Look {
        Look::Missing { why: why.into() }
    }
}

/// Somebody's word in place of what is found: for drills, and for monitors known to be wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    pub state: Forced,
    pub by: String,
    /// May be empty.
    pub reason: String,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forced {
    Alarm,
    Ok,
}

impl Forced {
    /// The word used everywhere: SQL, JSON, command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Forced::Alarm => "alarm",
            Forced::Ok => "ok",
        }
    }
}

impl std::str::FromStr for Forced {
    type Err = ();

    fn from_str(text: &str) -> Result<Forced, ()> {
        match text {
            "alarm" => Ok(Forced::Alarm),
            "ok" => Ok(Forced::Ok),
            _ => Err(()),
        }
    }
}

impl std::fmt::Display for Override {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "set by {}", self.by)?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", self.reason) }
    }
}

/// A look that is older says nothing about now: nobody was there to look again.
#[must_use]
pub fn fresh_for(monitor: &Monitor) -> Millis {
    Millis(monitor.every.0.saturating_mul(2).saturating_add(60_000))
}

/// When the next look is due. `hold`: since when a hold is in progress, which wants a look of its own.
#[must_use]
pub fn is_due(
    monitor: &Monitor,
    newest: Option<&Sample>,
    hold: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    let Some(newest) = newest else { return true };
    now >= newest.at + monitor.every || hold.is_some_and(|since| newest.at < since)
}

/// What a monitor says now. `samples`: the last ones, oldest first.
#[must_use]
pub fn fact(
    monitor: &Monitor,
    samples: &[Sample],
    forced: Option<&Override>,
    now: Timestamp,
) -> MonitorFact {
    let name = monitor.name.clone();
    let no_data = |reason: String, looked_at: Timestamp| MonitorFact {
        name: name.clone(),
        state: MonitorState::NoData,
        reason,
        looked_at,
    };
    if let Some(forced) = forced {
        let state = match forced.state {
            Forced::Alarm => MonitorState::Fail,
            Forced::Ok => MonitorState::Ok,
        };
        return MonitorFact { name, state, reason: forced.to_string(), looked_at: now };
    }
    let Some(newest) = samples.last() else {
        return no_data("not looked at yet".to_owned(), Timestamp(i64::MIN));
    };
    if now > newest.at + fresh_for(monitor) {
        let reason = format!("the last look was {} ago", now.since(newest.at));
        return no_data(reason, newest.at);
    }
    let bad = bad_ones(monitor, samples);
    let missing = matches!(newest.look, Look::Missing { .. });
    let state = if bad >= monitor.failures as usize {
        MonitorState::Fail
    } else if missing {
        MonitorState::NoData
    } else {
        MonitorState::Ok
    };
    MonitorFact { name, state, reason: reason(monitor, &newest.look, bad), looked_at: newest.at }
}

/// How many of the last ones are bad. Missing ones neither count nor push others out, unless the group
/// takes them for bad: silence heals nothing.
fn bad_ones(monitor: &Monitor, samples: &[Sample]) -> usize {
    let counts = |sample: &&Sample| {
        !matches!(sample.look, Look::Missing { .. }) || monitor.no_data == NoData::Fail
    };
    let last = samples.iter().rev().filter(counts).take(monitor.of as usize);
    last.filter(|sample| is_bad(monitor, &sample.look)).count()
}

/// Whether one look is bad by itself.
#[must_use]
pub fn is_bad(monitor: &Monitor, look: &Look) -> bool {
    match look {
        Look::Value(value) => {
            monitor.fail_above.is_some_and(|bound| *value > bound)
                || monitor.fail_below.is_some_and(|bound| *value < bound)
        }
        Look::Good => false,
        Look::Bad { .. } => true,
        Look::Missing { .. } => monitor.no_data == NoData::Fail,
    }
}

/// `0.07, fails above 0.02; 2 of the last 5 were bad, 3 make an alarm`.
fn reason(monitor: &Monitor, newest: &Look, bad: usize) -> String {
    let mut text = match newest {
        Look::Value(value) => number(*value),
        Look::Good => "as it should be".to_owned(),
        Look::Bad { why } => why.clone(),
        Look::Missing { why } => format!("no data: {why}"),
    };
    if matches!(newest, Look::Value(_) | Look::Missing { .. }) {
        if let Some(above) = monitor.fail_above {
            text.push_str(&format!(", fails above {}", number(above)));
        }
        if let Some(below) = monitor.fail_below {
            text.push_str(&format!(", fails below {}", number(below)));
        }
    }
    if monitor.of > 1 && bad > 0 {
        let (of, failures) = (monitor.of, monitor.failures);
        text.push_str(&format!("; {bad} of the last {of} bad, {failures} make an alarm"));
    }
    text
}
