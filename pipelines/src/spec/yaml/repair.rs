//! Where the parser is stricter than the one AWS uses, and how to go on after a mistake.
//!
//! CodeBuild and CodeDeploy read YAML with libyaml or a port of it. The parser here follows YAML
//! 1.2 more closely and refuses a few things libyaml takes, such as a quoted text that goes on at
//! the margin. Those are made acceptable without changing what they mean, and the places of what is
//! behind them are corrected. A real mistake is replaced by something harmless, so that the rest of
//! the file can be looked at too.

use crate::spec::yaml::Mark;
use saphyr_parser::ScanError;
use std::collections::BTreeMap;

/// How many mendings one file may need.
const ROUNDS_MAX: usize = 32;
/// How much text all attempts together may read.
const WORK_MAX: usize = 8 * 1024 * 1024;
/// How far a line is indented at most.
const INDENT_MAX: usize = 200;

/// A text being mended, with what was added at the start of its lines.
pub(super) struct Mended {
    pub text: String,
    added: BTreeMap<u32, u32>,
    rounds: usize,
    work: usize,
}

impl Mended {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), added: BTreeMap::new(), rounds: 0, work: 0 }
    }

    /// Where something of the mended text stands in the original.
    pub(super) fn original(&self, at: Mark) -> Mark {
        let added = self.added.get(&at.line).copied().unwrap_or(0);
        Mark { line: at.line, column: at.column.saturating_sub(added).max(1) }
    }

    /// Whether another attempt may be made.
    fn once_more(&mut self) -> bool {
        self.rounds += 1;
        self.work += self.text.len();
        self.rounds <= ROUNDS_MAX && self.work <= WORK_MAX
    }

    /// Mends what libyaml would have taken. False where it would not have, either.
    pub(super) fn mend(&mut self, failure: &ScanError) -> bool {
        let line = failure.marker().line().saturating_sub(1);
        match failure.info() {
            "invalid indentation in quoted scalar" => {
                let last = self.closing_line(line, failure.marker().col());
                last.is_some_and(|last| self.indent(line + 1, last)) && self.once_more()
            }
            // Both are only said inside brackets, where indentation means nothing.
            "invalid indentation" | "invalid indentation in flow construct" => {
                self.indent(line, line) && self.once_more()
            }
            "':' must be followed by a valid YAML whitespace" => {
                self.space_after_colon(line, failure.marker().col()) && self.once_more()
            }
            _ => false,
        }
    }

    /// The line on which the quoted text that starts at the place ends.
    fn closing_line(&self, line: usize, column: usize) -> Option<usize> {
        let start: usize = self.text.split_inclusive('\n').take(line).map(str::len).sum();
        let mut chars = self.text[start..].chars().skip(column);
        let quote = chars.next().filter(|c| matches!(c, '"' | '\''))?;
        let mut at = line;
        let mut escaped = false;
        for c in chars {
            match c {
                '\n' => at += 1,
                _ if escaped => {}
                // A doubled quote opens at once what it has closed.
                _ if c == quote => return Some(at).filter(|_| at > line),
                _ => {}
            }
            escaped = quote == '"' && c == '\\' && !escaped;
        }
        None
    }

    fn indent(&mut self, first: usize, last: usize) -> bool {
        let widest = self.text.lines().map(|line| line.len() - line.trim_start().len()).max();
        let width = widest.unwrap_or(0) + 1;
        let once = u32::try_from(first + 1).is_ok_and(|line| !self.added.contains_key(&line));
        if width > INDENT_MAX || !once || (last - first + 1) * width > 1024 * 1024 {
            return false;
        }
        let mut text = String::with_capacity(self.text.len() + width);
        for (index, line) in self.text.split_inclusive('\n').enumerate() {
            if (first..=last).contains(&index) {
                text.push_str(&" ".repeat(width));
                let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
                self.added.insert(number, u32::try_from(width).unwrap_or(0));
            }
            text.push_str(line);
        }
        self.text = text;
        true
    }

    fn space_after_colon(&mut self, line: usize, column: usize) -> bool {
        self.replace(line, |text| {
            let head: String = text.chars().take(column).collect();
            let tail: String = text.chars().skip(column).collect();
            let tabs = head.len() - head.trim_end_matches('\t').len();
            (tabs > 0).then(|| format!("{}{}{tail}", head.trim_end_matches('\t'), " ".repeat(tabs)))
        })
    }

    /// Puts something harmless in place of a line that is wrong.
    pub(super) fn defuse(&mut self, failure: &ScanError) -> bool {
        let line = failure.marker().line().saturating_sub(1);
        self.replace(line, |text| Some(harmless(text))) && self.once_more()
    }

    fn replace(&mut self, line: usize, make: impl Fn(&str) -> Option<String>) -> bool {
        let mut changed = false;
        let mut text = String::with_capacity(self.text.len());
        for (index, old) in self.text.split_inclusive('\n').enumerate() {
            let body = old.trim_end_matches(['\n', '\r']);
            match make(body).filter(|new| index == line && new != body) {
                Some(new) => {
                    changed = true;
                    text.push_str(&new);
                    text.push_str(&old[body.len()..]);
                }
                None => text.push_str(old),
            }
        }
        self.text = text;
        changed
    }
}

/// The line with its structure and without its content.
fn harmless(line: &str) -> String {
    let item = line.trim_start();
    let indent = " ".repeat(line.len() - item.len());
    let (dash, rest) = match item.strip_prefix("- ") {
        Some(rest) => ("- ", rest.trim_start()),
        None if item == "-" => ("- ", ""),
        None => ("", item),
    };
    let key = rest.split_once(": ").map(|pair| pair.0).filter(|key| {
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    });
    match key {
        Some(key) => format!("{indent}{dash}{key}: x"),
        None if dash.is_empty() => String::new(),
        None => format!("{indent}- x"),
    }
}

#[cfg(test)]
mod tests {
    use super::harmless;
    use crate::spec::yaml::{Mark, Value, load};

    #[test]
    fn what_libyaml_takes_is_taken_and_keeps_its_place() {
        let cases = [
            "a: \"x\ny\"\nb: c\n",
            "a:\n  - 'x\ny''s\n  z'\nb: c\n",
            "a:\n  b: {\n    c: d\n}\nb: c\n",
            "a: [\n  x,\ny\n]\nb: c\n",
            "a:\tx\nb: c\n",
            "a: {x: 1}\nb:\tc\n",
        ];
        for text in cases {
            let document = load(text).unwrap();
            assert!(document.broken.is_empty(), "{text:?}: {:?}", document.broken);
            let Some(Value::Map(entries)) = document.root.map(|root| root.value) else { panic!() };
            let last = entries.last().unwrap();
            let line = u32::try_from(text.lines().count()).unwrap();
            assert_eq!(last.key.at, Mark { line, column: 1 }, "{text:?}");
            assert_eq!(last.value.text(), Some("c"), "{text:?}");
        }
    }

    #[test]
    fn a_wrong_line_keeps_its_structure() {
        let cases = [
            ("  - **/*", "  - x"),
            ("  - source: a: b", "  - source: x"),
            ("  name: a: b", "  name: x"),
            ("  [ -z x ] && y", ""),
            ("-", "- x"),
        ];
        for (line, expected) in cases {
            assert_eq!(harmless(line), expected, "{line}");
        }
    }
}
