//! Instants and lengths of time in print.

use pipelines::time::{Millis, Timestamp};

/// `2026-05-04T10:11:12.345Z`: what JSON and `<time datetime>` say.
pub fn rfc3339(at: Timestamp) -> String {
    instant(at).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// `2026-05-04 10:11:12 UTC`, for people.
pub fn full(at: Timestamp) -> String {
    instant(at).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn instant(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

/// `42 s ago`, `just now`, `3 d 2 h ago`.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let age = now.since(at);
    if age < Millis::from_secs(2) { "just now".to_owned() } else { format!("{} ago", rough(age)) }
}

/// Whole seconds: nobody reads tenths of an age. What is shorter than one is said as it is.
pub fn rough(length: Millis) -> String {
    if length < Millis::from_secs(1) {
        return length.to_string();
    }
    Millis(length.0 / 1000 * 1000).to_string()
}

/// An instant as a page shows it: how long ago, and exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    pub ago: String,
    pub full: String,
    pub machine: String,
}

impl Moment {
    pub fn new(at: Timestamp, now: Timestamp) -> Moment {
        Moment { ago: ago(at, now), full: full(at), machine: rfc3339(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_like_a_person_would_say_them() {
        let now = Timestamp(1_777_889_472_345);
        assert_eq!(rfc3339(now), "2026-05-04T10:11:12.345Z");
        assert_eq!(full(now), "2026-05-04 10:11:12 UTC");
        assert_eq!(ago(now, now), "just now");
        assert_eq!(ago(now - Millis(42_700), now), "42 s ago");
        assert_eq!(rough(Millis(350)), "350 ms");
    }
}
