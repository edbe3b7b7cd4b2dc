//! The house rules that no compiler knows, as a test: cheap enough to run every time.
//!
//! A message says `file:line: what is wrong: what to do`. Everything wrong is reported at once. Rules
//! about text look at code with comments and strings blanked out, so that a rule may be named.

#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/crates.rs"]
mod crates;
#[path = "tidy/links.rs"]
mod links;

use code::Source;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// Text that may not stand in code, and what to do instead.
const BANNED: &[(&str, &str)] = &[
    ("todo!", "write it, or return an error that says what is missing"),
    ("unimplemented!", "write it, or return an error that says what is missing"),
    ("#[ignore", "make the test run everywhere, or delete it"),
    ("[allow(", "write #[expect(…, reason = \"…\")], which complains when it is no longer needed"),
    ("cfg(any())", "this is never compiled: delete it, or make it compile"),
];

/// Words that say nothing in the name of a type.
const EMPTY_WORDS: &[&str] = &["Manager", "Helper", "Helpers", "Util", "Utils"];

#[test]
fn files_and_functions_are_short() {
    let mut wrong = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            wrong.push(format!(
                "{}:{FILE_LINES_MAX}: {lines} lines, at most {FILE_LINES_MAX}: split it by reason \
                 to change",
                source.path
            ));
        }
        for function in source.functions() {
            if function.lines > FUNCTION_LINES_MAX {
                wrong.push(format!(
                    "{}:{}: fn {} has {} lines, at most {FUNCTION_LINES_MAX}: let it decide, and \
                     move what it computes out",
                    source.path, function.line, function.name, function.lines
                ));
            }
        }
    }
    report(&wrong);
}

#[test]
fn banned_text_is_absent() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (at, line) in source.code_lines() {
            for (text, remedy) in BANNED {
                // Code shared by test binaries is used by each in part: nothing to expect of it.
                let shared = source.path.contains("/tests/")
                    && line.starts_with("#![allow(dead_code, reason");
                if code::has_word(line, text) && !shared {
                    wrong.push(format!("{}:{at}: {text}: {remedy}", source.path));
                }
            }
        }
    }
    report(&wrong);
}

/// Seams are arguments: production code does not behave differently under test.
#[test]
fn cfg_test_stands_only_on_modules() {
    let mut wrong = Vec::new();
    for source in sources() {
        let lines: Vec<(usize, &str)> = source.code_lines().collect();
        for (index, (at, line)) in lines.iter().enumerate() {
            let Some(start) = line.find("cfg(test)") else { continue };
            let rest = line[start..].split_once(']').map_or("", |(_, rest)| rest);
            let following = lines[index + 1..].iter().map(|(_, line)| *line);
            let on_module = std::iter::once(rest)
                .chain(following)
                .map(str::trim)
                .find(|line| !line.is_empty() && !line.starts_with("#["))
                .is_some_and(code::is_module);
            if !on_module {
                wrong.push(format!(
                    "{}:{at}: cfg(test) outside a test module: pass what differs as an argument (a \
                     clock, a seed, a URL)",
                    source.path
                ));
            }
        }
    }
    report(&wrong);
}

/// The caller owns the transaction, and one crate knows the schema. Stories may look at the database as
/// witnesses.
#[test]
fn sql_lives_in_the_store() {
    let mut wrong = Vec::new();
    for source in sources() {
        if source.path.starts_with("controller/store/") || source.path.starts_with("tests/") {
            continue;
        }
        for (at, line) in source.code_lines() {
            if line.contains("sqlx::query") {
                wrong.push(format!(
                    "{}:{at}: sqlx::query: move it into a function of controller/store",
                    source.path
                ));
            }
        }
    }
    report(&wrong);
}

#[test]
fn type_names_say_something() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (at, line) in source.code_lines() {
            let Some(name) = code::type_name(line) else { continue };
            if let Some(word) = code::camel_words(name).find(|word| EMPTY_WORDS.contains(word)) {
                wrong.push(format!(
                    "{}:{at}: {name}: '{word}' says nothing; name it after what it is or does",
                    source.path
                ));
            }
        }
    }
    report(&wrong);
}

#[test]
fn crates_depend_only_along_the_arrows() {
    report(&crates::wrong_arrows(&root()));
}

/// The domain cannot reach the world, not even by accident.
#[test]
fn the_domain_has_no_way_out() {
    report(&crates::ways_out(&root()));
}

#[test]
fn links_in_the_documentation_resolve() {
    report(&links::broken(&root()));
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("tests/ lies in the repository").to_owned()
}

/// Every Rust file of the repository.
fn sources() -> Vec<Source> {
    let root = root();
    let mut paths = Vec::new();
    files_below(&root, "rs", &mut paths);
    assert!(paths.len() > 20, "found only {} Rust files below {}", paths.len(), root.display());
    paths.iter().map(|path| Source::read(&root, path)).collect()
}

/// Files with this extension, in order, without what is built, hidden or of another checkout.
fn files_below(directory: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(directory).expect("a directory of the repository can be read");
    let mut entries: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "node_modules" {
                files_below(&path, extension, found);
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

fn report(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
