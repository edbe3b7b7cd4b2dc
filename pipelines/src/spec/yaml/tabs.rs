//! Tabs that libyaml refuses and the parser here lets pass: before a comment, on an otherwise empty
//! line, and behind the dash of a list entry. CodeBuild meets them minutes into a build.

use crate::spec::codes;
use crate::spec::problem::{Problem, Severity};
use crate::spec::yaml::Mark;

/// The lines on which a tab is content or means nothing: inside quotes, blocks and brackets.
#[derive(Default)]
pub(super) struct Opaque {
    ranges: Vec<(u32, u32)>,
    /// First line of each list or mapping that is open, and whether it is in brackets.
    open: Vec<(u32, bool)>,
}

impl Opaque {
    pub(super) fn enter(&mut self, at: Mark, lines: &[&str]) {
        let index = |number: u32| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let first = lines.get(index(at.line)).and_then(|line| line.chars().nth(index(at.column)));
        self.open.push((at.line, matches!(first, Some('[' | '{'))));
    }

    pub(super) fn leave(&mut self, end: Mark) {
        if let Some((first, true)) = self.open.pop() {
            self.ranges.push((first + 1, end.line));
        }
    }

    pub(super) fn scalar(&mut self, first: Mark, end: Mark) {
        if end.line > first.line {
            self.ranges.push((first.line + 1, end.line));
        }
    }

    /// Every tab that CodeBuild and CodeDeploy would stumble over.
    pub(super) fn check(mut self, lines: &[&str]) -> Vec<Problem> {
        self.ranges.sort_unstable();
        let mut ranges = self.ranges.into_iter().peekable();
        let mut covered = 0;
        let mut problems = Vec::new();
        for (number, line) in (1u32..).zip(lines) {
            while let Some((_, last)) = ranges.next_if(|(first, _)| *first <= number) {
                covered = covered.max(last);
            }
            if number > covered
                && let Some(column) = bad_tab(line)
            {
                let at = Mark { line: number, column };
                let message = "a tab where only spaces may be";
                let help = "replace it by spaces; YAML does not allow tabs there";
                problems.push(Problem::new(Severity::Error, Some(at), codes::TAB, message, help));
            }
        }
        problems
    }
}

/// The column of a tab that opens an empty or comment line, or follows a dash.
fn bad_tab(line: &str) -> Option<u32> {
    let rest = line.trim_start_matches([' ', '\t']);
    let lead = &line[..line.len() - rest.len()];
    if lead.starts_with('\t') && (rest.is_empty() || rest.starts_with('#')) {
        return Some(1);
    }
    let item = rest.strip_prefix('-').filter(|_| !lead.contains('\t'))?;
    let spaces = item.len() - item.trim_start_matches(' ').len();
    let tab = item[spaces..].starts_with('\t') && !item.trim().is_empty();
    tab.then(|| u32::try_from(lead.len() + spaces + 2).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use crate::spec::yaml::load;

    #[test]
    fn tabs_are_refused_where_libyaml_refuses_them() {
        let bad = ["a: b\n\t\nc: d\n", "a:\n\t# x\n  - c\n", "a:\n  -\tb\n", "a:\n  - \tb\n"];
        for text in bad {
            let broken = load(text).unwrap().broken;
            assert_eq!(broken.len(), 1, "{text:?}");
            assert_eq!(broken[0].code, "tab");
        }
        let good = [
            "a: b\t\nc: d \t\n",
            "a:\t\n  - b\n",
            "{\n\t\"a\": [\n\t\n\t\tb\n\t]\n\t# x\n}\n",
            "a: |\n  x\n  \ty\n",
        ];
        for text in good {
            let broken = load(text).unwrap().broken;
            assert!(broken.is_empty(), "{text:?}: {broken:?}");
        }
    }
}
