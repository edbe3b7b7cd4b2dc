//! `env`: variables, secrets, and what goes back to the pipeline.

use crate::spec::buildspec::{Env, lists};
use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::yaml::{Mark, Node, Value};
use std::collections::BTreeMap;

/// The shells the guide names.
const SHELLS: [&str; 4] = ["bash", "/bin/sh", "powershell.exe", "cmd.exe"];

pub(super) fn read(report: &mut Report, node: &Node) -> Env {
    let Some(mut fields) = Fields::open(report, node, "env") else { return Env::default() };
    let shell = fields.get("shell").and_then(|node| shell(report, node));
    let mut seen = BTreeMap::new();
    let mut section = |report: &mut Report, key: &'static str| -> Vec<(String, Mark, String)> {
        let Some(node) = fields.get(key) else { return Vec::new() };
        let pairs = scalars(report, node, &fields.join(key));
        for (name, at, _) in &pairs {
            check_name(report, *at, name);
            if let Some(other) = seen.insert(name.clone(), key) {
                let message = format!("`{name}` is set by both `{other}` and `{key}`");
                report.warn(*at, codes::DUPLICATE_VARIABLE, message, "keep one of the two");
            }
        }
        pairs
    };
    let variables = section(report, "variables");
    let parameter_store = section(report, "parameter-store");
    let secrets_manager = section(report, "secrets-manager");
    for (name, at, value) in &variables {
        check_literal(report, *at, name, value);
    }
    for (_, at, reference) in &secrets_manager {
        check_secret(report, *at, reference);
    }
    for (name, at, value) in &parameter_store {
        if value.trim().is_empty() {
            let message = format!("`env.parameter-store.{name}` names no parameter");
            let help = "write the parameter's name";
            report.error(*at, codes::SECRET_REFERENCE, message, help);
        }
    }
    let secret = |name: &str| {
        parameter_store.iter().chain(&secrets_manager).any(|(other, ..)| other == name)
    };
    let exported_variables = exported(report, &mut fields, secret);
    let helper = fields.get("git-credential-helper");
    let helper = helper.and_then(|n| report.boolean(n, "env.git-credential-helper"));
    finish(report, fields);
    let plain = |pairs: Vec<(String, Mark, String)>| {
        pairs.into_iter().map(|(name, _, value)| (name, value)).collect()
    };
    Env {
        shell,
        variables: plain(variables),
        parameter_store: plain(parameter_store),
        secrets_manager: plain(secrets_manager),
        exported_variables,
        git_credential_helper: helper.unwrap_or(false),
    }
}

/// Variables outside `env.variables`, by the same rules.
pub(super) fn variables(report: &mut Report, node: &Node, path: &str) -> BTreeMap<String, String> {
    let pairs = scalars(report, node, path);
    for (name, at, value) in &pairs {
        check_name(report, *at, name);
        check_literal(report, *at, name, value);
    }
    pairs.into_iter().map(|(name, _, value)| (name, value)).collect()
}

fn shell(report: &mut Report, node: &Node) -> Option<String> {
    let shell = report.word(node, "env.shell")?;
    if !SHELLS.contains(&shell.as_str()) {
        let message = format!("`env.shell`: '{shell}' is not a documented shell");
        let help = "write bash or /bin/sh; on Windows powershell.exe or cmd.exe";
        report.warn(node.at, codes::SHELL, message, help);
    }
    Some(shell)
}

fn exported(
    report: &mut Report,
    fields: &mut Fields<'_>,
    is_secret: impl Fn(&str) -> bool,
) -> Vec<String> {
    let Some(node) = fields.get("exported-variables") else { return Vec::new() };
    let path = fields.join("exported-variables");
    let names = lists::placed(report, node, &path);
    for (at, name) in &names {
        if name.starts_with("AWS_") {
            let message = format!("`{name}` cannot be exported: names starting AWS_ are reserved");
            report.warn(*at, codes::RESERVED_VARIABLE, message, "export it by another name");
        } else if is_secret(name) {
            let message = format!("`{name}` is a secret; exported, the pipeline would show it");
            let help = "read it from the secret store where it is needed";
            report.warn(*at, codes::EXPORTED_SECRET, message, help);
        } else {
            report.variable_name(*at, name, &path);
        }
    }
    names.into_iter().map(|(_, name)| name).collect()
}

pub(super) fn scalars(report: &mut Report, node: &Node, path: &str) -> Vec<(String, Mark, String)> {
    match &node.value {
        Value::List(_) => {
            lists::open(report, node, path);
            Vec::new()
        }
        Value::Map(_) | Value::Scalar { .. } => report.scalars(node, path),
    }
}

/// A variable straight below `env` is a variable at the wrong place.
fn finish(report: &mut Report, fields: Fields<'_>) {
    let fits = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let mut answered = Vec::new();
    for (key, at, _) in fields.unknown() {
        if key.bytes().all(fits) && !key.is_empty() {
            answered.push(key);
            let message = format!("`env` has no key `{key}`; it is ignored");
            let help = format!("indent `{key}` below `variables:`");
            report.warn(at, codes::UNKNOWN_KEY, message, help);
        }
    }
    lists::finish(report, fields, answered);
}

pub(super) fn check_name(report: &mut Report, at: Mark, name: &str) {
    if name.starts_with("CODEBUILD_") {
        let message = format!("`{name}`: names starting CODEBUILD_ belong to the build service");
        report.warn(at, codes::RESERVED_VARIABLE, message, "choose another name");
    } else {
        report.variable_name(at, name, "env");
    }
}

/// A value is never expanded, so `PATH: "$PATH:/x"` destroys PATH.
fn check_literal(report: &mut Report, at: Mark, name: &str, value: &str) {
    let refers = value.match_indices('$').any(|(index, _)| {
        let next = value[index + 1..].chars().next();
        next.is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '_' | '{' | '('))
    });
    if refers {
        let message = format!("the value of `{name}` is literal: nothing after `$` is expanded");
        let help = format!("write `- export {name}=…` as a command to have it expanded");
        report.warn(at, codes::LITERAL_VALUE, message, help);
    }
}

/// `secret-id[:json-key[:version-stage[:version-id]]]`, where the id may be an ARN with colons of
/// its own (CodeBuild user guide, `env/secrets-manager`).
fn check_secret(report: &mut Report, at: Mark, reference: &str) {
    let rest = match reference.strip_prefix("arn:") {
        // partition, service, region, account, the word "secret"; then the name.
        Some(arn) => arn.splitn(6, ':').nth(5).unwrap_or(""),
        None => reference,
    };
    let parts: Vec<&str> = rest.split(':').collect();
    let wrong = match parts.as_slice() {
        [id, ..] if id.trim().is_empty() => "it names no secret",
        [_, _, stage, id] if !stage.is_empty() && !id.is_empty() => {
            "version stage and version id exclude each other"
        }
        [_, _, _, _, _, ..] => "it has more than four parts",
        _ => return,
    };
    let message = format!("'{reference}' is not a secret reference: {wrong}");
    let help = "write secret-id, secret-id:json-key or secret-id:json-key:version-stage";
    report.error(at, codes::SECRET_REFERENCE, message, help);
}
