//! `files`: what is copied where.

use crate::spec::appspec::paths::{is_file, parts};
use crate::spec::appspec::{FileMapping, Os};
use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::yaml::{Mark, Node, Value};

/// `overwrites` says that the file has `file_exists_behavior: OVERWRITE`.
pub(super) fn read(
    report: &mut Report,
    node: &Node,
    os: Option<Os>,
    overwrites: bool,
) -> Vec<FileMapping> {
    let items = super::items(report, node, "files");
    let mut files: Vec<(Mark, FileMapping)> = Vec::new();
    let mut index = 0;
    while let Some(item) = items.get(index) {
        if torn(report, item, items.get(index + 1)) {
            index += 2;
            continue;
        }
        let path = format!("files[{index}]");
        index += 1;
        files.extend(file(report, item, &path, os, overwrites).map(|file| (item.at, file)));
    }
    super::clash::check(report, &files);
    files.into_iter().map(|(_, file)| file).collect()
}

/// One entry in two, because of a dash before `destination`.
fn torn(report: &mut Report, item: &Node, next: Option<&Node>) -> bool {
    let only = |node: &Node, key: &str| match &node.value {
        Value::Map(entries) => entries.iter().all(|entry| entry.key.text() == Some(key)),
        Value::Scalar { .. } | Value::List(_) => false,
    };
    let Some(next) = next else { return false };
    let torn = only(item, "source") && only(next, "destination");
    if torn {
        let message = "`source` and `destination` stand in two entries";
        report.error(next.at, codes::MISSING_KEY, message, "remove the `-` before `destination`");
    }
    torn
}

fn file(
    report: &mut Report,
    node: &Node,
    path: &str,
    os: Option<Os>,
    overwrites: bool,
) -> Option<FileMapping> {
    if let Some(text) = node.text().filter(|_| !node.is_null()) {
        let message = format!("`{path}` is a single value");
        let help = format!("write `- source: {text}` and below it `destination: …`");
        report.error(node.at, codes::WRONG_TYPE, message, help);
        return None;
    }
    let mut fields = Fields::open(report, node, path)?;
    let source = fields.require(report, "source", "write a path of the bundle; `/` is all of it");
    let source = source.and_then(|node| source_path(report, node, &fields.join("source")));
    let destination = fields.require(report, "destination", "write an absolute directory");
    let to = destination
        .and_then(|node| destination_path(report, node, &fields.join("destination"), os));
    let mut answered = Vec::new();
    for (key, at, _) in fields.unknown() {
        let help = match key {
            "overwrite" | "file_exists_behavior" if overwrites => {
                "remove it: `file_exists_behavior: OVERWRITE` does it already"
            }
            "overwrite" | "file_exists_behavior" => {
                "write `file_exists_behavior: OVERWRITE` at the margin"
            }
            "permissions" | "owner" | "group" | "mode" => "write `permissions:` at the margin",
            _ => continue,
        };
        answered.push(key);
        let message = format!("`{key}` has no effect inside `files`");
        report.warn(at, codes::MISPLACED_KEY, message, help);
    }
    fields.finish_except(report, &answered);
    let file = FileMapping { source: source?, destination: to? };
    if let Some(node) = destination {
        renaming(report, node, &file);
    }
    Some(file)
}

/// A destination that looks like the file's new name is a directory all the same.
fn renaming(report: &mut Report, node: &Node, file: &FileMapping) {
    let name = file.source.rsplit(['/', '\\']).next();
    if let (true, true, Some(name)) = (is_file(&file.source), is_file(&file.destination), name) {
        let destination = &file.destination;
        let message =
            format!("a destination is a directory: the file becomes '{destination}/{name}'");
        let help = "write the directory it goes into; a file keeps its name";
        report.warn(node.at, codes::BAD_PATH, message, help);
    }
}

fn source_path(report: &mut Report, node: &Node, path: &str) -> Option<String> {
    let text = report.word(node, path)?;
    if parts(&text).is_none() {
        let message = format!("`{path}`: '{text}' leaves the bundle");
        report.error(node.at, codes::BAD_PATH, message, "write a path inside the bundle");
        return None;
    }
    if text.contains('*') {
        let message = format!("`{path}`: '{text}' is taken literally; `files` knows no patterns");
        let help = "name a file or a directory, which is copied with all it holds";
        report.warn(node.at, codes::BAD_PATH, message, help);
    }
    Some(text)
}

fn destination_path(
    report: &mut Report,
    node: &Node,
    path: &str,
    os: Option<Os>,
) -> Option<String> {
    let text = report.word(node, path)?;
    let drive = text.as_bytes().get(1) == Some(&b':') || text.starts_with("\\\\");
    let absolute = match os {
        Some(Os::Linux) => text.starts_with('/'),
        Some(Os::Windows) => drive,
        Some(Os::None) | None => true,
    };
    let variable = text.contains('$') || (os == Some(Os::Windows) && text.contains('%'));
    if text.starts_with('~') || variable {
        let message = format!("`{path}`: '{text}' is taken literally; nothing expands it");
        report.warn(node.at, codes::BAD_PATH, message, "write the absolute directory");
    } else if !absolute {
        let message = format!("`{path}`: '{text}' is not an absolute path on this `os`");
        let help = match os {
            Some(Os::Windows) => "write it with its drive: c:\\app",
            _ if drive => "write `os: windows`, or a path that starts with `/`",
            _ => "write a path that starts with `/`",
        };
        report.warn(node.at, codes::BAD_PATH, message, help);
    } else if text.contains('*') {
        let message = format!("`{path}`: '{text}' is taken literally; `files` knows no patterns");
        report.warn(node.at, codes::BAD_PATH, message, "write the directory itself");
    } else if text.split('/').any(|part| part == "..") {
        let message = format!("`{path}`: Pipeyard's agent refuses '..' in a destination");
        report.warn(node.at, codes::BAD_PATH, message, "write the directory it leads to");
    }
    Some(text)
}
