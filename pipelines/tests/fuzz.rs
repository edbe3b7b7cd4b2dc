//! The properties the fuzz targets look for exceptions to, on their seeds and on those seeds with
//! lines and characters changed at random: a few seconds of what `make fuzz` does for as long as asked.

#![expect(clippy::disallowed_methods, reason = "a test may read files and clocks")]

mod properties;

use pipelines::spec::Kind;
use proptest::prelude::*;
use std::path::PathBuf;

fn below(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz")).join(path)
}

fn seeds(target: &str) -> Vec<String> {
    let directory = std::fs::read_dir(below("seeds").join(target)).expect("there are seeds");
    let mut paths: Vec<PathBuf> = directory.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).expect("a seed is text")).collect()
}

fn check(target: &str, text: &str) {
    match Kind::ALL.into_iter().find(|kind| kind.as_str() == target) {
        Some(kind) => properties::hold(kind, text),
        None => properties::writing_changes_nothing(text),
    }
}

const TARGETS: [&str; 5] = ["pipeline", "group", "buildspec", "appspec", "yaml"];

#[test]
fn there_is_a_target_for_every_kind_of_file() {
    let manifest = std::fs::read_to_string(below("Cargo.toml")).expect("there is a manifest");
    for kind in Kind::ALL {
        assert!(TARGETS.contains(&kind.as_str()), "{kind:?}");
    }
    for target in TARGETS {
        let path = format!("fuzz_targets/{target}.rs");
        assert!(
            manifest.contains(&format!("path = \"{path}\"")),
            "{target} is not in the manifest"
        );
        let source = std::fs::read_to_string(below(&path)).expect("the target is there");
        let of_kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == target);
        let wanted =
            of_kind.map_or("writing_changes_nothing".to_owned(), |kind| format!("Kind::{kind:?},"));
        assert!(source.contains(&wanted), "{path} does not try {wanted}");
    }
}

#[test]
fn the_seeds_hold() {
    for target in TARGETS {
        let seeds = seeds(target);
        assert!(!seeds.is_empty());
        seeds.iter().for_each(|seed| check(target, seed));
    }
}

/// Texts for which something did not hold once.
#[test]
fn what_was_found_once_stays_mended() {
    let cases = [
        "- *a",
        "- *a\n- *b\n",
        "version: 0.2\nenv: {variables: {A: \"\\x7f\\u0085\\u2028\"}}\nphases: {build: {commands: [x]}}",
        "a: |\n b",
        "\"\\",
        "[!a, b]",
        "c!x\t,d",
    ];
    for text in cases {
        TARGETS.iter().for_each(|target| check(target, text));
    }
}

/// One change: of the line, or the character of a line, at a place (modulo how many there are).
#[derive(Debug, Clone)]
enum Change {
    Remove,
    Double,
    Indent(usize),
    Insert(usize, &'static str),
}

fn change() -> impl Strategy<Value = Change> {
    let pieces = [
        "\t",
        "\u{a0}",
        "\u{feff}",
        "\u{85}",
        "\u{2028}",
        "\u{7}",
        "😀",
        "&a ",
        "*a",
        "!x ",
        "!x,",
        "!!str ",
        "\"",
        "'",
        "|\n",
        ">-\n",
        "%",
        " #",
        ": ",
        "- ",
        "? ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "<<: ",
        "\\",
        "\r",
        "\n",
        "---\n",
        "...\n",
        "~",
        "\n\t",
        "\"\\x7f\"",
    ];
    prop_oneof![
        1 => Just(Change::Remove),
        1 => Just(Change::Double),
        1 => (1usize..5).prop_map(Change::Indent),
        4 => (any::<usize>(), proptest::sample::select(pieces.to_vec()))
            .prop_map(|(place, piece)| Change::Insert(place, piece)),
    ]
}

fn apply(text: &str, place: usize, change: &Change) -> String {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let index = place % lines.len();
    match change {
        Change::Remove => drop(lines.remove(index)),
        Change::Double => lines.insert(index, lines[index].clone()),
        Change::Indent(by) => lines[index].insert_str(0, &" ".repeat(*by)),
        Change::Insert(at, piece) => {
            let line = &mut lines[index];
            let at = at % (line.chars().count() + 1);
            let at = line.char_indices().nth(at).map_or(line.len(), |(at, _)| at);
            line.insert_str(at, piece);
        }
    }
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(600)
    })]

    #[test]
    fn changed_seeds_hold(
        target in proptest::sample::select(TARGETS.to_vec()),
        seed in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<usize>(), change()), 1..5),
    ) {
        let seeds = seeds(target);
        let mut text = seed.get(&seeds).clone();
        for (place, change) in &changes {
            text = apply(&text, *place, change);
        }
        check(target, &text);
    }
}
