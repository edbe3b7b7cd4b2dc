//! The JSON Schemas under `docs/reference/schema`: fresh, true of every valid file there is to try, and
//! with exactly the keys the readers ask for.

#![expect(clippy::disallowed_methods, reason = "a test may read files and clocks")]

#[path = "schema/keys.rs"]
mod keys;
#[path = "schema/written.rs"]
mod written;

use jsonschema::Validator;
use pipelines::spec::{Kind, lint, schema, schema_text};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::LazyLock;

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn reference(kind: Kind) -> Vec<String> {
    let path = root().join(format!("docs/reference/{}.yml", kind.as_str()));
    let text = std::fs::read_to_string(path).expect("the reference file is there");
    text.split("\n---\n").map(str::to_owned).collect()
}

fn validator(kind: Kind) -> &'static Validator {
    static VALIDATORS: LazyLock<Vec<Validator>> = LazyLock::new(|| {
        let made = Kind::ALL.map(|kind| jsonschema::draft7::new(&schema(kind)));
        made.into_iter().map(|made| made.expect("the schema is one")).collect()
    });
    &VALIDATORS[Kind::ALL.iter().position(|other| *other == kind).expect("one of the four")]
}

/// What an editor hands to the schema; `None` where the text is YAML only to a lenient reader.
fn as_editors_read(text: &str) -> Option<Value> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut value: serde_yaml::Value = serde_yaml::from_str(text).ok()?;
    value.apply_merge().ok()?;
    serde_json::to_value(value).ok()
}

fn complaints(validator: &Validator, value: &Value) -> Vec<String> {
    validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

/// `PIPEYARD_BLESS=1 cargo test -p pipelines --test schema` writes them anew.
#[test]
fn the_schemas_are_fresh() {
    for kind in Kind::ALL {
        let path = root().join(format!("docs/reference/schema/{}.json", kind.as_str()));
        let wanted = schema_text(kind);
        if std::env::var_os("PIPEYARD_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
            std::fs::write(&path, &wanted).expect("written");
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == wanted, "{} is not what the models say", path.display());
    }
}

#[test]
fn nothing_in_a_schema_points_outside() {
    for kind in Kind::ALL {
        let text = schema_text(kind);
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert!(value.get("$id").is_none());
        let outside = text.lines().filter(|l| l.contains("\"$ref\"") && !l.contains("\"#/"));
        assert_eq!(outside.count(), 0);
        jsonschema::draft7::meta::validate(&value).expect("a schema by its own schema");
    }
}

#[test]
fn the_reference_files_are_valid() {
    for kind in Kind::ALL {
        let validator = validator(kind);
        for text in reference(kind) {
            let value = as_editors_read(&text).expect("the reference is YAML");
            let complaints = complaints(validator, &value);
            assert!(complaints.is_empty(), "{}: {complaints:#?}\n{text}", kind.as_str());
        }
    }
}

/// Checks files that lint without errors; returns how many there were.
fn check_valid(kind: Kind, texts: impl IntoIterator<Item = (String, String)>) -> usize {
    let validator = validator(kind);
    let (mut count, mut wrong) = (0, Vec::new());
    for (name, text) in texts {
        if lint(kind, &text).iter().any(pipelines::spec::Problem::is_error) {
            continue;
        }
        let Some(value) = as_editors_read(&text) else {
            println!("{name}: valid to us, no YAML to others");
            continue;
        };
        count += 1;
        let complaints = complaints(validator, &value);
        if !complaints.is_empty() {
            wrong.push(format!("{name}: {complaints:#?}\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "the schema of a {} is wrong:\n{}", kind.as_str(), wrong.join("\n"));
    count
}

/// Files of strangers, where they lie beside the project.
#[test]
fn real_files_are_valid() {
    let beside = root().join("../shared/corpus");
    let corpus = std::env::var_os("PIPEYARD_CORPUS").map_or(beside, PathBuf::from);
    for kind in [Kind::Buildspec, Kind::Appspec] {
        let Ok(entries) = std::fs::read_dir(corpus.join(kind.as_str())) else {
            println!(
                "skipped: there is no corpus beside the project (PIPEYARD_CORPUS names another)"
            );
            return;
        };
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let texts = paths.filter_map(|path| {
            Some((path.display().to_string(), std::fs::read_to_string(&path).ok()?))
        });
        let count = check_valid(kind, texts);
        println!("{count} {} files", kind.as_str());
        assert!(count > 5, "only {count} usable files in {}", corpus.display());
    }
}

/// The files of the demonstration and of the benchmarks.
#[test]
fn our_own_files_are_valid() {
    let mut count = 0;
    for directory in ["scripts/demo/shop", "scripts/bench/app", "scripts/bench/first"] {
        for kind in Kind::ALL {
            let name = format!("{directory}/{}.yml", kind.as_str());
            let text = std::fs::read_to_string(root().join(&name)).ok();
            count += check_valid(kind, text.map(|text| (name, text)));
        }
    }
    assert!(count >= 8, "only {count} files of ours are valid");
}
