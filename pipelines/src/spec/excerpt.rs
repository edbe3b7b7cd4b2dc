//! The line a problem is about, underlined where it starts.

use crate::spec::problem::Problem;
use unicode_width::UnicodeWidthChar as _;

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
        self.excerpt_within(source, WIDTH)
    }

    /// The same for a terminal with so many columns.
    #[must_use]
    pub fn excerpt_within(&self, source: &str, columns: usize) -> Option<String> {
        let line = usize::try_from(self.line?).ok()?.checked_sub(1)?;
        let column = usize::try_from(self.column?).ok()?.checked_sub(1)?;
        let source = source.strip_prefix('\u{feff}').unwrap_or(source);
        let text: Vec<char> = source.lines().nth(line)?.chars().map(visible).collect();
        let column = column.min(text.len());
        let number = (line + 1).to_string();
        let width = columns.saturating_sub(number.len() + 3).clamp(WIDTH_MIN, WIDTH);
        let from = if columns_of(&text) > width { start(&text[..column], width / 2) } else { 0 };
        let shown = within(&text[from..], width);
        let word = text[column..].iter().take_while(|c| !" :,[]{}".contains(**c)).count();
        let length = word.clamp(1, (shown.len() + 1).saturating_sub(column - from).max(1));
        let margin = " ".repeat(number.len());
        let marked = (column - from).min(shown.len());
        let pad = " ".repeat(columns_of(&shown[..marked]));
        let carets = "^".repeat(columns_of(shown[marked..].get(..length).unwrap_or(&[' '])).max(1));
        let shown: String = shown.iter().collect();
        Some(format!("{margin} |\n{number} | {shown}\n{margin} | {pad}{carets}\n"))
    }
}

/// Where to start so that what is left takes no more than `room` columns.
fn start(text: &[char], room: usize) -> usize {
    let mut used = 0;
    let fits = text.iter().rev().take_while(|c| {
        used += c.width().unwrap_or(0);
        used <= room
    });
    text.len() - fits.count()
}

/// As much from the start as fits.
fn within(text: &[char], width: usize) -> &[char] {
    let mut used = 0;
    let end = text.iter().position(|c| {
        used += c.width().unwrap_or(0);
        used > width
    });
    &text[..end.unwrap_or(text.len())]
}

/// How wide a terminal shows it: two columns for most of East Asia's characters.
fn columns_of(text: &[char]) -> usize {
    text.iter().map(|c| c.width().unwrap_or(0)).sum()
}

/// One column for one character, and nothing that moves a terminal's cursor.
fn visible(c: char) -> char {
    if c.is_control() { ' ' } else { c }
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
