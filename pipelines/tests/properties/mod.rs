//! What holds for every text whatsoever. The fuzz targets look for texts for which it does not; the
//! test `fuzz` tries a few hundred without them.

#![allow(dead_code, reason = "each target and the test use a part")]

use pipelines::spec::{Kind, Parsed, Problem, Severity, codes, lint, normalised, print};
use serde_json::Value;
use std::collections::BTreeSet;

/// Everything that is said about a file of this kind is true, and complete.
pub fn hold(kind: Kind, text: &str) {
    let parsed = normalised(kind, text);
    let problems = &parsed.problems;
    assert_eq!(problems, &lint(kind, text), "two looks, two answers");
    let failed = problems.iter().any(Problem::is_error);
    assert_eq!(parsed.value.is_none(), failed, "a value, or at least one error: {problems:#?}");
    for problem in problems {
        says_where_and_how(problem, text);
    }
    if let Some(value) = &parsed.value {
        reads_back(kind, value);
    }
}

fn says_where_and_how(problem: &Problem, text: &str) {
    let known: BTreeSet<&str> = codes::ALL.iter().map(|(code, _)| *code).collect();
    assert!(known.contains(problem.code.as_ref()), "{problem}");
    assert!(!problem.message.trim().is_empty() && !problem.help.trim().is_empty(), "{problem:?}");
    let (Some(line), Some(column)) = (problem.line, problem.column) else {
        assert!(matches!(problem.code.as_ref(), "more-problems" | "too-large"), "{problem}");
        return;
    };
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = body.lines().count().max(1);
    assert!((1..=lines).contains(&(line as usize)), "{problem}: the file has {lines} lines");
    let width = body.lines().nth(line as usize - 1).unwrap_or("").chars().count();
    assert!(
        (1..=width + 1).contains(&(column as usize)),
        "{problem}: the line has {width} columns"
    );
    if width > 0 {
        let excerpt = problem.excerpt(text).expect("a place in the file has an excerpt");
        let strange = |c: char| c.is_control() && c != '\n';
        assert!(!excerpt.contains(strange), "{excerpt:?}");
        assert_eq!(excerpt.matches('\n').count(), 3, "{excerpt:?}");
        assert!(excerpt.contains('^'), "{excerpt:?}");
    }
}

/// parse(print(x)) = x.
fn reads_back(kind: Kind, value: &Value) {
    // libyaml reads no key of more than 1024 bytes without a question mark, which JSON has none of.
    // Of files for AWS's other platforms a summary is printed; nothing here deploys them.
    let foreign = value["platform"] == "ecs" || value["platform"] == "lambda";
    if foreign || longest_key(value) > 1000 {
        return;
    }
    let printed = print(value);
    let again = normalised(kind, &printed);
    assert_eq!(again.value.as_ref(), Some(value), "{printed}\n{:#?}", again.problems);
}

fn longest_key(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(longest_key).max().unwrap_or(0),
        Value::Object(fields) => {
            // As printed, with escapes.
            let lengths = fields.iter().map(|(key, value)| {
                print(&Value::from(key.as_str())).len().max(longest_key(value))
            });
            lengths.max().unwrap_or(0)
        }
        _ => 0,
    }
}

/// Line ends, a byte order mark, and comments behind the end say nothing.
pub fn writing_changes_nothing(text: &str) {
    let kind = Kind::of("file.yml", text).unwrap_or(Kind::Buildspec);
    hold(kind, text);
    let first = normalised(kind, text);
    if !text.contains('\r') {
        let windows = text.replace('\n', "\r\n");
        assert_eq!(normalised(kind, &windows), first, "{windows:?}");
    }
    if !text.starts_with('\u{feff}') {
        let marked = normalised(kind, &format!("\u{feff}{text}"));
        let others = |problem: &&Problem| problem.code != "byte-order-mark";
        let others: Vec<&Problem> = marked.problems.iter().filter(others).collect();
        assert_eq!(others, first.problems.iter().collect::<Vec<_>>());
        assert_eq!(marked.value, first.value);
    }
    any_text_is_a_value(text);
}

/// A text that is printed into a file comes out of it.
fn any_text_is_a_value(text: &str) {
    let file = serde_json::json!({
        "version": "0.2",
        "env": {"variables": {"TEXT": text}},
        "phases": {"build": {"commands": ["make"]}},
    });
    let printed = print(&file);
    let Parsed { value, problems } = normalised(Kind::Buildspec, &printed);
    let error = problems.iter().find(|problem| problem.severity == Severity::Error);
    assert_eq!(error, None, "{printed}");
    assert_eq!(value.expect("no error")["env"]["variables"]["TEXT"], text, "{printed}");
}
