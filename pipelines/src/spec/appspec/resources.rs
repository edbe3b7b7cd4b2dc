//! ECS and Lambda appspecs: checked as CodeDeploy checks them, with a warning that no host can run
//! them (CodeDeploy user guide, "AppSpec 'resources' section").

use crate::spec::appspec::{Appspec, Os, Platform, Resource};
use crate::spec::codes;
use crate::spec::decode::{Fields, Report, suggest};
use crate::spec::yaml::{Mark, Node, Value};
use std::collections::BTreeMap;

const ECS: &str = "AWS::ECS::Service";
const LAMBDA: &str = "AWS::Lambda::Function";

pub(super) fn read(
    report: &mut Report,
    mut top: Fields<'_>,
    version: Option<String>,
) -> Option<Appspec> {
    let at = top.key_at("Resources").unwrap_or(top.at);
    let mut resources: Vec<(Platform, Resource)> = Vec::new();
    if let Some(node) = top.require(report, "Resources", "describe what is deployed") {
        for (index, item) in report.list(node, "Resources").iter().enumerate() {
            resources.extend(named(report, item, &format!("Resources[{index}]")));
        }
    }
    // Functions called at events; nothing here runs them.
    top.allow("Hooks");
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
    let platform = resources.first().map_or(Platform::Ecs, |(platform, _)| *platform);
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
    let kind = fields.require(report, "Type", "write AWS::ECS::Service or AWS::Lambda::Function");
    let platform = kind.and_then(|node| report.choice(node, &fields.join("Type"), &choices));
    let mut properties = BTreeMap::new();
    let node = fields.require(report, "Properties", "describe the resource below `Properties:`");
    if let Some(node) = node {
        flatten(report, node, "", &mut properties);
    }
    fields.finish(report);
    let (platform, node) = (platform?, node?);
    let required: &[&str] = match platform {
        Platform::Ecs => {
            &["TaskDefinition", "LoadBalancerInfo.ContainerName", "LoadBalancerInfo.ContainerPort"]
        }
        Platform::Lambda => &["Name", "Alias", "CurrentVersion", "TargetVersion"],
        Platform::Server => &[],
    };
    for key in required {
        if !properties.contains_key(*key) {
            let message = format!("`{path}.Properties.{key}` is missing");
            report.error(node.at, codes::RESOURCE, message, "CodeDeploy refuses it without");
        }
    }
    let kind = if platform == Platform::Lambda { LAMBDA } else { ECS };
    Some((platform, Resource { name: name.to_owned(), r#type: kind.to_owned(), properties }))
}

/// Single values two levels deep, with a warning at template text.
fn flatten(report: &mut Report, node: &Node, prefix: &str, into: &mut BTreeMap<String, String>) {
    let Value::Map(entries) = &node.value else { return };
    for entry in entries {
        let Some(key) = entry.key.text() else { continue };
        match &entry.value.value {
            Value::Scalar { text, .. } if !entry.value.is_null() => {
                placeholder(report, entry.value.at, text);
                into.insert(format!("{prefix}{key}"), text.clone());
            }
            Value::Map(_) if prefix.is_empty() => {
                flatten(report, &entry.value, &format!("{key}."), into);
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
