//! Ages and lengths of time from the server's instants.

use jiff::Timestamp;
use pipelines::time::Millis;

/// `42 s`, `3 min 2 s`: how long ago, by this machine's clock.
pub fn ago(instant: &str) -> String {
    let Ok(at) = instant.parse::<Timestamp>() else { return String::new() };
    rough(Timestamp::now().as_millisecond() - at.as_millisecond())
}

/// Whole seconds; a clock that is behind counts as zero.
pub fn rough(millis: i64) -> String {
    Millis(u64::try_from(millis).unwrap_or(0) / 1000 * 1000).to_string().replace("0 ms", "0 s")
}

/// `10:11:12`, in UTC as the pages have it.
pub fn clock(instant: &str) -> String {
    instant
        .parse::<Timestamp>()
        .map_or_else(|_| String::new(), |at| at.strftime("%H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!(rough(61_900), "1 min 1 s");
        assert_eq!(rough(-5), "0 s");
        assert_eq!(clock("2026-05-04T10:11:12.345Z"), "10:11:12");
        assert_eq!(ago("nonsense"), "");
    }
}
