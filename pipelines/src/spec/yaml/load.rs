//! Building the tree from parser events, with the limits that keep hostile files cheap.
//!
//! The parser is a port of libyaml, which CodeDeploy reads with and which CodeBuild's was ported from:
//! what is YAML here is YAML there, down to tabs and quoted texts that go on at the margin.
//!
//! Iterative on purpose: a builder that recurses once per nesting level could be made to overflow its
//! stack; an explicit one makes depth a number that can be compared.

use crate::spec::codes;
use crate::spec::problem::{Problem, Severity};
use crate::spec::yaml::places::Places;
use crate::spec::yaml::readable::Readable;
use crate::spec::yaml::repair::Mended;
use crate::spec::yaml::{Document, Entry, Mark, Node, Rest, Style, Value, syntax};
use libyaml_safer::{EventData, Parser, STR_TAG, ScalarStyle};
use std::collections::{BTreeMap, BTreeSet};

/// The largest file read; AWS allows buildspecs far smaller.
pub(crate) const BYTES_MAX: usize = 1024 * 1024;
/// The deepest nesting; the deepest real file seen has eight levels.
pub(crate) const DEPTH_MAX: usize = 64;
/// All values together, those that aliases repeat included.
const NODES_MAX: usize = 250_000;
/// The text of all values together, that which aliases repeat included.
const TEXT_MAX: usize = 4 * BYTES_MAX;
/// More syntax errors than this are not looked for.
const BROKEN_MAX: usize = 10;
/// More mistakes that do not hinder reading on are not listed.
const NOTED_MAX: usize = 100;

/// Reads the first document of `text`; what cannot be read at all comes back as problems.
pub(crate) fn load(text: &str) -> Result<Document, Vec<Problem>> {
    if text.len() > BYTES_MAX {
        let message = format!("the file has {} bytes, at most {BYTES_MAX} are read", text.len());
        let help = "move long scripts into files of their own and call them";
        return Err(vec![*error(None, codes::TOO_LARGE, message, help)]);
    }
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut mended, mut broken) = Mended::new(body);
    let mut tries = 0;
    loop {
        let problem = match attempt(&mended.text, body) {
            Ok(mut document) => {
                broken.append(&mut document.broken);
                document.broken = broken;
                return Ok(document);
            }
            Err(Failure::Limit(problem)) => {
                broken.push(*problem);
                return Err(broken);
            }
            Err(Failure::Syntax(problem)) => *problem,
        };
        // A mistake right behind the last one is its consequence.
        let before = broken.last().filter(|_| tries > 0).and_then(|last| last.line);
        if before.is_some_and(|before| problem.line.is_none_or(|line| line <= before + 1)) {
            return Err(broken);
        }
        tries += 1;
        let line = problem.line.unwrap_or(1);
        broken.push(problem);
        if tries > BROKEN_MAX || !mended.defuse(line) {
            return Err(broken);
        }
    }
}

enum Failure {
    Limit(Box<Problem>),
    Syntax(Box<Problem>),
}

impl From<Box<Problem>> for Failure {
    fn from(problem: Box<Problem>) -> Self {
        Failure::Limit(problem)
    }
}

/// Reads `text`, which is the `original` without the mistakes found so far.
fn attempt(text: &str, original: &str) -> Result<Document, Failure> {
    let mut places = Places::new(text);
    let readable = Readable::new(text).map_err(|offset| {
        let message = "too many tabs in a row for so many `!` before commas".to_owned();
        let help = "use spaces instead of tabs, or quote texts that start with `!`";
        Failure::Limit(error(Some(places.at(offset)), codes::TOO_LARGE, message, help))
    })?;
    let mut parser = Parser::new();
    parser.set_input(readable.text.as_bytes());
    let mut builder = Builder::default();
    let mut ended = false;
    let mut rest = None;
    loop {
        // What follows the first document is nobody's business, mistakes included.
        let event = match parser.parse() {
            Ok(event) => event,
            Err(failure) if ended => {
                let at = failure.problem_mark().map_or(0, |mark| mark.index);
                rest = Some(Rest::Text(places.at(readable.original(at))));
                break;
            }
            Err(failure) => {
                let offset = |at| readable.original(at);
                let problem = syntax::explain(original, &mut places, offset, &failure);
                return Err(Failure::Syntax(Box::new(problem)));
            }
        };
        let at = places.at(readable.original(event.start_mark.index));
        match event.data {
            EventData::DocumentStart { .. } if ended => {
                rest = Some(Rest::Document(at));
                break;
            }
            EventData::DocumentEnd { .. } => ended = true,
            EventData::StreamEnd => break,
            EventData::Scalar { anchor, tag, value, style, .. } => {
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let value = readable.value(value, block, event.end_mark.index);
                builder.scalar(at, anchor, tag, value, style)?;
            }
            data => builder.take(data, at)?,
        }
    }
    let root = builder.root.filter(|node| rest.is_some() || !node.is_null());
    Ok(Document { root, rest, broken: builder.broken })
}

fn error(at: Option<Mark>, code: codes::Code, message: String, help: &str) -> Box<Problem> {
    Box::new(Problem::new(Severity::Error, at, code, message, help))
}

/// Keeps a mistake, unless there are more than anybody mends at once.
fn note(broken: &mut Vec<Problem>, problem: Box<Problem>) {
    if broken.len() < NOTED_MAX {
        broken.push(*problem);
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
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    /// Values that have a name; nothing for one that has not ended yet.
    anchors: BTreeMap<String, Option<Node>>,
    nodes: usize,
    text: usize,
    /// Mistakes that do not hinder reading on.
    broken: Vec<Problem>,
}

impl Builder {
    fn scalar(
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

    fn take(&mut self, event: EventData, at: Mark) -> Result<(), Box<Problem>> {
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
            note(&mut self.broken, error(Some(at), codes::UNKNOWN_ANCHOR, message, help));
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
                note(broken, error(Some(at), codes::MERGE_KEY, message, "write `<<: *anchor`"));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> Node {
        load(text).unwrap().root.unwrap()
    }

    fn code(text: &str) -> String {
        let problems = load(text).map_or_else(|problems| problems, |document| document.broken);
        problems[0].code.clone().into_owned()
    }

    fn pairs(node: &Node) -> Vec<(&str, &str)> {
        let Value::Map(entries) = &node.value else { panic!("not a mapping") };
        entries.iter().map(|e| (e.key.text().unwrap(), e.value.text().unwrap())).collect()
    }

    #[test]
    fn scalars_keep_the_text_they_were_written_with() {
        let node = root("{a: 3.10, b: 0644, c: 12e03, d: yes, e: '~', f: 0x1F}");
        let found: Vec<_> = pairs(&node).into_iter().map(|(_, value)| value).collect();
        assert_eq!(found, ["3.10", "0644", "12e03", "yes", "~", "0x1F"]);
        assert!(!root("'~'").is_null());
    }

    #[test]
    fn places_count_from_one() {
        let node = root("a:\n  - b\n");
        let Value::Map(entries) = &node.value else { panic!() };
        assert_eq!(entries[0].key.at, Mark { line: 1, column: 1 });
        let Value::List(items) = &entries[0].value.value else { panic!() };
        assert_eq!(items[0].at, Mark { line: 2, column: 5 });
    }

    #[test]
    fn merge_keys_yield_to_what_the_mapping_says_itself() {
        let node = root("[&b {x: 1, y: 2}, &c {y: 3, z: 4}, {<<: [*b, *c], x: 9}]");
        let Value::List(items) = &node.value else { panic!() };
        assert_eq!(pairs(&items[2]), [("x", "9"), ("y", "2"), ("z", "4")]);
        assert_eq!(code("<<: 3"), "merge-key");
    }

    #[test]
    fn hostile_files_are_refused_for_what_they_are() {
        assert_eq!(code(&"a".repeat(BYTES_MAX + 1)), "too-large");
        assert_eq!(code(&"- ".repeat(DEPTH_MAX + 1)), "too-deep");
        assert_eq!(code("&a [*a]"), "unknown-anchor");
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for n in 1..10 {
            let list = vec![format!("*a{}", n - 1); 10].join(",");
            bomb += &format!("a{n}: &a{n} [{list}]\n");
        }
        assert_eq!(code(&bomb), "too-large");
    }

    #[test]
    fn a_second_document_is_noticed_and_not_read() {
        let document = load("a: 1\n---\nb: 2\n").unwrap();
        assert_eq!(pairs(&document.root.unwrap()), [("a", "1")]);
        assert_eq!(document.rest, Some(Rest::Document(Mark { line: 2, column: 1 })));
        assert!(load("# nothing\n").unwrap().root.is_none());
    }
}
