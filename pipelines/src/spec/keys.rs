//! Which keys a format has, as its readers ask for them.
//!
//! There is no second list of keys that could go stale: whoever asks for a key makes it known.

use crate::spec::decode::{self, Fields, Report};
use crate::spec::{Kind, appspec, buildspec, group, pipeline};
use std::collections::BTreeSet;

/// Key paths without list positions: `stages[].actions[].name`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// Those a reader asked for, at the places the text has.
    pub known: BTreeSet<String>,
    /// Those the text sets.
    pub present: BTreeSet<String>,
}

impl Keys {
    pub(crate) fn note(&mut self, fields: &Fields<'_>, asked: &[&str]) {
        self.known.extend(asked.iter().map(|key| plain(&fields.join(key))));
        self.present.extend(fields.entries().map(|(key, ..)| plain(&fields.join(key))));
    }
}

/// Leaves out the numbers of list positions.
fn plain(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|&c| {
            inside = c != ']' && (inside || c == '[');
            !inside || c == '['
        })
        .collect()
}

/// The keys of one text, for the reference files and for editors.
#[must_use]
pub fn keys(kind: Kind, text: &str) -> Keys {
    fn of<T>(
        kind: Kind,
        text: &str,
        read: impl FnOnce(&mut Report, Fields<'_>) -> Option<T>,
    ) -> Keys {
        let mut report = Report::new(kind);
        report.keys = Some(Keys::default());
        decode::read_into(&mut report, text, read);
        report.keys.unwrap_or_default()
    }
    match kind {
        Kind::Pipeline => of(kind, text, pipeline::read),
        Kind::Group => of(kind, text, group::read),
        Kind::Buildspec => of(kind, text, buildspec::read),
        Kind::Appspec => of(kind, text, appspec::read),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_in_lists_are_left_out() {
        assert_eq!(plain("stages[12].actions[3].name"), "stages[].actions[].name");
    }

    #[test]
    fn what_is_asked_for_is_known_and_what_is_written_present() {
        let keys = keys(Kind::Appspec, "version: 0.0\nos: linux\nodd: 1\n");
        assert!(keys.known.contains("files") && !keys.known.contains("odd"));
        assert!(keys.present.contains("odd") && !keys.present.contains("files"));
    }
}
