//! The line a problem is about, underlined where it starts.

use crate::spec::problem::Problem;

/// Longer lines are cut around the place.
const WIDTH: usize = 100;

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
        let line = usize::try_from(self.line?).ok()?.checked_sub(1)?;
        let column = usize::try_from(self.column?).ok()?.checked_sub(1)?;
        let source = source.strip_prefix('\u{feff}').unwrap_or(source);
        let text: Vec<char> = source.lines().nth(line)?.chars().map(visible).collect();
        let column = column.min(text.len());
        let from = if column > WIDTH / 2 && text.len() > WIDTH { column - WIDTH / 2 } else { 0 };
        let shown = &text[from..text.len().min(from + WIDTH)];
        let word = text[column..].iter().take_while(|c| !" :,[]{}".contains(**c)).count();
        let length = word.clamp(1, (shown.len() + 1).saturating_sub(column - from).max(1));
        let number = (line + 1).to_string();
        let margin = " ".repeat(number.len());
        let pad: String = " ".repeat(column - from);
        let shown: String = shown.iter().collect();
        let carets = "^".repeat(length);
        Some(format!("{margin} |\n{number} | {shown}\n{margin} | {pad}{carets}\n"))
    }
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
    fn a_place_outside_the_text_has_no_excerpt() {
        let mut problem = lint(Kind::Appspec, "os: linux\n").remove(0);
        problem.line = Some(9);
        assert_eq!(problem.excerpt("os: linux\n"), None);
        problem.line = Some(1);
        problem.column = Some(99);
        assert!(problem.excerpt("os: linux\n").is_some());
    }
}
