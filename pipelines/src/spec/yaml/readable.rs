//! The text as the parser can take it.
//!
//! The port of libyaml gives up with a panic in three places where libyaml itself goes on or reports
//! an error: a block text, and a backslash in double quotes, that the file ends behind without a line
//! break, and a tag directly before a comma. So every text gets a final line break, and every comma
//! that might follow a tag gets tabs before it that stand nowhere else; both are taken out again of
//! whatever value they end up in.

use std::borrow::Cow;

/// How much may be added; files that need more are made to hurt.
const ADDED_MAX: usize = 256 * 1024;

pub(super) struct Readable<'t> {
    pub text: Cow<'t, str>,
    /// What stands before some commas.
    pad: String,
    /// Where it does, as offsets in the original.
    padded: Vec<usize>,
    /// Whether the last line break is not the author's.
    ended: bool,
}

impl<'t> Readable<'t> {
    /// The text made readable, or the offset of something before which too much had to be added.
    pub(super) fn new(text: &'t str) -> Result<Self, usize> {
        let last = text.rfind(is_break).map_or(0, |at| at + 1);
        // Spaces alone are no line; libyaml keeps them where a block text is indented by fewer.
        let spaces = text.is_char_boundary(last) && text[last..].bytes().all(|b| b == b' ');
        let text = if spaces { &text[..last] } else { text };
        let ended = !text.ends_with(is_break);
        let padded = commas_behind_tags(text);
        if padded.is_empty() && !ended {
            return Ok(Self { text: Cow::Borrowed(text), pad: String::new(), padded, ended });
        }
        let pad = if padded.is_empty() { String::new() } else { strange_tabs(text) };
        if let Some(first) = padded.first().filter(|_| padded.len() * pad.len() > ADDED_MAX) {
            return Err(*first);
        }
        let mut made = String::with_capacity(text.len() + padded.len() * pad.len() + 1);
        let mut from = 0;
        for at in &padded {
            made.push_str(&text[from..*at]);
            made.push_str(&pad);
            from = *at;
        }
        made.push_str(&text[from..]);
        if ended {
            made.push('\n');
        }
        Ok(Self { text: Cow::Owned(made), pad, padded, ended })
    }

    /// The offset in the original of an offset in the text.
    pub(super) fn original(&self, offset: u64) -> usize {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let width = self.pad.len();
        let (mut low, mut high) = (0, self.padded.len());
        // How many of the pads stand before the offset.
        while low < high {
            let middle = low.midpoint(high);
            if self.padded[middle] + (middle + 1) * width <= offset {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let offset = offset - low * width;
        self.padded.get(low).map_or(offset, |next| offset.min(*next))
    }

    /// The value of a scalar that ends at an offset in the text, as the author wrote it.
    pub(super) fn value(&self, mut value: String, block: bool, end: u64) -> String {
        if self.ended && block && end >= self.text.len() as u64 && value.ends_with('\n') {
            value.pop();
        }
        if !self.padded.is_empty() && value.contains(&self.pad) {
            value = value.replace(&self.pad, "");
        }
        value
    }
}

/// What libyaml takes for the end of a line.
fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// More tabs than any value can hold in a row: those of a line, written as such or as an escape, and
/// of the lines a backslash joins to it.
fn strange_tabs(text: &str) -> String {
    const TABS: [&str; 5] = ["\t", "\\t", "\\x09", "\\u0009", "\\U00000009"];
    let (mut most, mut joined) = (0, 0);
    for line in text.lines() {
        joined += TABS.iter().map(|tab| line.matches(tab).count()).sum::<usize>();
        most = joined.max(most);
        if !line.ends_with('\\') {
            joined = 0;
        }
    }
    "\t".repeat(most + 1)
}

/// Where a comma follows something with an exclamation mark in it.
fn commas_behind_tags(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    if !text.contains('!') {
        return found;
    }
    let mut tag = false;
    // In `!<…>` a comma is part of the tag.
    let mut verbatim = false;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '!' => tag = true,
            '<' if before == '!' => verbatim = true,
            '>' => verbatim = false,
            ',' if verbatim => {}
            ',' | '[' | ']' | '{' | '}' => {
                if c == ',' && tag {
                    found.push(at);
                }
                tag = false;
            }
            c if c.is_whitespace() => (tag, verbatim) = (false, false),
            _ => {}
        }
        before = c;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::yaml::{Value, load};

    #[test]
    fn what_was_added_is_in_no_value_and_moves_no_place() {
        let text = "a: [!x, !<y,z>, \"!q,\t!r,\", h!,i]\nb: !s, t";
        let readable = Readable::new(text).unwrap();
        assert!(readable.text.ends_with('\n'));
        let comma = text.find(',').unwrap();
        assert_eq!(&readable.text[..comma + 3], "a: [!x\t\t,");
        assert_eq!(readable.original(comma as u64), comma);
        assert_eq!(readable.original(comma as u64 + 1), comma);
        assert_eq!(readable.original(comma as u64 + 2), comma);
        assert_eq!(readable.original(comma as u64 + 3), comma + 1);
        let end = readable.text.len() as u64;
        assert_eq!(readable.original(end), text.len() + 1);

        let document = load("[!x, b, \"c !d,\", e !f, !<g,h>, i]").unwrap();
        let Some(Value::List(items)) = document.root.map(|root| root.value) else { panic!() };
        let found: Vec<_> = items.iter().map(|i| (i.text().unwrap(), i.at.column)).collect();
        let places = [("", 2), ("b", 6), ("c !d,", 9), ("e !f", 18), ("", 24), ("i", 32)];
        assert_eq!(found, places);
    }

    #[test]
    fn tabs_that_are_written_as_escapes_stay() {
        let text = "[\"!a\\t,\\x09,\\u0009\\\n\t\\t!b, \\t,\", !c, \"\\t!,\"]";
        let Some(Value::List(items)) = load(text).unwrap().root.map(|root| root.value) else {
            panic!()
        };
        let found: Vec<_> = items.iter().map(|item| item.text().unwrap()).collect();
        assert_eq!(found, ["!a\t,\t,\t\t!b, \t,", "", "\t!,"]);
    }

    #[test]
    fn a_file_may_end_anywhere() {
        let cases = [
            ("|\n a", "a"),
            ("|\n a\n", "a\n"),
            ("|+\n a\n\n", "a\n\n"),
            ("|-\n a", "a"),
            (">\n a\n b", "a b"),
            ("|\n a\n ", "a\n"),
            ("|\n a\n# c", "a\n"),
            ("a", "a"),
            ("|", ""),
        ];
        for (text, expected) in cases {
            let root = load(text).unwrap().root;
            let found = root.as_ref().and_then(|root| root.text()).unwrap_or("");
            assert_eq!(found, expected, "{text:?}");
        }
        for text in ["\"\\", "\"\\x", "[!", "!<", "%", "&", "- !a,"] {
            assert!(load(text).is_err() || !load(text).unwrap().broken.is_empty(), "{text:?}");
        }
    }
}
