//! One mapping being read. Asking for a key makes it known; whatever was never asked for is
//! reported at the end, with the nearest key that was.

use crate::spec::codes;
use crate::spec::decode::{Report, suggest};
use crate::spec::yaml::{Mark, Node, Value};
use std::collections::BTreeMap;

pub(crate) struct Fields<'n> {
    /// Where the mapping starts.
    pub at: Mark,
    /// The keys that lead here, `phases.build`; empty at the top.
    pub path: String,
    entries: BTreeMap<&'n str, (&'n Node, &'n Node)>,
    order: Vec<&'n str>,
    asked: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Opens a mapping; anything else is an error. Nothing at all is refused too: callers that
    /// allow it look first.
    pub(crate) fn open(report: &mut Report, node: &'n Node, path: &str) -> Option<Self> {
        let Value::Map(list) = &node.value else {
            let place = if path.is_empty() { "the file" } else { path };
            let message = format!("`{place}` is {}, a mapping is wanted", node.what());
            report.error(node.at, codes::WRONG_TYPE, message, "write `key: value` lines below it");
            return None;
        };
        if let Some(tag) = &node.tag {
            report.foreign_tag(node.at, tag);
        }
        let mut fields = Self {
            at: node.at,
            path: path.to_owned(),
            entries: BTreeMap::new(),
            order: Vec::new(),
            asked: Vec::new(),
        };
        for entry in list {
            let Some(key) = entry.key.text() else {
                let help = "quote a key that starts with `{` or `[`";
                report.error(entry.key.at, codes::WRONG_TYPE, "a key has to be text", help);
                continue;
            };
            if key.is_empty() && entry.key.is_null() {
                let help = "write a key before the colon, or quote the whole text";
                report.error(entry.key.at, codes::WRONG_TYPE, "a colon without a key", help);
                continue;
            }
            if let Some((first, _)) = fields.entries.insert(key, (&entry.key, &entry.value)) {
                let message = format!("`{}` is there twice", fields.join(key));
                let help = format!("line {} has it already; the last one wins", first.at.line);
                report.lenient(entry.key.at, codes::DUPLICATE_KEY, message, help);
            } else {
                fields.order.push(key);
            }
        }
        Some(fields)
    }

    /// The path of one of this mapping's keys.
    pub(crate) fn join(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value of `key`, unless it is absent or says nothing.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<&'n Node> {
        self.get_or_null(key).filter(|node| !node.is_null())
    }

    /// The value of `key`, also when it says nothing.
    pub(crate) fn get_or_null(&mut self, key: &'static str) -> Option<&'n Node> {
        self.asked.push(key);
        self.entries.get(key).map(|(_, value)| *value)
    }

    /// Where `key` itself stands.
    pub(crate) fn key_at(&self, key: &str) -> Option<Mark> {
        self.entries.get(key).map(|(key, _)| key.at)
    }

    /// The value of `key`; its absence is an error.
    pub(crate) fn require(
        &mut self,
        report: &mut Report,
        key: &'static str,
        help: &str,
    ) -> Option<&'n Node> {
        let node = self.get(key);
        if node.is_none() {
            let path = self.join(key);
            match self.key_at(key) {
                Some(at) => {
                    report.error(at, codes::MISSING_KEY, format!("`{path}` is empty"), help);
                }
                None => {
                    let message = format!("`{path}` is missing");
                    report.error(self.at, codes::MISSING_KEY, message, help);
                }
            }
        }
        node
    }

    /// Every key with its own place and its value, in the order of the file.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'n str, Mark, &'n Node)> + '_ {
        self.order.iter().map(|key| {
            let (key_node, value) = self.entries[key];
            (*key, key_node.at, value)
        })
    }

    /// Makes `key` known without reading it.
    pub(crate) fn allow(&mut self, key: &'static str) {
        self.asked.push(key);
    }

    /// The keys nobody asked for.
    pub(crate) fn unknown(&self) -> Vec<(&'n str, Mark, &'n Node)> {
        self.entries().filter(|(key, ..)| !self.asked.contains(key)).collect()
    }

    /// Tells whoever wants to know which keys there are; [`Fields::finish`] does so too.
    pub(crate) fn note_keys(&self, report: &mut Report) {
        if let Some(keys) = &mut report.keys {
            keys.note(self, &self.asked);
        }
    }

    /// Reports the keys nobody asked for.
    pub(crate) fn finish(self, report: &mut Report) {
        self.finish_except(report, &[]);
    }

    /// As [`Fields::finish`], leaving out keys that were answered in a better way already.
    pub(crate) fn finish_except(self, report: &mut Report, answered: &[&str]) {
        self.note_keys(report);
        for (key, at, _) in self.unknown() {
            if answered.contains(&key) {
                continue;
            }
            let effect = if report.is_aws() { "; it is ignored" } else { "" };
            let message = match self.path.as_str() {
                "" => format!("there is no key `{key}`{effect}"),
                path => format!("`{path}` has no key `{key}`{effect}"),
            };
            // Looking for the nearest name costs; nobody reads it once the report is full.
            let help =
                if report.is_full() { String::new() } else { suggest::help(key, &self.asked) };
            report.lenient(at, codes::UNKNOWN_KEY, message, help);
        }
    }
}
