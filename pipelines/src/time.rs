//! Time as data. Nothing here reads a clock: whoever calls a decision passes `now` in.
//!
//! Instants come from one place only, the database (`store::clock`), so that two controllers and any
//! number of agents never compare their own clocks. Agents measure durations and report those.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, Sub};

/// Milliseconds since the Unix epoch, by the database's clock.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A length of time in milliseconds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Timestamp {
    /// How long ago `earlier` was; zero when it lies in the future.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Millis {
        Millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Millis {
    pub const ZERO: Millis = Millis(0);

    #[must_use]
    pub const fn from_secs(secs: u64) -> Millis {
        Millis(secs.saturating_mul(1000))
    }

    #[must_use]
    pub const fn from_minutes(minutes: u64) -> Millis {
        Millis::from_secs(minutes.saturating_mul(60))
    }

    #[must_use]
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl Add<Millis> for Timestamp {
    type Output = Timestamp;
    fn add(self, rhs: Millis) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(rhs.0).unwrap_or(i64::MAX)))
    }
}

impl Sub<Millis> for Timestamp {
    type Output = Timestamp;
    fn sub(self, rhs: Millis) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(rhs.0).unwrap_or(i64::MAX)))
    }
}

/// Two units at most, the larger first: `3.2 s`, `4 min 10 s`, `2 h 5 min`, `7 d`.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0 / 1000;
        let two = |f: &mut fmt::Formatter<'_>, big: u64, unit: &str, small: u64, sub: &str| {
            if small == 0 {
                write!(f, "{big} {unit}")
            } else {
                write!(f, "{big} {unit} {small} {sub}")
            }
        };
        match self.0 {
            0..1_000 => write!(f, "{} ms", self.0),
            1_000..60_000 if self.0.is_multiple_of(1000) => write!(f, "{secs} s"),
            1_000..60_000 => write!(f, "{:.1} s", self.0 as f64 / 1000.0),
            60_000..3_600_000 => two(f, secs / 60, "min", secs % 60, "s"),
            3_600_000..86_400_000 => two(f, secs / 3600, "h", secs % 3600 / 60, "min"),
            _ => two(f, secs / 86_400, "d", secs % 86_400 / 3600, "h"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_like_a_person_would_say_it() {
        let cases = [
            (250, "250 ms"),
            (3_200, "3.2 s"),
            (5_000, "5 s"),
            (250_000, "4 min 10 s"),
            (7_500_000, "2 h 5 min"),
            (604_800_000, "7 d"),
        ];
        for (millis, expected) in cases {
            assert_eq!(Millis(millis).to_string(), expected);
        }
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Millis::ZERO);
        assert_eq!(Timestamp(i64::MAX) + Millis(10), Timestamp(i64::MAX));
        assert_eq!(Timestamp(i64::MIN) - Millis(10), Timestamp(i64::MIN));
    }
}
