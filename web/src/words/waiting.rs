//! Why something does not move.

use super::time;
use pipelines::command::Waiting;
use pipelines::time::Timestamp;

/// `host-2 is running its update, for 12 s, overdue in 4 min`.
pub fn sentence(waiting: &Waiting, now: Timestamp) -> String {
    let mut text = format!("{}, for {}", waiting.what, time::rough(now.since(waiting.since)));
    if let Some(until) = waiting.until {
        if until >= now {
            text.push_str(&format!(", at most {} more", time::rough(until.since(now))));
        } else {
            text.push_str(&format!(", overdue by {}", time::rough(now.since(until))));
        }
    }
    text
}

/// Whether somebody has to act.
pub fn needs_person(waiting: &[Waiting]) -> bool {
    waiting.iter().any(|entry| entry.person)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipelines::time::Millis;

    #[test]
    fn a_reason_for_waiting_says_how_long_already_and_how_long_still() {
        let now = Timestamp(1_000_000);
        let mut waiting = Waiting {
            what: "host-2 is running its update".to_owned(),
            whom: "host-2".to_owned(),
            since: now - Millis::from_secs(12),
            until: Some(now + Millis::from_minutes(4)),
            person: false,
        };
        assert_eq!(
            sentence(&waiting, now),
            "host-2 is running its update, for 12 s, at most 4 min more"
        );
        waiting.until = Some(now - Millis::from_secs(3));
        assert_eq!(
            sentence(&waiting, now),
            "host-2 is running its update, for 12 s, overdue by 3 s"
        );
        assert!(!needs_person(&[waiting]));
    }
}
