//! Deployments that went wrong in the simulator once, or stand for what must not change unnoticed: what the
//! engine was told, and what it decides now. `PIPEYARD_BLESS=1` writes the answers anew, to be read.
//!
//! A failing seed says where its script is; `pipectl simulate --seed S --record FILE` makes one of a group.

#![expect(clippy::disallowed_methods, reason = "blessing is the caller's choice")]

use pipelines::sim::{ENGINE, Script};
use std::path::{Path, PathBuf};

#[test]
fn every_script_ends_as_recorded() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let scripts: Vec<PathBuf> = std::fs::read_dir(&directory)
        .expect("there are scripts")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    assert!(scripts.len() >= 5, "{scripts:?}");
    for path in scripts {
        let text = std::fs::read_to_string(&path).expect("a script reads");
        let script = Script::read(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let said = script.play(ENGINE).join("\n") + "\n";
        let recorded = path.with_extension("txt");
        if std::env::var_os("PIPEYARD_BLESS").is_some() {
            std::fs::write(&recorded, &said).expect("what was said can be written");
        }
        let wanted = std::fs::read_to_string(&recorded).unwrap_or_default();
        assert!(said == wanted, "{}: {}", path.display(), first_difference(&said, &wanted));
    }
}

#[test]
fn a_script_reads_back_as_it_was_written() {
    let story = pipelines::sim::play(7, &pipelines::sim::Settings::default(), true);
    for script in &story.scripts {
        let text = script.write().expect("it writes");
        assert_eq!(&Script::read(&text).expect("it reads"), script);
    }
    assert!(!story.scripts.is_empty());
    assert!(Script::read("{}").is_err());
}

fn first_difference(said: &str, wanted: &str) -> String {
    let mut lines = wanted.lines();
    for (number, line) in said.lines().enumerate() {
        let recorded = lines.next();
        if recorded != Some(line) {
            return format!("line {}\n now      {line}\n recorded {recorded:?}", number + 1);
        }
    }
    format!("{:?} comes no more", lines.next())
}
