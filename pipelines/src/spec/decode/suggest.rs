//! The nearest known name to one that is not known.

/// How many edits two names are apart, a swap of neighbours being one. Names only, so the cost
/// is bounded by refusing to compare long ones.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (fold(a), fold(b));
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (row[j] + usize::from(x != y)).min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before[j - 1] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

/// Case, dashes and underscores are what people get wrong most; they count for nothing.
fn fold(text: &str) -> Vec<char> {
    text.chars().take(64).filter(|c| !"-_ ".contains(*c)).flat_map(char::to_lowercase).collect()
}

/// The nearest of `known`, if one is near enough to be meant.
pub(crate) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let allowed = (name.chars().count() / 3).clamp(1, 4);
    known
        .iter()
        .map(|candidate| (distance(name, candidate), *candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// "write x", or the list of what there is.
pub(crate) fn help(name: &str, known: &[&str]) -> String {
    match nearest(name, known) {
        Some(candidate) => format!("write `{candidate}`"),
        None if known.is_empty() => "remove it".to_owned(),
        None => format!("known here: {}", list(known)),
    }
}

/// `a, b, c`, each once, in the order given.
pub(crate) fn list(known: &[&str]) -> String {
    let mut once: Vec<&str> = Vec::with_capacity(known.len());
    for name in known {
        if !once.contains(name) {
            once.push(name);
        }
    }
    once.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_was_meant_is_found() {
        let known = ["discard-paths", "base-directory", "files", "name"];
        assert_eq!(nearest("discard_paths", &known), Some("discard-paths"));
        assert_eq!(nearest("baseDirectory", &known), Some("base-directory"));
        assert_eq!(nearest("flies", &known), Some("files"));
        assert_eq!(nearest("quux", &known), None);
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
