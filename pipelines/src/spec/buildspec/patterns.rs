//! Patterns that name files: artifacts, reports, caches.

use crate::spec::buildspec::lists;
use crate::spec::codes;
use crate::spec::decode::Report;
use crate::spec::globs;
use crate::spec::yaml::{Mark, Node, Value};

/// Where the files of a pattern may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Below {
    /// Below the source or the base directory: artifacts and reports.
    Source,
    /// Anywhere; directories count as well: caches.
    Root,
}

/// Where sources lie, here and on AWS.
const SOURCES: [&str; 2] = ["/build/src/", "/codebuild/"];

/// A list of patterns. One text alone is refused by CodeBuild.
pub(super) fn read(report: &mut Report, node: &Node, path: &str, below: Below) -> Vec<String> {
    if let Value::Scalar { text, .. } = &node.value {
        let message = format!("`{path}` is one text, a list is wanted");
        let help = format!("write it as a list entry below: `- '{}'`", text.trim());
        report.error(node.at, codes::WRONG_TYPE, message, help);
        return Vec::new();
    }
    let texts = lists::placed(report, node, path);
    if texts.is_empty() && matches!(&node.value, Value::List(items) if items.is_empty()) {
        let help = "add a file, or remove the key";
        report.warn(node.at, codes::EMPTY_SECTION, format!("`{path}` is empty"), help);
    }
    for (at, text) in &texts {
        check(report, *at, path, text, below);
    }
    texts.into_iter().map(|(_, text)| text).collect()
}

/// Warns about patterns that name the base directory once more: they are looked for below it.
pub(super) fn check_base(
    report: &mut Report,
    files: Option<&Node>,
    path: &str,
    base: Option<&str>,
) {
    let tidy = |text: &str| text.trim_start_matches("./").trim_end_matches('/').to_owned();
    let Some(base) = base.map(tidy).filter(|b| !b.is_empty() && !b.contains(['*', '?', '$', '`']))
    else {
        return;
    };
    let Some(Value::List(items)) = files.map(|node| &node.value) else { return };
    for item in items {
        let text = item.text().unwrap_or_default();
        let pattern = text.trim_start_matches("./");
        let Some(rest) = pattern.strip_prefix(&format!("{base}/")) else { continue };
        let message = format!(
            "`{path}`: '{text}' is looked for below `base-directory`, so as '{base}/{pattern}'"
        );
        let help = format!("write '{rest}', unless {base} holds a {base} of its own");
        report.warn(item.at, codes::DEAD_GLOB, message, help);
    }
}

/// Patterns of what is left out.
pub(super) fn excluded(report: &mut Report, node: &Node, path: &str) -> Vec<String> {
    let texts = lists::placed(report, node, path);
    for (at, text) in &texts {
        check(report, *at, path, text, Below::Source);
    }
    texts.into_iter().map(|(_, text)| text).collect()
}

fn check(report: &mut Report, at: Mark, path: &str, text: &str, below: Below) {
    if let Err(error) = globs::compile(text) {
        let message = format!("`{path}`: '{text}' is not a pattern: {}", error.kind());
        let help = "close every `[` and `{`, or write `\\[` for the character itself";
        report.warn(at, codes::BAD_GLOB, message, help);
        return;
    }
    if below == Below::Source
        && text.starts_with('/')
        && !SOURCES.iter().any(|source| text.starts_with(source))
    {
        let message =
            format!("`{path}`: '{text}' lies outside the source; only CodeBuild takes it");
        let help = "let a command copy it below the source, and name it there";
        report.warn(at, codes::UNSUPPORTED, message, help);
        return;
    }
    let name = text.trim_start_matches("./").trim_end_matches('/');
    let (why, help) = if text.trim().is_empty() {
        ("it is empty", "write '**/*' for every file".to_owned())
    } else if below == Below::Root {
        return;
    } else if matches!(name, "" | ".") {
        ("only files are taken, and this is a directory", "write '**/*' for every file".to_owned())
    } else if text.ends_with('/') {
        ("no file's name ends in `/`", format!("write '{name}/**/*' for every file below it"))
    } else if text.starts_with('!') {
        ("nothing is taken away by a `!`", "list it below `exclude-paths:` instead".to_owned())
    } else if text.starts_with("~/") {
        ("`~` is no directory here", "let a command copy it below the source".to_owned())
    } else if text.split('/').any(|part| part == "..") {
        ("`..` leads out of the source", "let a command copy it below the source".to_owned())
    } else {
        return;
    };
    let message = format!("`{path}`: '{text}' can match nothing: {why}");
    report.warn(at, codes::DEAD_GLOB, message, help);
}
