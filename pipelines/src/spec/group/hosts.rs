//! Which hosts belong to a group: by tags, with and, or and not.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::yaml::Node;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A host belongs when all `tags` match and the selector does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Hosts {
    /// Values may contain `*`.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Combines tags by all, any and not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
}

/// Exactly one of tags, all, any, not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
#[schemars(transform = crate::spec::schema::forms::one_key)]
pub enum Selector {
    /// All of these.
    Tags(BTreeMap<String, String>),
    /// All of these hold.
    All(Vec<Selector>),
    /// At least one of these holds.
    Any(Vec<Selector>),
    /// This does not hold.
    Not(Box<Selector>),
}

impl Hosts {
    #[must_use]
    pub fn matches(&self, tags: &BTreeMap<String, String>) -> bool {
        all_tags(&self.tags, tags)
            && self.selector.as_ref().is_none_or(|selector| selector.matches(tags))
    }
}

impl Selector {
    #[must_use]
    pub fn matches(&self, tags: &BTreeMap<String, String>) -> bool {
        match self {
            Selector::Tags(wanted) => all_tags(wanted, tags),
            Selector::All(parts) => parts.iter().all(|part| part.matches(tags)),
            Selector::Any(parts) => parts.iter().any(|part| part.matches(tags)),
            Selector::Not(part) => !part.matches(tags),
        }
    }
}

fn all_tags(wanted: &BTreeMap<String, String>, tags: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, pattern)| tags.get(key).is_some_and(|value| like(pattern, value)))
}

/// `*` stands for any characters, none included; everything else for itself, case and all.
pub(super) fn like(pattern: &str, value: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = value.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// `{tags: {…}}`, `{selector: {…}}` or both.
pub(super) fn read(report: &mut Report, node: &Node) -> Option<Hosts> {
    let mut fields = Fields::open(report, node, "hosts")?;
    let tags = match fields.get("tags") {
        Some(node) => tags(report, node, "hosts.tags"),
        None => BTreeMap::new(),
    };
    let selector = fields.get("selector");
    let selector = selector.and_then(|node| read_selector(report, node, "hosts.selector"));
    // Whatever is written there, it is no empty selection by itself.
    let said = fields.key_at("tags").is_some() || fields.key_at("selector").is_some();
    if tags.is_empty() && selector.is_none() && (!said || fields.get("selector").is_none()) {
        let message = "`hosts` selects no host";
        let help = "write `tags: {role: web}`; to mean every host, `tags: {name: \"*\"}`";
        report.error(node.at, codes::NO_HOSTS, message, help);
    }
    fields.finish(report);
    Some(Hosts { tags, selector })
}

fn tags(report: &mut Report, node: &Node, path: &str) -> BTreeMap<String, String> {
    let pairs = report.scalars(node, path);
    for (key, at, value) in &pairs {
        if value.is_empty() {
            let message = format!("`{path}.{key}` has no value");
            report.error(*at, codes::MISSING_KEY, message, "write a value, or \"*\" for any");
        }
    }
    pairs.into_iter().map(|(key, _, value)| (key, value)).collect()
}

/// One of `tags`, `all`, `any`, `not`.
pub(super) fn read_selector(report: &mut Report, node: &Node, path: &str) -> Option<Selector> {
    let mut fields = Fields::open(report, node, path)?;
    let mut found: Vec<Option<Selector>> = Vec::new();
    if let Some(node) = fields.get("tags") {
        let tags = tags(report, node, &fields.join("tags"));
        if tags.is_empty() {
            let message = format!("`{}` is empty", fields.join("tags"));
            report.error(node.at, codes::NO_HOSTS, message, "write `tags: {role: web}`");
        }
        found.push(Some(Selector::Tags(tags)));
    }
    for (key, make) in [("all", Selector::All as fn(_) -> _), ("any", Selector::Any)] {
        let Some(node) = fields.get(key) else { continue };
        let path = fields.join(key);
        let items = report.list(node, &path);
        if items.is_empty() && node.text().is_none() {
            let message = format!("`{path}` is empty");
            report.error(node.at, codes::NO_HOSTS, message, "add `- tags: {role: web}`");
        }
        let parts = items.iter().enumerate();
        let parts: Vec<Selector> = parts
            .filter_map(|(index, item)| read_selector(report, item, &format!("{path}[{index}]")))
            .collect();
        found.push(Some(make(parts)));
    }
    if let Some(node) = fields.get("not") {
        let part = read_selector(report, node, &fields.join("not"));
        found.push(part.map(|part| Selector::Not(Box::new(part))));
    }
    fields.finish(report);
    if found.len() != 1 {
        let message = format!("`{path}` has to be exactly one of tags, all, any, not");
        let help = "to have several hold, list them below `all:`";
        report.error(node.at, codes::ACTION_KIND, message, help);
        return None;
    }
    found.pop().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        let cases = [
            ("web", "web", true),
            ("web", "web-1", false),
            ("*", "", true),
            ("web-*", "web-1", true),
            ("*-eu", "web-eu", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXcYb", false),
            ("ab*ba", "aba", false),
        ];
        for (pattern, value, expected) in cases {
            assert_eq!(like(pattern, value), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn selectors_combine() {
        let tags = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        let web = Selector::Tags(tags(&[("role", "web")]));
        let old = Selector::Tags(tags(&[("gen", "old")]));
        let hosts = Hosts {
            tags: tags(&[("env", "prod*")]),
            selector: Some(Selector::All(vec![web, Selector::Not(Box::new(old))])),
        };
        assert!(hosts.matches(&tags(&[("env", "production"), ("role", "web")])));
        assert!(!hosts.matches(&tags(&[("env", "production"), ("role", "web"), ("gen", "old")])));
        assert!(!hosts.matches(&tags(&[("role", "web")])));
    }
}
