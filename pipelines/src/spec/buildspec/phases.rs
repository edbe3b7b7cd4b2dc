//! `phases`: what runs, in which order, and what a failure does.

use crate::spec::buildspec::read::{FoundPhases, TOP_KEYS};
use crate::spec::buildspec::{OnFailure, Phase, PhaseName, Phases, Step};
use crate::spec::codes;
use crate::spec::decode::{Fields, Report, suggest};
use crate::spec::yaml::{Mark, Node, Value};

pub(super) fn read(report: &mut Report, node: &Node) -> Option<FoundPhases> {
    let mut fields = Fields::open(report, node, "phases")?;
    let mut found = FoundPhases { phases: Phases::default(), any: false, commands: Vec::new() };
    for name in PhaseName::ALL {
        let Some(node) = fields.get_or_null(name.key()) else { continue };
        let at = fields.key_at(name.key()).unwrap_or(node.at);
        found.any = true;
        let phase = phase(report, &mut found.commands, name, at, node);
        *match name {
            PhaseName::Install => &mut found.phases.install,
            PhaseName::PreBuild => &mut found.phases.pre_build,
            PhaseName::Build => &mut found.phases.build,
            PhaseName::PostBuild => &mut found.phases.post_build,
        } = phase;
    }
    fields.note_keys(report);
    unknown(report, &fields);
    Some(found)
}

/// CodeBuild ignores what is not one of its phases; the author meant something by it.
fn unknown(report: &mut Report, fields: &Fields<'_>) {
    let names: Vec<&str> = PhaseName::ALL.iter().map(|name| name.key()).collect();
    for (key, at, _) in fields.unknown() {
        if TOP_KEYS.contains(&key) {
            let message = format!("`{key}` is indented into `phases`; it is ignored there");
            report.warn(at, codes::MISPLACED_KEY, message, format!("put `{key}` at the margin"));
        } else if matches!(key, "commands" | "finally" | "runtime-versions" | "on-failure") {
            let message = format!("`{key}` stands beside the phases; it is ignored there");
            let help = "indent it below the phase it belongs to".to_owned();
            report.warn(at, codes::MISPLACED_KEY, message, help);
        } else {
            let message = format!("there is no phase `{key}`; it is never run");
            report.warn(at, codes::UNKNOWN_PHASE, message, suggest::help(key, &names));
        }
    }
}

type Commands = Vec<(PhaseName, Mark, String)>;

fn phase(
    report: &mut Report,
    commands: &mut Commands,
    name: PhaseName,
    at: Mark,
    node: &Node,
) -> Option<Phase> {
    let path = format!("phases.{}", name.key());
    if node.is_null() {
        let message = format!("phase `{}` is empty", name.key());
        report.warn(at, codes::EMPTY_SECTION, message, "add `commands:`, or remove the phase");
        return Some(Phase::default());
    }
    if matches!(&node.value, Value::List(_)) {
        let message = format!("phase `{}` is a list, a mapping is wanted", name.key());
        report.error(node.at, codes::WRONG_TYPE, message, "put `commands:` above the list");
        return None;
    }
    let mut fields = Fields::open(report, node, &path)?;
    let run_as = fields.get("run-as").and_then(|node| report.word(node, &fields.join("run-as")));
    let on_failure = fields.get("on-failure").and_then(|node| on_failure(report, node));
    let runtime_versions = match fields.get("runtime-versions") {
        Some(node) => report.scalar_map(node, &fields.join("runtime-versions")),
        None => Default::default(),
    };
    if name != PhaseName::Install && !runtime_versions.is_empty() {
        let at = fields.key_at("runtime-versions").unwrap_or(at);
        let message = "only the `install` phase has `runtime-versions`; it is ignored here";
        report.warn(at, codes::MISPLACED_KEY, message, "move it below `install:`");
    }
    let steps = fields.get("steps").map(|node| steps(report, node, &fields.join("steps")));
    let mut list = Vec::new();
    read_commands(report, &mut fields, name, &mut list, "commands");
    let mut finally = Vec::new();
    read_commands(report, &mut fields, name, &mut finally, "finally");
    let steps = steps.unwrap_or_default();
    check_commands(report, &fields, name, at, !list.is_empty(), !steps.is_empty());
    fields.finish(report);
    let texts = |list: &Commands| list.iter().map(|(.., text)| text.clone()).collect();
    let phase = Phase {
        run_as,
        on_failure: on_failure.unwrap_or_default(),
        commands: texts(&list),
        finally: texts(&finally),
        runtime_versions,
        steps,
    };
    commands.extend(list);
    commands.extend(finally);
    Some(phase)
}

fn check_commands(
    report: &mut Report,
    fields: &Fields<'_>,
    name: PhaseName,
    at: Mark,
    commands: bool,
    steps: bool,
) {
    let there = fields.key_at("commands");
    if steps && commands {
        let message = format!("phase `{}` has both `steps` and `commands`", name.key());
        report.warn(at, codes::STEPS_AND_COMMANDS, message, "keep one of the two");
    } else if there.is_none() && !steps && name != PhaseName::Install {
        let message = format!("phase `{}` has no `commands`", name.key());
        report.warn(at, codes::EMPTY_SECTION, message, "add `commands:` with at least one entry");
    }
}

fn on_failure(report: &mut Report, node: &Node) -> Option<OnFailure> {
    let text = report.word(node, "on-failure")?;
    match text.parse() {
        Ok(on_failure) => Some(on_failure),
        Err(error) => {
            let message = format!("`on-failure: {text}` means nothing");
            report.error(node.at, codes::BAD_VALUE, message, error.to_string());
            None
        }
    }
}

/// A list of commands. One list item is one command, however many lines it has.
fn read_commands(
    report: &mut Report,
    fields: &mut Fields<'_>,
    name: PhaseName,
    commands: &mut Commands,
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
            let first = entries.first();
            let key = first.and_then(|entry| entry.key.text()).unwrap_or("");
            let value = first.and_then(|entry| entry.value.text()).unwrap_or("…");
            let message =
                format!("`{path}` is a mapping: YAML took `: ` after `{}` for a key", short(key));
            let help = format!("quote it: '{}'", short(&format!("{key}: {value}")));
            report.error(node.at, codes::COMMAND_IS_MAPPING, message, help);
            None
        }
        Value::List(_) => {
            let message = format!("`{path}` is a list: YAML took a bracket or dash for one");
            let help = "quote the command, or write it in a `- |` block";
            report.error(node.at, codes::COMMAND_IS_LIST, message, help);
            None
        }
    }
}

/// Enough of a command to recognise it, fit for single quotes.
fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or("").replace('\'', "''");
    match line.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

fn steps(report: &mut Report, node: &Node, path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for (index, item) in report.list(node, path).iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(mut fields) = Fields::open(report, item, &path) else { continue };
        let mut text = |report: &mut Report, key| {
            let node = fields.get(key)?;
            report.text(node, &fields.join(key))
        };
        let (name, uses, run) = (text(report, "name"), text(report, "uses"), text(report, "run"));
        let mut map = |report: &mut Report, key| match fields.get(key) {
            Some(node) => report.scalar_map(node, &fields.join(key)),
            None => Default::default(),
        };
        let (with, env) = (map(report, "with"), map(report, "env"));
        for key in ["id", "if", "shell", "working-directory", "continue-on-error"] {
            fields.allow(key);
        }
        if uses.is_none() && run.is_none() {
            let help = "write `uses: owner/action@version` or `run: command`";
            report.error(item.at, codes::MISSING_KEY, format!("`{path}` does nothing"), help);
        }
        fields.finish(report);
        steps.push(Step { name, uses, run, with, env });
    }
    steps
}
