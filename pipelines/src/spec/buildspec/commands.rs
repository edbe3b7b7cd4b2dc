//! Commands: a list of texts, and what YAML makes of texts that are not quoted.

use crate::spec::buildspec::PhaseName;
use crate::spec::buildspec::read::Command;
use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::yaml::{Entry, Node, Value};

/// A list of commands. One list item is one command, however many lines it has.
pub(super) fn read(
    report: &mut Report,
    fields: &mut Fields<'_>,
    name: PhaseName,
    commands: &mut Vec<Command>,
    key: &'static str,
) {
    let Some(node) = fields.get_or_null(key) else { return };
    let path = fields.join(key);
    let at = fields.key_at(key).unwrap_or(node.at);
    let items = match &node.value {
        // Undocumented, yet found in files that are in use.
        Value::Scalar { text, .. } if !node.is_null() => {
            let message = format!("`{path}` is one text; it is run as one command");
            report.warn(node.at, codes::NOT_A_LIST, message, "put `- ` before every command");
            commands.push((name, node.at, text.clone()));
            return;
        }
        Value::Scalar { .. } | Value::Map(_) => report.list(node, &path),
        Value::List(items) => items,
    };
    if items.is_empty() && !matches!(node.value, Value::Map(_)) {
        let help = "add a command, or remove the key";
        report.warn(at, codes::EMPTY_SECTION, format!("`{path}` is empty"), help);
    }
    for (index, item) in items.iter().enumerate() {
        // `- # text`, a comment in the author's eyes: nothing stands right behind its dash.
        if item.text() == Some("") && item.is_null() && item.at.column > node.at.column + 1 {
            continue;
        }
        if let Some(text) = command(report, item, &format!("{path}[{index}]")) {
            commands.push((name, item.at, text));
        }
    }
}

fn command(report: &mut Report, node: &Node, path: &str) -> Option<String> {
    match &node.value {
        Value::Scalar { text, .. } if node.is_null() || text.trim().is_empty() => {
            let message = format!("`{path}` is empty; nothing is run");
            report.warn(node.at, codes::EMPTY_COMMAND, message, "write a command, or remove it");
            None
        }
        Value::Scalar { text, .. } => Some(text.clone()),
        Value::Map(entries) => {
            let (message, help) = mapped(path, entries.first());
            report.error(node.at, codes::COMMAND_IS_MAPPING, message, help);
            None
        }
        Value::List(items) => {
            let message = format!("`{path}` is a list: YAML took a bracket or dash for one");
            let help = match items.as_slice() {
                [only] if only.text().is_some_and(|text| text.contains(' ')) => {
                    format!("quote it: '[ {} ]'", short(only.text().unwrap_or_default()))
                }
                _ => "quote the command, or write it in a `- |` block".to_owned(),
            };
            report.error(node.at, codes::COMMAND_IS_LIST, message, help);
            None
        }
    }
}

/// A command YAML took for a mapping: message and help.
fn mapped(path: &str, first: Option<&Entry>) -> (String, String) {
    let Some(key) = first.and_then(|entry| entry.key.text()).filter(|key| !key.is_empty()) else {
        let message = format!("`{path}` is a mapping: YAML took a brace or colon for one");
        return (message, "quote the command, or write it in a `- |` block".to_owned());
    };
    let value = first.map_or("", |entry| match entry.value.text() {
        _ if entry.value.is_null() => "",
        Some(text) => text,
        None => "…",
    });
    let message = format!("`{path}` is a mapping: YAML took `: ` after `{}` for a key", short(key));
    (message, format!("quote it: '{}'", short(format!("{key}: {value}").trim_end())))
}

/// Enough of a command to recognise it, fit for single quotes.
fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or("").replace('\'', "''");
    match line.char_indices().nth(120) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
