//! What somebody who wrote a pattern that matches nothing may have meant.

use globset::GlobBuilder;
use std::path::{Path, PathBuf};

const SHOWN_MAX: usize = 3;

/// Why `pattern` matched none of the files `seen` below `bases`, with near misses.
pub fn miss(pattern: &str, bases: &[PathBuf], seen: &[PathBuf]) -> String {
    if pattern.is_empty() || bases.iter().any(|base| base.join(pattern).is_dir()) {
        let all = if pattern.is_empty() { "**/*".to_owned() } else { format!("{pattern}/**/*") };
        return format!("is a directory: write '{all}' for the files in it");
    }
    if seen.is_empty() {
        return "matches nothing: there are no files at all".to_owned();
    }
    let last = pattern.rsplit('/').next().unwrap_or(pattern);
    let same = named_alike(last, seen);
    if !same.is_empty() {
        return format!("matches nothing; did you mean {}?", list(&same));
    }
    if pattern.contains('$') {
        return "matches nothing: variables are not expanded in patterns".to_owned();
    }
    let close: Vec<&PathBuf> = seen
        .iter()
        .filter(|path| {
            let name = path.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
            let near = 1 + last.chars().count() / 5;
            distance(&name.to_lowercase(), &last.to_lowercase()) <= near
        })
        .collect();
    match close.is_empty() {
        true => "matches nothing".to_owned(),
        false => format!("matches nothing; did you mean {}?", list(&close)),
    }
}

/// A directory near the one that is not there.
pub fn directory(top: &Path, wanted: &str) -> String {
    let names = std::fs::read_dir(top).into_iter().flatten().flatten();
    let mut directories: Vec<String> = names
        .filter(|item| item.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|item| item.file_name().to_string_lossy().into_owned())
        .collect();
    directories.sort();
    if directories.is_empty() {
        return "; there are no directories here".to_owned();
    }
    let near = |name: &&String| distance(name, wanted) <= 2;
    if let Some(name) = directories.iter().find(near) {
        return format!("; did you mean '{name}'?");
    }
    directories.truncate(8);
    format!("; there are {}", directories.join(", "))
}

/// Files elsewhere whose own name fits the last part of the pattern.
fn named_alike<'s>(last: &str, seen: &'s [PathBuf]) -> Vec<&'s PathBuf> {
    if last.chars().all(|c| "*?.".contains(c)) {
        return Vec::new();
    }
    let Ok(glob) = GlobBuilder::new(last).case_insensitive(true).build() else {
        return Vec::new();
    };
    let matcher = glob.compile_matcher();
    let fits = |path: &&PathBuf| path.file_name().is_some_and(|name| matcher.is_match(name));
    seen.iter().filter(fits).collect()
}

fn list(paths: &[&PathBuf]) -> String {
    let shown: Vec<String> =
        paths.iter().take(SHOWN_MAX).map(|path| format!("'{}'", path.display())).collect();
    let more = paths.len().saturating_sub(SHOWN_MAX);
    let rest = if more > 0 { format!(" ({more} more)") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let changed = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
