//! Selections that no host can ever meet.
//!
//! A selector is written out as alternatives, each a list of wishes about single tags. Where every
//! alternative wishes for two things that exclude each other, there is no such host.

use crate::spec::group::Selector;
use crate::spec::group::hosts::like;
use std::collections::BTreeMap;
use std::fmt;

/// More alternatives than this are not looked at: nobody writes them by hand.
const ALTERNATIVES_MAX: usize = 256;
/// Nor alternatives with more wishes than this: each is compared with each.
const WISHES_MAX: usize = 256;

#[derive(Clone, Copy)]
struct Wish<'s> {
    key: &'s str,
    pattern: &'s str,
    holds: bool,
}

type Alternative<'s> = Vec<Wish<'s>>;

impl fmt::Display for Wish<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.holds { "" } else { "not " };
        write!(f, "{not}{}={}", self.key, self.pattern)
    }
}

/// Two wishes, in words, that keep every host from having all `tags` and meeting all `selectors`.
pub(super) fn contradiction(
    tags: &BTreeMap<String, String>,
    selectors: &[&Selector],
) -> Option<String> {
    let mut all = vec![wishes(tags, true).collect()];
    for selector in selectors {
        all = both(&all, &expand(selector, true)?)?;
    }
    if all.iter().any(|wishes| wishes.len() > WISHES_MAX) {
        return None;
    }
    let mut clashes = all.iter().map(clash);
    let first = clashes.next()??;
    clashes.all(|clash| clash.is_some()).then_some(first)
}

fn wishes(tags: &BTreeMap<String, String>, holds: bool) -> impl Iterator<Item = Wish<'_>> {
    tags.iter().map(move |(key, pattern)| Wish { key, pattern, holds })
}

/// The alternatives of a selector, or of its opposite; `None` where they are too many.
fn expand(selector: &Selector, holds: bool) -> Option<Vec<Alternative<'_>>> {
    match (selector, holds) {
        (Selector::Tags(tags), true) => Some(vec![wishes(tags, true).collect()]),
        (Selector::Tags(tags), false) => Some(wishes(tags, false).map(|wish| vec![wish]).collect()),
        (Selector::Not(part), _) => expand(part, !holds),
        // Not all of them is any one that is not, and the other way round.
        (Selector::All(parts), true) | (Selector::Any(parts), false) => {
            let mut all = vec![Vec::new()];
            for part in parts {
                all = both(&all, &expand(part, holds)?)?;
            }
            Some(all)
        }
        (Selector::All(parts), false) | (Selector::Any(parts), true) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(expand(part, holds)?);
            }
            (all.len() <= ALTERNATIVES_MAX).then_some(all)
        }
    }
}

/// Every alternative of one with every alternative of the other.
fn both<'s>(a: &[Alternative<'s>], b: &[Alternative<'s>]) -> Option<Vec<Alternative<'s>>> {
    let long = |all: &[Alternative<'_>]| all.iter().any(|wishes| wishes.len() > WISHES_MAX);
    if a.len() * b.len() > ALTERNATIVES_MAX || long(a) || long(b) {
        return None;
    }
    let pairs = a.iter().flat_map(|first| b.iter().map(move |second| (first, second)));
    Some(pairs.map(|(first, second)| [first.as_slice(), second.as_slice()].concat()).collect())
}

fn clash(wishes: &Alternative<'_>) -> Option<String> {
    wishes.iter().enumerate().find_map(|(index, a)| {
        let b = wishes[index + 1..].iter().find(|b| a.key == b.key && excludes(a, b))?;
        Some(format!("{a} and {b}"))
    })
}

fn excludes(a: &Wish<'_>, b: &Wish<'_>) -> bool {
    match (a.holds, b.holds) {
        (true, true) => disjoint(a.pattern, b.pattern),
        // A star in the one matched can only be swallowed by a star, so text by text is enough.
        (true, false) => like(b.pattern, a.pattern),
        (false, true) => like(a.pattern, b.pattern),
        (false, false) => false,
    }
}

/// Whether surely no text matches both.
fn disjoint(a: &str, b: &str) -> bool {
    match (a.contains('*'), b.contains('*')) {
        (false, _) => !like(b, a),
        (_, false) => !like(a, b),
        (true, true) => {
            let ends = |text: &str| {
                let first = text.split('*').next().unwrap_or("").to_owned();
                let last = text.rsplit('*').next().unwrap_or("").to_owned();
                (first, last)
            };
            let ((a_first, a_last), (b_first, b_last)) = (ends(a), ends(b));
            !(a_first.starts_with(&b_first) || b_first.starts_with(&a_first))
                || !(a_last.ends_with(&b_last) || b_last.ends_with(&a_last))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn tag(key: &str, value: &str) -> Selector {
        Selector::Tags(tags(&[(key, value)]))
    }

    fn not(part: Selector) -> Selector {
        Selector::Not(Box::new(part))
    }

    #[test]
    fn a_thing_and_its_opposite_exclude_each_other() {
        let cases = [
            (Selector::All(vec![tag("a", "x"), not(tag("a", "x"))]), Some("a=x and not a=x")),
            (Selector::All(vec![tag("a", "x"), tag("a", "y")]), Some("a=x and a=y")),
            (Selector::All(vec![tag("a", "x*"), tag("a", "y*")]), Some("a=x* and a=y*")),
            (Selector::All(vec![tag("a", "x"), not(tag("a", "*"))]), Some("a=x and not a=*")),
            (Selector::All(vec![tag("a", "x*"), tag("a", "*y")]), None),
            (Selector::All(vec![tag("a", "*"), not(tag("a", "x"))]), None),
            (Selector::All(vec![tag("a", "x"), tag("b", "y")]), None),
            (Selector::Any(vec![tag("a", "x"), not(tag("a", "x"))]), None),
            (not(Selector::Any(vec![tag("a", "x"), not(tag("a", "x"))])), Some("not a=x and a=x")),
        ];
        for (selector, expected) in cases {
            let found = contradiction(&BTreeMap::new(), &[&selector]);
            assert_eq!(found.as_deref(), expected, "{selector:?}");
        }
    }

    #[test]
    fn one_way_out_is_enough() {
        let web = tags(&[("role", "web")]);
        let either = Selector::Any(vec![tag("role", "db"), tag("zone", "a")]);
        assert_eq!(contradiction(&web, &[&either]), None);
        let neither = Selector::Any(vec![tag("role", "db"), tag("role", "mq")]);
        assert!(contradiction(&web, &[&neither]).is_some());
    }

    #[test]
    fn more_alternatives_than_anybody_writes_are_let_pass() {
        let any = Selector::Any((0..20).map(|n| tag("a", &n.to_string())).collect());
        let all = Selector::All(vec![any.clone(), any.clone(), any, not(tag("b", "*"))]);
        assert_eq!(contradiction(&tags(&[("b", "x")]), &[&all]), None);
    }
}
