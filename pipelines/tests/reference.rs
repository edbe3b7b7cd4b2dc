//! The reference files under `docs/reference` are manual and test at once: they read without any
//! problem, and no key is missing from them.

#![expect(clippy::disallowed_methods, reason = "a test may read files and clocks")]

use pipelines::spec::{Kind, codes, keys, lint};
use std::collections::BTreeSet;
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference")).join(name)
}

fn documents(kind: Kind) -> Vec<String> {
    let name = format!("{}.yml", kind.as_str());
    let text = std::fs::read_to_string(path(&name)).expect("the reference file is there");
    text.split("\n---\n").map(str::to_owned).collect()
}

#[test]
fn the_reference_files_read_without_problems() {
    for kind in Kind::ALL {
        for text in documents(kind) {
            let problems: Vec<String> = lint(kind, &text).iter().map(ToString::to_string).collect();
            // What only AWS does is right, and warned about all the same.
            let allowed = |problem: &String| problem.contains("[unsupported]");
            let unexpected: Vec<_> = problems.iter().filter(|p| !allowed(p)).collect();
            assert!(unexpected.is_empty(), "{}: {unexpected:#?}\n{text}", kind.as_str());
        }
    }
}

/// Things that are alike wherever they stand have each of their keys shown once.
const ALIKE: &[(&str, &str)] = &[
    ("phases.install.", "phase."),
    ("phases.pre_build.", "phase."),
    ("phases.build.", "phase."),
    ("phases.post_build.", "phase."),
    ("batch.build-list[].", "task."),
    ("batch.build-graph[].", "task."),
    ("freeze[].", "window."),
    ("windows[].", "window."),
    ("stages[].entry.", "condition."),
    ("stages[].success.", "condition."),
    ("stages[].actions[].entry.", "condition."),
];

/// Keys that are read and warned about: CodeDeploy's guide has them, its agents do not.
const WARNED: &[&str] = &["permissions[].context.user"];

fn shared(key: &str) -> String {
    let last = key.rsplit('.').next().unwrap_or(key);
    if key.starts_with("hooks.") && key.contains("[].") {
        return format!("hook.{last}");
    }
    let selectors = ["hosts.selector.", "strategy.blue-green.blue.", "strategy.blue-green.green."];
    if selectors.iter().any(|start| key.starts_with(start)) {
        return format!("selector.{last}");
    }
    let alike = ALIKE.iter().find_map(|(start, name)| Some((name, key.strip_prefix(start)?)));
    alike.map_or(key.to_owned(), |(name, rest)| format!("{name}{rest}"))
}

#[test]
fn every_key_there_is_stands_in_its_reference_file() {
    for kind in Kind::ALL {
        let (mut known, mut present) = (BTreeSet::new(), BTreeSet::new());
        for text in documents(kind) {
            let keys = keys(kind, &text);
            known.extend(keys.known.iter().map(|key| shared(key)));
            present.extend(keys.present.iter().map(|key| shared(key)));
        }
        let missing = known.difference(&present).filter(|key| !WARNED.contains(&key.as_str()));
        let missing: Vec<_> = missing.collect();
        assert!(missing.is_empty(), "docs/reference/{}.yml lacks {missing:#?}", kind.as_str());
    }
}

/// `PIPEYARD_BLESS=1 cargo test -p pipelines --test reference` writes the list anew.
#[test]
fn every_problem_code_is_listed() {
    let mut wanted = String::from(
        "# Problem codes\n\n\
         What `pipectl lint`, `pipectl apply` and the controller can find wrong with a file.\n\
         Codes are stable: scripts may rely on them. The same code can be an error in one\n\
         format and a warning in another: what AWS accepts is accepted in its two formats.\n\n\
         | code | meaning |\n|---|---|\n",
    );
    for (code, meaning) in codes::ALL {
        wanted.push_str(&format!("| `{code}` | {meaning} |\n"));
    }
    let path = path("problems.md");
    if std::env::var_os("PIPEYARD_BLESS").is_some() {
        std::fs::write(&path, &wanted).expect("writing the list");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, wanted, "docs/reference/problems.md is not the list in codes.rs");
}
