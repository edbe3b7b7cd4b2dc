//! Links of the documentation: files must exist, headings too.

use std::path::{Path, PathBuf};

/// Every link in README.md and docs/ that leads nowhere. Other sites are not asked.
pub fn broken(root: &Path) -> Vec<String> {
    let mut pages = vec![root.join("README.md")];
    super::files_below(&root.join("docs"), "md", &mut pages);
    pages.iter().flat_map(|page| broken_in(root, page)).collect()
}

fn broken_in(root: &Path, page: &Path) -> Vec<String> {
    let short = page.strip_prefix(root).expect("the page is below the root").display().to_string();
    let Ok(text) = std::fs::read_to_string(page) else {
        return vec![format!("{short}:1: is missing: write it")];
    };
    let mut wrong = Vec::new();
    for (at, line) in prose(&text) {
        for target in targets(line) {
            if let Some(problem) = problem(page, target) {
                wrong.push(format!("{short}:{at}: {target}: {problem}"));
            }
        }
    }
    wrong
}

/// Numbered lines outside fenced code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((index + 1, line))
    })
}

/// What stands in the brackets of `[text](target)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let starts = line.match_indices("](").map(|(at, _)| at + 2);
    starts.filter_map(move |start| line[start..].split(')').next())
}

fn problem(page: &Path, target: &str) -> Option<&'static str> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = target.split_once('#').map_or((target, None), |(f, h)| (f, Some(h)));
    let path: PathBuf = match file {
        "" => page.to_owned(),
        file => page.parent().expect("a page lies in a directory").join(file),
    };
    if !path.exists() {
        return Some("there is no such file: mend the link");
    }
    let heading = heading?;
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let found = prose(&text).any(|(_, line)| {
        line.starts_with('#') && anchor(line.trim_start_matches('#').trim()) == heading
    });
    (!found).then_some("there is no such heading: mend the link")
}

/// A heading as forges name it: lower case, blanks to dashes, other punctuation gone.
fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

#[test]
fn targets_and_anchors() {
    let line = "see [a](x.md#the-end), [b](https://example.com) and `c`";
    assert_eq!(targets(line).collect::<Vec<_>>(), ["x.md#the-end", "https://example.com"]);
    assert_eq!(anchor("Push to deployed: how?"), "push-to-deployed-how");
}
