//! Reading a text into a tree, mistake by mistake.
//!
//! The parser is a port of libyaml, which CodeDeploy reads with and which CodeBuild's was ported from:
//! what is YAML here is YAML there, down to tabs and quoted texts that go on at the margin.

use crate::spec::codes;
use crate::spec::problem::Problem;
use crate::spec::yaml::build::{Builder, error};
use crate::spec::yaml::places::Places;
use crate::spec::yaml::readable::Readable;
use crate::spec::yaml::repair::Mended;
use crate::spec::yaml::{Document, Rest, syntax};
use libyaml_safer::{EventData, Parser, ScalarStyle};

/// The largest file read; AWS allows buildspecs far smaller.
pub(crate) const BYTES_MAX: usize = 1024 * 1024;
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
        let offset = readable.original(event.start_mark.index);
        let at = places.at(offset);
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
                let comment = if value.is_empty() { comment_behind(text, offset) } else { None };
                let at = comment.map_or(at, |offset| places.at(offset));
                builder.scalar(at, anchor, tag, value, style)?;
            }
            data => builder.take(data, at)?,
        }
    }
    let root = builder.root.filter(|node| rest.is_some() || !node.is_null());
    Ok(Document { root, rest, broken: builder.broken })
}

/// Where the comment starts that an author takes for the value: `- # text`.
fn comment_behind(text: &str, offset: usize) -> Option<usize> {
    let rest = text.get(offset..)?;
    let comment = rest.trim_start_matches([' ', '\t']);
    let spaces = rest.len() - comment.len();
    (spaces > 0 && comment.starts_with('#')).then_some(offset + spaces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::yaml::build::DEPTH_MAX;
    use crate::spec::yaml::{Mark, Node, Value};

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
    fn a_comment_is_the_place_of_nothing() {
        let node = root("-  # x\n- ''\n-  \n- a\n");
        let Value::List(items) = &node.value else { panic!() };
        let places: Vec<_> = items.iter().map(|item| (item.at.line, item.at.column)).collect();
        assert_eq!(places, [(1, 4), (2, 3), (3, 2), (4, 3)]);
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
