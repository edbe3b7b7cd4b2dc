//! The line a problem is about, underlined where it starts.

use crate::spec::problem::Problem;
use unicode_width::UnicodeWidthChar;

/// Longer lines are cut around the place.
const WIDTH: usize = 100;
/// Narrower than this there is nothing left to see.
const WIDTH_MIN: usize = 20;

impl Problem {
    /// Three lines for a terminal; `None` where the problem has no place in `source`.
    ///
    /// ```text
    ///    |
    ///  4 |   - docker push: shop
    ///    |     ^^^^^^
    /// ```
    #[must_use]
    pub fn excerpt(&self, source: &str) -> Option<String> {
        self.excerpt_within(source, usize::MAX)
    }

    /// The same for a terminal with so many columns.
    #[must_use]
    pub fn excerpt_within(&self, source: &str, columns: usize) -> Option<String> {
        let line = usize::try_from(self.line?).ok()?.checked_sub(1)?;
        let column = usize::try_from(self.column?).ok()?.checked_sub(1)?;
        let source = source.strip_prefix('\u{feff}').unwrap_or(source);
        // No more of a line than could be shown: one line may be the whole file.
        let skipped = column.saturating_sub(WIDTH);
        let near = source.lines().nth(line)?.chars().skip(skipped).take(2 * WIDTH);
        let text: Vec<(char, usize)> = near.filter_map(visible).collect();
        let before = source.lines().nth(line)?.chars().skip(skipped).take(column - skipped);
        let place = before.filter_map(visible).count();
        let number = (line + 1).to_string();
        let room = columns.saturating_sub(number.len() + 3).clamp(WIDTH_MIN, WIDTH);
        let long = skipped > 0 || width(&text) > room;
        let from = if long { start(&text[..place], room / 2) } else { 0 };
        let shown = &text[from..from + fitting(&text[from..], room)];
        let (left, right) = shown.split_at(place - from);
        let word = right.iter().take_while(|(c, _)| !" :,[]{}".contains(*c));
        let carets = "^".repeat(word.map(|(_, width)| width).sum::<usize>().max(1));
        let margin = " ".repeat(number.len());
        let pad = " ".repeat(width(left));
        let shown: String = shown.iter().map(|(c, _)| c).collect();
        Some(format!("{margin} |\n{number} | {shown}\n{margin} | {pad}{carets}\n"))
    }
}

/// How many columns these take.
fn width(text: &[(char, usize)]) -> usize {
    text.iter().map(|(_, width)| width).sum()
}

/// How many of these fit into so many columns.
fn fitting(text: &[(char, usize)], columns: usize) -> usize {
    let mut sum = 0;
    let fits = |(_, width): &&(char, usize)| {
        sum += width;
        sum <= columns
    };
    text.iter().take_while(fits).count()
}

/// Where to cut, so that half of the width is left for what stands behind the place.
fn start(before: &[(char, usize)], room: usize) -> usize {
    let back: Vec<(char, usize)> = before.iter().rev().copied().collect();
    before.len() - fitting(&back, room)
}

/// What stands for a character, and how wide it is: nothing that moves a terminal's cursor, turns the
/// direction of the text, or joins its neighbours into one picture of a width nobody can foretell.
fn visible(c: char) -> Option<(char, usize)> {
    match c {
        '\t' => Some((' ', 1)),
        // Selectors of how the character before is drawn.
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => None,
        '\u{ad}'
        | '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => Some(('?', 1)),
        c => Some(c.width().map_or(('?', 1), |width| (c, width))),
    }
}

#[cfg(test)]
mod tests {
    use crate::spec::{Kind, lint};

    #[test]
    fn the_place_is_underlined() {
        let source = "version: 0.0\nos: Linux\n";
        let problem = lint(Kind::Appspec, source).remove(0);
        assert_eq!(problem.excerpt(source).unwrap(), "  |\n2 | os: Linux\n  |     ^^^^^\n");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let source =
            format!("version: 0.0\nos: linux\nfile_exists_behavior: {}X\n", " ".repeat(500));
        let problem = lint(Kind::Appspec, &source).remove(0);
        let excerpt = problem.excerpt(&source).unwrap();
        let lines: Vec<&str> = excerpt.lines().collect();
        assert!(lines[1].len() <= 110 && lines[1].ends_with('X'), "{excerpt}");
        assert_eq!(lines[1].find('X'), lines[2].find('^'));
    }

    /// The line and its underline, for a problem at a column of it.
    fn shown(line: &str, column: u32) -> (String, String) {
        let mut problem = lint(Kind::Appspec, "os: linux\n").remove(0);
        (problem.line, problem.column) = (Some(1), Some(column));
        let excerpt = problem.excerpt(line).unwrap();
        let lines: Vec<&str> = excerpt.lines().collect();
        (lines[1][4..].to_owned(), lines[2][4..].to_owned())
    }

    #[test]
    fn what_is_underlined_is_what_is_meant_however_wide_the_text_is() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(shown("\ta: x\r\n", 5), pair(" a: x", "    ^"));
        assert_eq!(shown("日本: xy", 5), pair("日本: xy", "      ^^"));
        assert_eq!(shown("k: 日本", 4), pair("k: 日本", "   ^^^^"));
        assert_eq!(shown("👩\u{200d}🚀: x", 6), pair("👩?🚀: x", "       ^"));
        assert_eq!(shown("e\u{301}\u{fe0f}: x", 6), pair("e\u{301}: x", "   ^"));
        assert_eq!(shown("a: ", 4), pair("a: ", "   ^"));
    }

    #[test]
    fn nothing_in_it_drives_the_terminal() {
        let line = "a: \u{1b}[2J\u{202e}\u{7}\r\u{9b}31m\u{200b}x";
        assert_eq!(shown(line, 4), ("a: ?[2J????31m?x".to_owned(), "   ^".to_owned()));
    }

    #[test]
    fn one_long_line_of_wide_text_is_cut_by_columns() {
        let line = format!("{}Xyz{}", "日".repeat(300), "語".repeat(300));
        let (text, underline) = shown(&line, 301);
        let at = underline.find('^').unwrap();
        assert_eq!((at, underline.len()), (50, 99));
        assert_eq!(text.find('X'), Some(25 * '日'.len_utf8()));
        let long = "x".repeat(100_000);
        assert_eq!(shown(&long, 100_001).1.find('^'), Some(50));
        assert_eq!(shown(&long, 1), ("x".repeat(100), "^".repeat(100)));
    }

    #[test]
    fn narrow_terminals_and_wide_characters_keep_the_mark_in_its_place() {
        let source = "version: 0.0\nos: linux\nfile_exists_behavior: {一二三: X}\n";
        let mut problem = lint(Kind::Appspec, source).remove(0);
        (problem.line, problem.column) = (Some(3), Some(29));
        assert_eq!(
            problem.excerpt_within(source, 80).unwrap(),
            "  |\n3 | file_exists_behavior: {一二三: X}\n  |                                ^\n"
        );
        for columns in [0, 10, 24, 30] {
            let excerpt = problem.excerpt_within(source, columns).unwrap();
            let lines: Vec<&str> = excerpt.lines().collect();
            assert!(lines.iter().all(|line| line.chars().count() <= columns.max(24)), "{excerpt}");
            assert!(lines[1].contains('X') && lines[2].contains('^'), "{excerpt}");
        }
    }

    #[test]
    fn a_place_outside_the_text_has_no_excerpt() {
        let mut problem = lint(Kind::Appspec, "os: linux\n").remove(0);
        problem.line = Some(9);
        assert_eq!(problem.excerpt("os: linux\n"), None);
        problem.line = Some(1);
        problem.column = Some(99);
        assert!(problem.excerpt("os: linux\n").is_some());
    }
}
