//! Lists whose entries keep their places, and mappings that were written as lists.

use crate::spec::buildspec::PhaseName;
use crate::spec::buildspec::read::TOP_KEYS;
use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::yaml::{Mark, Node, Value};

/// A list of texts, each with its place; one text alone is a list of one, with a warning.
pub(super) fn placed(report: &mut Report, node: &Node, path: &str) -> Vec<(Mark, String)> {
    if node.text().is_some() && !node.is_null() {
        let texts = report.texts_or_text(node, path);
        return texts.into_iter().map(|text| (node.at, text)).collect();
    }
    let items = report.list(node, path).iter().enumerate();
    items
        .filter_map(|(n, item)| Some((item.at, report.text(item, &format!("{path}[{n}]"))?)))
        .collect()
}

/// Opens a mapping. A list of pairs in its place is the commonest slip; its help shows the pair.
pub(super) fn open<'n>(report: &mut Report, node: &'n Node, path: &str) -> Option<Fields<'n>> {
    let Some(pair) = first_pair(node) else { return Fields::open(report, node, path) };
    let message = format!("`{path}` is a list, a mapping is wanted");
    let help = format!("write `{pair}` without the dash");
    report.error(node.at, codes::WRONG_TYPE, message, help);
    None
}

/// A section at the margin, unless it is absent; one that says nothing is warned about.
pub(super) fn section<'n>(
    report: &mut Report,
    top: &mut Fields<'n>,
    key: &'static str,
) -> Option<&'n Node> {
    let node = top.get_or_null(key)?;
    if !node.is_null() {
        return Some(node);
    }
    let at = top.key_at(key).unwrap_or(node.at);
    report.warn(
        at,
        codes::EMPTY_SECTION,
        format!("`{key}` is empty"),
        "fill it, or remove the key",
    );
    None
}

fn first_pair(node: &Node) -> Option<String> {
    let Value::List(items) = &node.value else { return None };
    let Value::Map(entries) = &items.first()?.value else { return None };
    let of = |name: &str| entries.iter().find(|e| e.key.text() == Some(name))?.value.text();
    if let (Some(name), Some(value)) = (of("name"), of("value")) {
        return Some(format!("{name}: {value}"));
    }
    let first = entries.first()?;
    let value = first.value.text().map(|text| format!(" {text}")).unwrap_or_default();
    Some(format!("{}:{value}", first.key.text()?))
}

/// Answers keys of the margin that stand in a section, and phases within a phase; `answered` are
/// those of which everything is said.
pub(super) fn finish<'n>(report: &mut Report, fields: Fields<'n>, mut answered: Vec<&'n str>) {
    for (key, at, _) in fields.unknown() {
        let home = if TOP_KEYS.contains(&key) {
            "at the margin"
        } else if fields.path.starts_with("phases.") && is_phase(key) {
            "below `phases`, beside this one"
        } else {
            continue;
        };
        answered.push(key);
        let message = format!("`{key}` is indented into `{}`; it is ignored there", fields.path);
        report.warn(at, codes::MISPLACED_KEY, message, format!("put `{key}` {home}"));
    }
    fields.finish_except(report, &answered);
}

pub(super) fn is_phase(key: &str) -> bool {
    PhaseName::ALL.iter().any(|phase| phase.key() == key)
}
