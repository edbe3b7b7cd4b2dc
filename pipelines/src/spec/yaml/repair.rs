//! How to go on after a mistake: what is wrong is replaced by something harmless on the same line,
//! so that the rest of the file can be looked at too and keeps its places.

use crate::spec::codes;
use crate::spec::problem::{Problem, Severity};
use crate::spec::yaml::Mark;

/// How much text all attempts together may read.
const WORK_MAX: usize = 6 * 1024 * 1024;
/// Control characters of more lines than this are not listed.
const CONTROLS_MAX: usize = 10;

/// A text being mended. Its lines are those of the original, one for one.
pub(super) struct Mended {
    pub text: String,
    work: usize,
}

impl Mended {
    /// The text without the characters YAML does not allow at all, and a problem for each line that
    /// has one.
    pub(super) fn new(text: &str) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        if !text.contains(is_refused) {
            return (Self { text: text.to_owned(), work: text.len() }, problems);
        }
        for (line, content) in (1u32..).zip(text.lines()) {
            let found = content.chars().enumerate().find(|(_, c)| is_refused(*c));
            if let Some((column, c)) = found {
                let column = u32::try_from(column).unwrap_or(u32::MAX).saturating_add(1);
                let at = Some(Mark { line, column });
                let message = format!("not YAML: the control character U+{:04X}", u32::from(c));
                let help = "delete it; in a double-quoted text it can be written as an escape";
                problems.push(Problem::new(Severity::Error, at, codes::SYNTAX, message, help));
                if problems.len() >= CONTROLS_MAX {
                    break;
                }
            }
        }
        let text = text.replace(is_refused, "x");
        let work = text.len();
        (Self { text, work }, problems)
    }

    /// Puts something harmless in place of a line that is wrong; false where that changes nothing,
    /// or enough was tried.
    pub(super) fn defuse(&mut self, line: u32) -> bool {
        let Some(start) = starts_of(&self.text).nth((line - 1) as usize) else { return false };
        let rest = &self.text[start..];
        let old = rest.split('\n').next().unwrap_or(rest).trim_end_matches('\r');
        let new = harmless(old);
        if new == old {
            return false;
        }
        let end = start + old.len();
        self.text.replace_range(start..end, &new);
        self.work += self.text.len();
        self.work <= WORK_MAX
    }
}

/// What neither libyaml nor its port to Go reads, whatever it stands in.
fn is_refused(c: char) -> bool {
    (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}'))
        || matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// Where each line starts.
fn starts_of(text: &str) -> impl Iterator<Item = usize> + '_ {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1))
}

/// The line with its structure and without its content.
fn harmless(line: &str) -> String {
    let item = line.trim_start();
    let indent = " ".repeat(line.chars().count() - item.chars().count());
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
    use super::*;
    use crate::spec::yaml::load;

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

    #[test]
    fn a_line_is_replaced_without_its_end() {
        let (mut mended, _) = Mended::new("a: b: c\r\nd: e: f");
        assert!(mended.defuse(1) && mended.defuse(2) && !mended.defuse(3));
        assert_eq!(mended.text, "a: x\r\nd: x");
        assert!(!mended.defuse(1), "nothing is left to change");
    }

    #[test]
    fn characters_that_yaml_refuses_are_named_and_hide_nothing() {
        let document = load("a: \u{7}\u{1b}\nb: é\u{7f}\nc: *x\nd: \u{85}\u{feff}\n").unwrap();
        let broken: Vec<_> = document.broken.iter().map(ToString::to_string).collect();
        assert!(
            broken[0]
                .starts_with("1:4: error[yaml-syntax]: not YAML: the control character U+0007")
        );
        assert!(broken[1].starts_with("2:5: ") && broken[1].contains("U+007F"), "{broken:?}");
        assert!(broken[2].starts_with("3:4: error[unknown-anchor]"), "{broken:?}");
        assert_eq!(broken.len(), 3, "{broken:?}");
    }
}
