//! ECS and Lambda appspecs: checked as CodeDeploy checks them, with a warning that no host can run
//! them (CodeDeploy user guide, "AppSpec 'resources' section"). The case of their keys is free.

use crate::spec::appspec::{Appspec, Os, Platform, Resource};
use crate::spec::codes;
use crate::spec::decode::{Fields, Report, suggest};
use crate::spec::yaml::{Mark, Node, Value};
use std::collections::BTreeMap;

const ECS: &str = "AWS::ECS::Service";
const LAMBDA: &str = "AWS::Lambda::Function";

/// What CodeDeploy refuses to go without, what else there is, and the events that call functions.
struct Shape {
    required: &'static [&'static str],
    other: &'static [&'static str],
    events: &'static [&'static str],
}

const ECS_SHAPE: Shape = Shape {
    required: &[
        "TaskDefinition",
        "LoadBalancerInfo.ContainerName",
        "LoadBalancerInfo.ContainerPort",
    ],
    other: &[
        "LoadBalancerInfo",
        "PlatformVersion",
        "NetworkConfiguration",
        "CapacityProviderStrategy",
    ],
    events: &[
        "BeforeInstall",
        "AfterInstall",
        "AfterAllowTestTraffic",
        "BeforeAllowTraffic",
        "AfterAllowTraffic",
    ],
};

const LAMBDA_SHAPE: Shape = Shape {
    required: &["Name", "Alias", "CurrentVersion", "TargetVersion"],
    other: &[],
    events: &["BeforeAllowTraffic", "AfterAllowTraffic"],
};

impl Shape {
    /// A property as CodeDeploy's guide spells it, whatever the case it is written in.
    fn spelling(&self, name: &str) -> Option<&'static str> {
        let mut known = self.required.iter().chain(self.other);
        known.find(|known| known.eq_ignore_ascii_case(name)).copied()
    }
}

pub(super) fn read(
    report: &mut Report,
    mut top: Fields<'_>,
    version: Option<String>,
) -> Option<Appspec> {
    let key = spelled(&top, "Resources", "resources");
    let at = top.key_at(key).unwrap_or(top.at);
    let mut resources: Vec<(Platform, Resource)> = Vec::new();
    if let Some(node) = top.require(report, key, "describe what is deployed") {
        for (index, item) in report.list(node, key).iter().enumerate() {
            resources.extend(named(report, item, &format!("{key}[{index}]")));
        }
    }
    let platform = resources.first().map_or(Platform::Ecs, |(platform, _)| *platform);
    let key = spelled(&top, "Hooks", "hooks");
    if let Some(node) = top.get(key) {
        hooks(report, node, key, platform);
    }
    for (key, at, _) in top.unknown() {
        let message = format!("there is no key `{key}` beside `Resources`; it is ignored");
        let help = match key {
            "files" | "permissions" | "hooks" | "file_exists_behavior" => {
                "for hosts, write `os: linux` and remove `Resources`".to_owned()
            }
            _ => suggest::help(key, &["version", "Resources", "Hooks"]),
        };
        report.warn(at, codes::UNKNOWN_KEY, message, help);
    }
    let message = "this AppSpec is for ECS or Lambda; Pipeyard deploys to hosts only";
    let help = "it can be checked, not deployed; for hosts write `os:`, `files:` and `hooks:`";
    report.warn(at, codes::OTHER_PLATFORM, message, help);
    Some(Appspec {
        version: version?,
        platform,
        os: Os::None,
        files: Vec::new(),
        file_exists_behavior: None,
        permissions: Vec::new(),
        hooks: BTreeMap::new(),
        resources: resources.into_iter().map(|(_, resource)| resource).collect(),
    })
}

fn spelled(fields: &Fields<'_>, usual: &'static str, lower: &'static str) -> &'static str {
    let is_lower = fields.key_at(usual).is_none() && fields.key_at(lower).is_some();
    if is_lower { lower } else { usual }
}

/// Functions called at events. Nothing here runs them.
fn hooks(report: &mut Report, node: &Node, path: &str, platform: Platform) {
    let Value::List(items) = &node.value else {
        let message = format!("`{path}` lists functions here, not scripts");
        let help = "write `- BeforeAllowTraffic: name-of-a-function`";
        report.warn(node.at, codes::WRONG_TYPE, message, help);
        return;
    };
    let events = shape(platform).events;
    for (index, item) in items.iter().enumerate() {
        let Some(fields) = Fields::open(report, item, &format!("{path}[{index}]")) else {
            continue;
        };
        for (event, at, function) in fields.entries() {
            if !events.contains(&event) {
                let message = format!("there is no event `{event}`; nothing is called");
                report.warn(at, codes::UNKNOWN_HOOK, message, suggest::help(event, events));
            } else if function.text().is_none_or(|text| text.trim().is_empty()) {
                let message = format!("hook `{event}` names no function");
                report.warn(at, codes::EMPTY_HOOK, message, "write its name or ARN, or remove it");
            }
        }
    }
}

fn shape(platform: Platform) -> &'static Shape {
    match platform {
        Platform::Lambda => &LAMBDA_SHAPE,
        Platform::Ecs | Platform::Server => &ECS_SHAPE,
    }
}

/// An entry is a mapping of one name to its description.
fn named(report: &mut Report, node: &Node, path: &str) -> Vec<(Platform, Resource)> {
    let Some(names) = Fields::open(report, node, path) else { return Vec::new() };
    let mut resources = Vec::new();
    for (name, _, node) in names.entries() {
        resources.extend(resource(report, name, node, &names.join(name)));
    }
    resources
}

fn resource(
    report: &mut Report,
    name: &str,
    node: &Node,
    path: &str,
) -> Option<(Platform, Resource)> {
    let mut fields = Fields::open(report, node, path)?;
    let choices = [(ECS, Platform::Ecs), (LAMBDA, Platform::Lambda)];
    let key = spelled(&fields, "Type", "type");
    let kind = fields.require(report, key, "write AWS::ECS::Service or AWS::Lambda::Function");
    let platform = kind.and_then(|node| report.choice(node, &fields.join(key), &choices));
    let key = spelled(&fields, "Properties", "properties");
    let node = fields.require(report, key, "describe the resource below `Properties:`");
    let path = fields.join(key);
    fields.finish(report);
    let (platform, node) = (platform?, node?);
    let shape = shape(platform);
    let mut properties = BTreeMap::new();
    flatten(report, node, &path, "", shape, &mut properties);
    for key in shape.required {
        if !properties.contains_key(*key) {
            let message = format!("`{path}.{key}` is missing");
            report.error(node.at, codes::RESOURCE, message, "CodeDeploy refuses it without");
        }
    }
    let kind = if platform == Platform::Lambda { LAMBDA } else { ECS };
    Some((platform, Resource { name: name.to_owned(), r#type: kind.to_owned(), properties }))
}

/// Single values two levels deep, with a warning at template text.
fn flatten(
    report: &mut Report,
    node: &Node,
    path: &str,
    prefix: &str,
    shape: &Shape,
    into: &mut BTreeMap<String, String>,
) {
    let Value::Map(entries) = &node.value else { return };
    for entry in entries {
        let Some(key) = entry.key.text() else { continue };
        let full = format!("{prefix}{key}");
        let known = shape.spelling(&full);
        if known.is_none() && prefix.is_empty() {
            let message = format!("`{path}` has no key `{key}`; it is ignored");
            let tops: Vec<&str> = shape.required.iter().chain(shape.other).copied().collect();
            let tops: Vec<&str> = tops.into_iter().filter(|name| !name.contains('.')).collect();
            report.warn(entry.key.at, codes::UNKNOWN_KEY, message, suggest::help(key, &tops));
        }
        let full = known.map_or(full, str::to_owned);
        if let Some(tag) = &entry.value.tag {
            report.foreign_tag(entry.value.at, tag);
        }
        match &entry.value.value {
            Value::Scalar { text, .. } if !entry.value.is_null() => {
                placeholder(report, entry.value.at, text);
                into.insert(full, text.clone());
            }
            Value::Map(_) if prefix.is_empty() => {
                flatten(report, &entry.value, path, &format!("{full}."), shape, into);
            }
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {}
        }
    }
}

fn placeholder(report: &mut Report, at: Mark, text: &str) {
    if text.starts_with('<') && text.ends_with('>') || text.starts_with("${") {
        let message = format!("'{text}' is a placeholder, valid once it is replaced");
        report.warn(at, codes::PLACEHOLDER, message, "replace it before the deployment");
    }
}
