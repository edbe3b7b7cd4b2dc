//! One action: its name, what it waits for, what it takes and makes, and its work.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::pipeline::{Action, Condition, Otherwise, Work, condition, work};
use crate::spec::yaml::{Mark, Node};
use crate::time::Millis;

/// A text of the file with its place.
pub(super) type Placed = (Mark, String);

/// An action as far as it could be read.
#[derive(Default)]
pub(super) struct Draft {
    pub name: String,
    pub at: Option<Mark>,
    pub needs: Vec<Placed>,
    pub inputs: Vec<Placed>,
    pub outputs: Vec<Placed>,
    pub work: Option<Work>,
    /// What the work would be, also when its settings are wrong.
    pub kind: &'static str,
    /// Texts in which `#{namespace.name}` is replaced.
    pub texts: Vec<Placed>,
    /// A key is misspelt, and may be the one that seems to be missing.
    pub misspelt: bool,
    pub timeout: Option<Millis>,
    pub timeout_at: Option<Mark>,
    pub retries: u32,
    pub retries_at: Option<Mark>,
    entry: Option<Condition>,
}

const RETRIES_MAX: u32 = 10;

impl Draft {
    pub(super) fn at(&self) -> Mark {
        self.at.unwrap_or(Mark { line: 1, column: 1 })
    }

    pub(super) fn finish(self) -> Option<Action> {
        let plain = |list: Vec<Placed>| list.into_iter().map(|(_, text)| text).collect();
        Some(Action {
            name: self.name,
            needs: plain(self.needs),
            inputs: plain(self.inputs),
            outputs: plain(self.outputs),
            work: self.work?,
            entry: self.entry,
            timeout: self.timeout,
            retries: self.retries,
        })
    }
}

pub(super) fn read(report: &mut Report, node: &Node, path: &str) -> Option<Draft> {
    let mut fields = Fields::open(report, node, path)?;
    let mut draft = Draft { at: Some(node.at), ..Draft::default() };
    let name = fields.require(report, "name", "name the action: `name: compile`");
    draft.name = name.and_then(|n| report.name(n, &fields.join("name"))).unwrap_or_default();
    draft.needs = names(report, &mut fields, "needs");
    draft.inputs = names(report, &mut fields, "inputs");
    draft.outputs = names(report, &mut fields, "outputs");
    let words = [("skip", Otherwise::Skip), ("fail", Otherwise::Fail), ("wait", Otherwise::Wait)];
    let entry = fields.get("entry");
    draft.entry = entry.and_then(|node| {
        condition::read(report, node, &fields.join("entry"), &words, &mut draft.texts)
    });
    let timeout = fields.get("timeout");
    draft.timeout = timeout.and_then(|node| report.time_limit(node, &fields.join("timeout")));
    draft.timeout_at = fields.key_at("timeout");
    let retries = fields.get("retries");
    let retries = retries.and_then(|n| report.number(n, &fields.join("retries"), 0..=RETRIES_MAX));
    draft.retries = retries.unwrap_or(0);
    draft.retries_at = fields.key_at("retries");
    work::read(report, &mut fields, &mut draft);
    draft.misspelt |= !fields.unknown().is_empty();
    fields.finish(report);
    Some(draft)
}

/// A list of names, each once.
pub(super) fn names(
    report: &mut Report,
    fields: &mut Fields<'_>,
    key: &'static str,
) -> Vec<Placed> {
    let Some(node) = fields.get(key) else { return Vec::new() };
    let path = fields.join(key);
    let mut names: Vec<Placed> = Vec::new();
    for item in report.short_list(node, &path) {
        let Some(name) = report.name(item, &path) else { continue };
        if names.iter().any(|(_, other)| *other == name) {
            let message = format!("`{path}`: '{name}' is there twice");
            report.error(item.at, codes::DUPLICATE_NAME, message, "remove one of the two");
        } else {
            names.push((item.at, name));
        }
    }
    names
}
