//! Who waits for whom.

use std::collections::{BTreeMap, BTreeSet};

/// A cycle among named things and what each waits for, as the path `a, b, a`. Names that are not
/// among the things are ignored. Iterative: a file may hold a chain as long as it likes.
pub(crate) fn cycle(edges: &[(&str, &[String])]) -> Option<Vec<String>> {
    let next: BTreeMap<&str, &[String]> = edges.iter().copied().collect();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for (start, _) in edges {
        let mut path: Vec<(&str, usize)> = vec![(start, 0)];
        let mut on_path: BTreeSet<&str> = BTreeSet::from([*start]);
        while let Some((node, at)) = path.last_mut() {
            let target = next[*node].get(*at).map(String::as_str);
            *at += 1;
            let Some(target) = target else {
                on_path.remove(*node);
                done.insert(node);
                path.pop();
                continue;
            };
            if on_path.contains(target) {
                let names = path.iter().map(|(name, _)| (*name).to_owned());
                let from = names.skip_while(|name| name != target);
                return Some(from.chain([target.to_owned()]).collect());
            }
            if next.contains_key(target) && !done.contains(target) {
                on_path.insert(target);
                path.push((target, 0));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(edges: &[(&str, &[&str])], expected: Option<&[&str]>) {
        let owned: Vec<(&str, Vec<String>)> = edges
            .iter()
            .map(|(name, needs)| (*name, needs.iter().map(|&n| n.to_owned()).collect()))
            .collect();
        let borrowed: Vec<(&str, &[String])> =
            owned.iter().map(|(name, needs)| (*name, needs.as_slice())).collect();
        let expected = expected.map(|path| path.iter().map(|&n| n.to_owned()).collect());
        assert_eq!(cycle(&borrowed), expected);
    }

    #[test]
    fn a_cycle_is_named_from_where_it_closes() {
        check(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])], Some(&["b", "c", "b"]));
        check(&[("a", &["a"])], Some(&["a", "a"]));
    }

    #[test]
    fn a_diamond_is_not_a_cycle() {
        check(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"]), ("d", &[])], None);
        check(&[("a", &["missing"])], None);
    }
}
