//! `files`: what is copied where.

use crate::spec::appspec::{FileMapping, Os};
use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::yaml::Node;

pub(super) fn read(report: &mut Report, node: &Node, os: Option<Os>) -> Vec<FileMapping> {
    let mut files: Vec<FileMapping> = Vec::new();
    for (index, item) in report.list(node, "files").iter().enumerate() {
        let Some(file) = file(report, item, &format!("files[{index}]"), os) else { continue };
        if files.contains(&file) {
            let message = format!("'{}' is copied to '{}' twice", file.source, file.destination);
            report.warn(item.at, codes::DUPLICATE_DESTINATION, message, "remove one of the two");
        }
        files.push(file);
    }
    files
}

fn file(report: &mut Report, node: &Node, path: &str, os: Option<Os>) -> Option<FileMapping> {
    let mut fields = Fields::open(report, node, path)?;
    let source = fields.require(report, "source", "write a path of the bundle; `/` is all of it");
    let source = source.and_then(|node| source_path(report, node, &fields.join("source")));
    let destination = fields.require(report, "destination", "write an absolute directory");
    let destination = destination
        .and_then(|node| destination_path(report, node, &fields.join("destination"), os));
    let mut answered = Vec::new();
    for (key, at, _) in fields.unknown() {
        let help = match key {
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
    Some(FileMapping { source: source?, destination: destination? })
}

fn source_path(report: &mut Report, node: &Node, path: &str) -> Option<String> {
    let text = report.word(node, path)?;
    if text.split(['/', '\\']).any(|part| part == "..") {
        let message = format!("`{path}`: '{text}' leaves the bundle");
        report.error(node.at, codes::BAD_PATH, message, "write a path inside the bundle");
        return None;
    }
    if text.contains('*') {
        let message = format!("`{path}`: '{text}' is taken literally; `files` knows no patterns");
        report.warn(node.at, codes::BAD_PATH, message, "name a file or a whole directory");
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
    if text.starts_with('~') || text.starts_with('$') {
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
    }
    Some(text)
}
