//! Building the tree from parser events, with the limits that keep hostile files cheap.
//!
//! Iterative on purpose: `Parser::load` of the YAML crate recurses once per nesting level, and so
//! would a recursive builder; an explicit stack makes depth a number that can be compared.

use crate::spec::codes;
use crate::spec::problem::{Problem, Severity};
use crate::spec::yaml::repair::Mended;
use crate::spec::yaml::tabs::Opaque;
use crate::spec::yaml::{Document, Entry, Mark, Node, Style, Value, syntax};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};
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

/// Reads the first document of `text`; what cannot be read at all comes back as problems.
pub(crate) fn load(text: &str) -> Result<Document, Vec<Problem>> {
    if text.len() > BYTES_MAX {
        let message = format!("the file has {} bytes, at most {BYTES_MAX} are read", text.len());
        let help = "move long scripts into files of their own and call them";
        return Err(vec![*error(None, codes::TOO_LARGE, message, help)]);
    }
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut mended = Mended::new(body);
    let mut broken: Vec<Problem> = Vec::new();
    loop {
        let failure = match attempt(&mended) {
            Ok(mut document) => {
                document.broken.extend(broken);
                return Ok(document);
            }
            Err(Failure::Limit(problem)) => {
                broken.push(*problem);
                return Err(broken);
            }
            Err(Failure::Syntax(failure)) => failure,
        };
        if mended.mend(&failure) {
            continue;
        }
        let problem = syntax::explain(body, &failure, mended.original(mark(failure.marker())));
        // A mistake right behind the last one is its consequence.
        let before = broken.last().and_then(|last| last.line);
        if before.is_some_and(|before| problem.line.is_none_or(|line| line <= before + 1)) {
            return Err(broken);
        }
        let hopeless = problem.code == codes::TOO_DEEP.0 || broken.len() >= BROKEN_MAX;
        broken.push(problem);
        if hopeless || !mended.defuse(&failure) {
            return Err(broken);
        }
    }
}

enum Failure {
    Limit(Box<Problem>),
    Syntax(ScanError),
}

impl From<Box<Problem>> for Failure {
    fn from(problem: Box<Problem>) -> Self {
        Failure::Limit(problem)
    }
}

fn attempt(mended: &Mended) -> Result<Document, Failure> {
    let mut builder = Builder::default();
    let mut second = None;
    let tabs = mended.text.contains('\t');
    let lines: Vec<&str> = if tabs { mended.text.lines().collect() } else { Vec::new() };
    let mut opaque = Opaque::default();
    for item in Parser::new_from_str(&mended.text) {
        let (event, span) = item.map_err(Failure::Syntax)?;
        let at = mended.original(mark(&span.start));
        if matches!(event, Event::DocumentStart(_)) {
            builder.documents += 1;
            if builder.documents == 2 {
                second = Some(at);
                break;
            }
        }
        if tabs {
            note(&mut opaque, &event, &span, &lines);
        }
        builder.take(event, at)?;
    }
    // Lines of a second document are nobody's business.
    let read = second.map_or(lines.len(), |at: Mark| at.line as usize - 1);
    let broken = opaque.check(&lines[..read.min(lines.len())]);
    let root = builder.root.filter(|node| second.is_some() || !node.is_null());
    Ok(Document { root, second, broken })
}

/// Tells where tabs do not matter.
fn note(opaque: &mut Opaque, event: &Event<'_>, span: &Span, lines: &[&str]) {
    let (start, end) = (mark(&span.start), mark(&span.end));
    match event {
        Event::SequenceStart(..) | Event::MappingStart(..) => opaque.enter(start, lines),
        Event::SequenceEnd | Event::MappingEnd => opaque.leave(end),
        // A block ends in front of the next line with content.
        Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, ..) => {
            let before = Mark { line: end.line.saturating_sub(u32::from(end.column == 1)), ..end };
            opaque.scalar(start, before);
        }
        Event::Scalar(_, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted, ..) => {
            opaque.scalar(start, end);
        }
        _ => {}
    }
}

fn mark(marker: &Marker) -> Mark {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Mark { line: number(marker.line()).max(1), column: number(marker.col()).saturating_add(1) }
}

fn error(at: Option<Mark>, code: codes::Code, message: String, help: &str) -> Box<Problem> {
    Box::new(Problem::new(Severity::Error, at, code, message, help))
}

/// A list or mapping that has not ended yet.
struct Open {
    at: Mark,
    tag: Option<String>,
    anchor: usize,
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
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    text: usize,
    documents: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Mark) -> Result<(), Box<Problem>> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                self.count(1, text.len(), at)?;
                let value = Value::Scalar { text: text.into_owned(), style };
                self.place(Node { at, tag: foreign(tag.as_deref()), value }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.enter(at, anchor, tag.as_deref(), Inside::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let inside = Inside::Map { entries: Vec::new(), key: None };
                self.enter(at, anchor, tag.as_deref(), inside)
            }
            Event::SequenceEnd | Event::MappingEnd => self.leave(),
            Event::Alias(anchor) => self.repeat(anchor, at),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn enter(
        &mut self,
        at: Mark,
        anchor: usize,
        tag: Option<&Tag>,
        inside: Inside,
    ) -> Result<(), Box<Problem>> {
        self.count(1, 0, at)?;
        if self.open.len() >= DEPTH_MAX {
            let message = format!("values are nested more than {DEPTH_MAX} levels deep");
            let help = "no file needs that; look for a bracket that is never closed";
            return Err(error(Some(at), codes::TOO_DEEP, message, help));
        }
        self.open.push(Open { at, tag: foreign(tag), anchor, inside });
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Box<Problem>> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.inside {
            Inside::List(items) => Value::List(items),
            Inside::Map { entries, .. } => Value::Map(merge(entries)?),
        };
        self.place(Node { at: open.at, tag: open.tag, value }, open.anchor)
    }

    /// Puts a finished value where it belongs.
    fn place(&mut self, node: Node, anchor: usize) -> Result<(), Box<Problem>> {
        if anchor > 0 {
            let (nodes, text) = weight(&node);
            self.count(nodes, text, node.at)?;
            self.anchors.insert(anchor, node.clone());
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

    fn repeat(&mut self, anchor: usize, at: Mark) -> Result<(), Box<Problem>> {
        // An anchor is known from its end on, so a value cannot hold itself.
        let Some(node) = self.anchors.get(&anchor) else {
            let message = "an alias stands inside the value it names".to_owned();
            let help = "write the value out instead";
            return Err(error(Some(at), codes::UNKNOWN_ANCHOR, message, help));
        };
        let (nodes, text) = weight(node);
        self.count(nodes, text, at)?;
        let node = self.anchors[&anchor].clone();
        self.place(node, 0)
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
fn foreign(tag: Option<&Tag>) -> Option<String> {
    tag.filter(|tag| !tag.is_yaml_core_schema()).map(|tag| format!("{}{}", tag.handle, tag.suffix))
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
fn merge(entries: Vec<Entry>) -> Result<Vec<Entry>, Box<Problem>> {
    let is_merge = |entry: &Entry| match &entry.key.value {
        Value::Scalar { text, style } => *style == Style::Plain && text == "<<",
        Value::List(_) | Value::Map(_) => false,
    };
    if !entries.iter().any(is_merge) {
        return Ok(entries);
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
                return Err(error(Some(at), codes::MERGE_KEY, message, "write `<<: *anchor`"));
            };
            for entry in entries {
                if entry.key.text().is_none_or(|key| known.insert(key.to_owned())) {
                    own.push(entry);
                }
            }
        }
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> Node {
        load(text).unwrap().root.unwrap()
    }

    fn code(text: &str) -> String {
        load(text).unwrap_err().remove(0).code.into_owned()
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
        assert_eq!(document.second.unwrap().line, 2);
        assert!(load("# nothing\n").unwrap().root.is_none());
    }
}
