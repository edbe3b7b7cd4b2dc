//! Lines and columns of a text, from the byte offsets of the parser.

use crate::spec::yaml::Mark;

/// Counts along with the parser, whose offsets hardly ever go back: a line of a mebibyte with half a
/// million values in it costs no more than its length.
pub(super) struct Places<'t> {
    text: &'t str,
    starts: Vec<usize>,
    /// Where the last content ends.
    end: usize,
    /// An offset with its place.
    last: (usize, Mark),
}

impl<'t> Places<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        Self {
            text,
            starts: starts.collect(),
            end: text.trim_end().len(),
            last: (0, Mark { line: 1, column: 1 }),
        }
    }

    /// The place of a byte; what lies behind the last content is put at its end.
    pub(super) fn at(&mut self, offset: usize) -> Mark {
        let offset = self.text.floor_char_boundary(offset.min(self.end));
        let line = self.starts.partition_point(|start| *start <= offset);
        let (from, mark) = self.last;
        let number = u32::try_from(line).unwrap_or(u32::MAX);
        let column = if mark.line == number && from <= offset {
            mark.column.saturating_add(count(&self.text[from..offset]))
        } else if mark.line == number {
            mark.column.saturating_sub(count(&self.text[offset..from]))
        } else {
            count(&self.text[self.starts[line - 1]..offset]).saturating_add(1)
        };
        let mark = Mark { line: number, column };
        self.last = (offset, mark);
        mark
    }

    /// Whether nothing follows.
    pub(super) fn is_end(&self, offset: usize) -> bool {
        offset >= self.end
    }
}

fn count(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_the_same_in_whatever_order_they_are_asked_for() {
        let text = "é: [ü,\r\n  日, b]\n\n c: d\n\n";
        let mut forward = Places::new(text);
        let mut found: Vec<Mark> = (0..=text.len()).map(|at| forward.at(at)).collect();
        assert_eq!(found[7], Mark { line: 1, column: 6 });
        assert_eq!(found[text.find('日').unwrap()], Mark { line: 2, column: 3 });
        assert_eq!(found[text.len()], Mark { line: 4, column: 6 });
        let mut backward = Places::new(text);
        for at in (0..=text.len()).rev() {
            assert_eq!(Some(backward.at(at)), found.pop(), "{at}");
        }
    }
}
