//! `phases`: what runs, in which order, and what a failure does.

use crate::spec::buildspec::read::{Command, FoundPhases, TOP_KEYS};
use crate::spec::buildspec::{OnFailure, Phase, PhaseName, Phases, commands, lists};
use crate::spec::codes;
use crate::spec::decode::{Fields, Report, suggest};
use crate::spec::yaml::{Mark, Node, Value};
use regex_automata::meta::Regex;
use std::collections::BTreeMap;

/// How large a pattern of `on-failure` may become; the agent has the same bound.
const PATTERN_MAX: usize = 1 << 20;

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

fn phase(
    report: &mut Report,
    commands: &mut Vec<Command>,
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
        Some(node) => runtimes(report, node, &fields.join("runtime-versions")),
        None => Default::default(),
    };
    if name != PhaseName::Install && !runtime_versions.is_empty() {
        let at = fields.key_at("runtime-versions").unwrap_or(at);
        let message = "only the `install` phase has `runtime-versions`; it is ignored here";
        report.warn(at, codes::MISPLACED_KEY, message, "move it below `install:`");
    }
    let steps =
        fields.get("steps").map(|node| super::steps::read(report, node, &fields.join("steps")));
    let mut list = Vec::new();
    commands::read(report, &mut fields, name, &mut list, "commands");
    let mut finally = Vec::new();
    commands::read(report, &mut fields, name, &mut finally, "finally");
    let steps = steps.unwrap_or_default();
    check_commands(report, &fields, name, at, !list.is_empty(), !steps.is_empty());
    lists::finish(report, fields, Vec::new());
    let texts = |list: &[Command]| list.iter().map(|(.., text)| text.clone()).collect();
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
    } else if there.is_none()
        && !steps
        && name != PhaseName::Install
        && fields.key_at("finally").is_none()
    {
        let message = format!("phase `{}` has no `commands`", name.key());
        report.warn(at, codes::EMPTY_SECTION, message, "add `commands:` with at least one entry");
    }
}

fn on_failure(report: &mut Report, node: &Node) -> Option<OnFailure> {
    let text = report.word(node, "on-failure")?;
    match text.parse() {
        Ok(on_failure) => {
            if let OnFailure::Retry { pattern: Some(pattern), .. } = &on_failure {
                check_pattern(report, node.at, pattern);
            }
            Some(on_failure)
        }
        Err(error) => {
            let message = format!("`on-failure: {text}` means nothing");
            let upper = text.to_ascii_uppercase();
            let help = match upper.parse::<OnFailure>() {
                Ok(_) if upper != text => format!("write {upper}"),
                _ => error.to_string(),
            };
            report.error(node.at, codes::BAD_VALUE, message, help);
            None
        }
    }
}

/// A pattern the agent could not use would fail the build only when an agent has it.
fn check_pattern(report: &mut Report, at: Mark, pattern: &str) {
    let config = Regex::config().nfa_size_limit(Some(PATTERN_MAX));
    if let Err(error) = Regex::builder().configure(config).build(pattern) {
        let detail = error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
        let why = detail.lines().last().unwrap_or_default().trim_start_matches("error: ");
        let message = format!("`on-failure`: '{pattern}' is no regular expression: {why}");
        let help = "put `\\` before a bracket, `+`, `*` or `?` that means itself";
        report.error(at, codes::BAD_VALUE, message, help);
    }
}

/// Names of the curated images' runtimes (CodeBuild user guide, "Available runtimes"); they refuse
/// any other.
const RUNTIMES: [&str; 9] =
    ["android", "docker", "dotnet", "golang", "java", "nodejs", "php", "python", "ruby"];

fn runtimes(report: &mut Report, node: &Node, path: &str) -> BTreeMap<String, String> {
    let pairs = super::env::scalars(report, node, path);
    for (name, at, version) in &pairs {
        if !RUNTIMES.contains(&name.as_str()) {
            let message = format!("`{path}`: CodeBuild has no runtime `{name}`");
            // `node` and `go` are too short for a slip of the pen.
            let whole = RUNTIMES.iter().find(|whole| whole.starts_with(&name.to_lowercase()));
            let help =
                whole.map_or_else(|| suggest::help(name, &RUNTIMES), |w| format!("write `{w}`"));
            report.warn(*at, codes::UNKNOWN_NAME, message, help);
        } else if version.is_empty() {
            let message = format!("`{path}.{name}` names no version");
            report.warn(*at, codes::EMPTY_SECTION, message, format!("write `{name}: latest`"));
        }
    }
    pairs.into_iter().map(|(name, _, version)| (name, version)).collect()
}
