//! What a drift report comes to in a line, kept until somebody asks again.

use crate::words::{count, time};
use pipelines::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What hosts said last about their files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub at: Timestamp,
    pub sentence: String,
    /// Some host is not as it was installed.
    pub is_off: bool,
}

/// By group. This controller's alone, and gone with it: an old answer is worth no table.
#[derive(Debug, Default)]
pub struct Drifts(Mutex<BTreeMap<String, Known>>);

impl Drifts {
    pub fn keep(&self, group: &str, known: Known) {
        let mut drifts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drifts.insert(group.to_owned(), known);
    }

    pub fn known(&self, group: &str) -> Option<Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(group).cloned()
    }
}

impl Known {
    /// `Asked 5 min ago: host-2 has drifted, 3 files.`
    pub fn line(&self, now: Timestamp) -> String {
        format!("Asked {}: {}.", time::ago(self.at, now), self.sentence)
    }
}

/// One host as the report has it: its name, the state's word, and how many of its files differ.
pub type Host<'a> = (&'a str, &'a str, u64);

/// All that is not in order; and how many are.
pub fn sentence(hosts: &[Host<'_>]) -> String {
    const NAMED_MAX: usize = 6;
    let of = |wanted: &str| hosts.iter().filter(|(_, state, _)| *state == wanted).count();
    let (fine, all) = (of("in-order"), hosts.len());
    let off = hosts.iter().filter_map(|(name, state, drifted)| {
        let what = match *state {
            "drifted" => {
                let files = usize::try_from(*drifted).unwrap_or(usize::MAX);
                format!("has drifted, {}", count(files, "file"))
            }
            "other-revision" => "runs another revision than was noted".to_owned(),
            "missing" => "has lost what was installed".to_owned(),
            "silent" => "did not answer".to_owned(),
            "failed" => "could not say".to_owned(),
            _ => return None,
        };
        Some(format!("{name} {what}"))
    });
    let off: Vec<String> = off.collect();
    let mut parts: Vec<String> = off.iter().take(NAMED_MAX).cloned().collect();
    if off.len() > NAMED_MAX {
        parts.push(format!("{} more", off.len() - NAMED_MAX));
    }
    if fine > 0 {
        let who =
            if fine == all { format!("all {}", count(all, "host")) } else { count(fine, "host") };
        parts.push(format!("{who} in order"));
    }
    if parts.is_empty() { "nothing is installed".to_owned() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipelines::time::Millis;

    #[test]
    fn what_is_off_is_named_with_the_age_of_the_answer() {
        let hosts =
            [("host-1", "in-order", 0), ("host-2", "drifted", 3), ("host-3", "other-revision", 0)];
        let said = sentence(&hosts);
        let expected = "host-2 has drifted, 3 files; host-3 runs another revision than was noted; 1 host in \
                        order";
        assert_eq!(said, expected);
        assert_eq!(sentence(&hosts[..1]), "all 1 host in order");
        assert_eq!(sentence(&[("host-1", "not-installed", 0)]), "nothing is installed");
        let many: Vec<Host<'_>> = (0..9).map(|_| ("host", "silent", 0)).collect();
        assert!(sentence(&many).ends_with("host did not answer; 3 more"));
        let at = Timestamp(1_000_000);
        let known = Known { at, sentence: "x".to_owned(), is_off: true };
        assert_eq!(known.line(at + Millis::from_minutes(5)), "Asked 5 min ago: x.");
        let drifts = Drifts::default();
        drifts.keep("production", known.clone());
        assert_eq!((drifts.known("production"), drifts.known("other")), (Some(known), None));
    }
}
