//! The tree, from events, within limits.
//!
//! Iterative on purpose: a builder that recurses once per nesting level could be made to overflow its
//! stack; an explicit one makes depth a number that can be compared.

use crate::spec::codes;
use crate::spec::problem::{Problem, Severity};
use crate::spec::yaml::load::BYTES_MAX;
use crate::spec::yaml::{Entry, Mark, Node, Style, Value};
use libyaml_safer::{EventData, STR_TAG, ScalarStyle};
use std::collections::{BTreeMap, BTreeSet};

/// The deepest nesting; the deepest real file seen has eight levels.
pub(crate) const DEPTH_MAX: usize = 64;
/// All values together, those that aliases repeat included.
const NODES_MAX: usize = 250_000;
/// The text of all values together, that which aliases repeat included.
const TEXT_MAX: usize = 4 * BYTES_MAX;
/// More mistakes that do not hinder reading on are not listed.
const NOTED_MAX: usize = 100;

pub(super) fn error(
    at: Option<Mark>,
    code: codes::Code,
    message: String,
    help: &str,
) -> Box<Problem> {
    Box::new(Problem::new(Severity::Error, at, code, message, help))
}

/// Keeps a mistake, unless there are more than anybody mends at once.
fn note(broken: &mut Vec<Problem>, problem: Problem) {
    if broken.len() < NOTED_MAX {
        broken.push(problem);
    }
}

/// A list or mapping that has not ended yet.
struct Open {
    at: Mark,
    tag: Option<String>,
    anchor: Option<String>,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<Node> },
}

#[derive(Default)]
pub(super) struct Builder {
    pub root: Option<Node>,
    open: Vec<Open>,
    /// Values that have a name; nothing for one that has not ended yet.
    anchors: BTreeMap<String, Option<Node>>,
    nodes: usize,
    text: usize,
    /// Mistakes that do not hinder reading on.
    pub broken: Vec<Problem>,
}

impl Builder {
    pub(super) fn scalar(
        &mut self,
        at: Mark,
        anchor: Option<String>,
        tag: Option<String>,
        text: String,
        style: ScalarStyle,
    ) -> Result<(), Box<Problem>> {
        let style = match style {
            // `!!str` and `!` say that this is text, whatever it looks like.
            _ if tag.as_deref().is_some_and(|tag| tag == STR_TAG || tag == "!") => Style::Quoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            _ => Style::Plain,
        };
        self.count(1, text.len(), at)?;
        let value = Value::Scalar { text, style };
        self.place(Node { at, tag: foreign(tag), value }, anchor)
    }

    pub(super) fn take(&mut self, event: EventData, at: Mark) -> Result<(), Box<Problem>> {
        match event {
            EventData::SequenceStart { anchor, tag, .. } => {
                self.enter(at, anchor, tag, Inside::List(Vec::new()))
            }
            EventData::MappingStart { anchor, tag, .. } => {
                let inside = Inside::Map { entries: Vec::new(), key: None };
                self.enter(at, anchor, tag, inside)
            }
            EventData::SequenceEnd | EventData::MappingEnd => self.leave(),
            EventData::Alias { anchor } => self.repeat(&anchor, at),
            EventData::Scalar { .. }
            | EventData::StreamStart { .. }
            | EventData::StreamEnd
            | EventData::DocumentStart { .. }
            | EventData::DocumentEnd { .. } => Ok(()),
        }
    }

    fn enter(
        &mut self,
        at: Mark,
        anchor: Option<String>,
        tag: Option<String>,
        inside: Inside,
    ) -> Result<(), Box<Problem>> {
        self.count(1, 0, at)?;
        if self.open.len() >= DEPTH_MAX {
            let message = format!("values are nested more than {DEPTH_MAX} levels deep");
            let help = "no file needs that; look for a bracket that is never closed";
            return Err(error(Some(at), codes::TOO_DEEP, message, help));
        }
        if let Some(anchor) = &anchor {
            self.anchors.insert(anchor.clone(), None);
        }
        self.open.push(Open { at, tag: foreign(tag), anchor, inside });
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Box<Problem>> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.inside {
            Inside::List(items) => Value::List(items),
            Inside::Map { entries, .. } => Value::Map(merge(entries, &mut self.broken)),
        };
        self.place(Node { at: open.at, tag: open.tag, value }, open.anchor)
    }

    /// Puts a finished value where it belongs.
    fn place(&mut self, node: Node, anchor: Option<String>) -> Result<(), Box<Problem>> {
        if let Some(anchor) = anchor {
            let (nodes, text) = weight(&node);
            self.count(nodes, text + anchor.len(), node.at)?;
            self.anchors.insert(anchor, Some(node.clone()));
        }
        match self.open.last_mut().map(|open| &mut open.inside) {
            None => self.root = Some(node),
            Some(Inside::List(items)) => items.push(node),
            Some(Inside::Map { entries, key }) => match key.take() {
                None => *key = Some(node),
                Some(key) => entries.push(Entry { key, value: node }),
            },
        }
        Ok(())
    }

    fn repeat(&mut self, anchor: &str, at: Mark) -> Result<(), Box<Problem>> {
        let known = self.anchors.get(anchor);
        let Some(Some(node)) = known else {
            let (message, help) = if known.is_some() {
                ("an alias stands inside the value it names", "write the value out instead")
            } else {
                ("an alias of nothing", "quote a text that starts with `*`, or define it with `&`")
            };
            let message = format!("`*{anchor}`: {message}");
            note(&mut self.broken, *error(Some(at), codes::UNKNOWN_ANCHOR, message, help));
            let value = Value::Scalar { text: "x".to_owned(), style: Style::Plain };
            return self.place(Node { at, tag: None, value }, None);
        };
        let (nodes, text) = weight(node);
        self.count(nodes, text, at)?;
        match self.anchors.get(anchor).cloned().flatten() {
            Some(node) => self.place(node, None),
            None => Ok(()),
        }
    }

    fn count(&mut self, nodes: usize, text: usize, at: Mark) -> Result<(), Box<Problem>> {
        self.nodes += nodes;
        self.text += text;
        if self.nodes <= NODES_MAX && self.text <= TEXT_MAX {
            return Ok(());
        }
        let message = format!("more than {NODES_MAX} values, or {TEXT_MAX} bytes of text");
        let help = "aliases that repeat each other multiply; write less, or split the file";
        Err(error(Some(at), codes::TOO_LARGE, message, help))
    }
}

/// A tag that is not one of YAML's own types.
fn foreign(tag: Option<String>) -> Option<String> {
    tag.filter(|tag| !tag.starts_with("tag:yaml.org,2002:"))
}

/// How many values and bytes of text a copy of `node` costs.
fn weight(node: &Node) -> (usize, usize) {
    let mut sum = (0, 0);
    let mut todo = vec![node];
    while let Some(node) = todo.pop() {
        sum.0 += 1;
        match &node.value {
            Value::Scalar { text, .. } => sum.1 += text.len(),
            Value::List(items) => todo.extend(items),
            Value::Map(entries) => {
                todo.extend(entries.iter().flat_map(|entry| [&entry.key, &entry.value]));
            }
        }
    }
    sum
}

/// Applies merge keys (`<<: *base`, YAML 1.1): what the mapping says itself wins.
fn merge(entries: Vec<Entry>, broken: &mut Vec<Problem>) -> Vec<Entry> {
    let is_merge = |entry: &Entry| match &entry.key.value {
        Value::Scalar { text, style } => *style == Style::Plain && text == "<<",
        Value::List(_) | Value::Map(_) => false,
    };
    if !entries.iter().any(is_merge) {
        return entries;
    }
    let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_merge);
    let mut known: BTreeSet<String> =
        own.iter().filter_map(|entry| entry.key.text().map(str::to_owned)).collect();
    for entry in merges {
        let at = entry.value.at;
        let bases = match entry.value.value {
            Value::List(items) => items,
            Value::Map(_) | Value::Scalar { .. } => vec![entry.value],
        };
        for base in bases {
            let Value::Map(entries) = base.value else {
                let message = "`<<` can only take over a mapping".to_owned();
                note(broken, *error(Some(at), codes::MERGE_KEY, message, "write `<<: *anchor`"));
                continue;
            };
            for entry in entries {
                if entry.key.text().is_none_or(|key| known.insert(key.to_owned())) {
                    own.push(entry);
                }
            }
        }
    }
    own
}
