//! When things happened, on the task's own time. Times of commands are the ones Docker gave their
//! output, so that they are right although the agent was slow, or dead.

use pipelines::time::Millis;
use std::time::{SystemTime, UNIX_EPOCH};

/// Ties Docker's clock, which is this machine's, to the task's stopwatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Clock {
    /// Milliseconds since the epoch when the stopwatch showed `at`.
    pub wall: i64,
    pub at: Millis,
}

impl Clock {
    #[must_use]
    pub fn now(at: Millis) -> Clock {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Clock { wall: i64::try_from(wall).unwrap_or(i64::MAX), at }
    }

    /// The stopwatch's reading at a time of Docker's; None if it is not one.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Millis> {
        let since = parse(text)?.saturating_sub(self.wall);
        // A clock that was set back must not make times before the start.
        Some(Millis(self.at.0.saturating_add(u64::try_from(since).unwrap_or(0))))
    }
}

/// `2026-11-21T04:50:55.123456789Z` as milliseconds since the epoch.
fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (time.next()?.parse::<i64>().ok()?, time.next()?.parse::<i64>().ok()?);
    let seconds = time.next()?.parse::<f64>().ok()?;
    // Days since the epoch, counting years from March so that a leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day
        - 719_469;
    Some(((days * 24 + hour) * 60 + minute) * 60_000 + (seconds * 1000.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_times_are_read_to_the_millisecond() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:30:15.500000000Z", 951_827_415_500),
            ("2026-11-21T04:50:55.123456789Z", 1_795_236_655_123),
            ("2100-03-01T00:00:00.000000000Z", 4_107_542_400_000),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for bad in ["", "Z", "2026-11-21", "2026-11-21T04:50:55", "yesterday"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_clock_set_back_gives_no_time_before_the_start() {
        let clock = Clock { wall: 10_000, at: Millis(500) };
        assert_eq!(clock.read("1970-01-01T00:00:11.25Z"), Some(Millis(1750)));
        assert_eq!(clock.read("1970-01-01T00:00:01Z"), Some(Millis(500)));
    }
}
