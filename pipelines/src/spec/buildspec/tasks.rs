//! The tasks of a batch: lists, graphs, and what one build runs in.

use crate::spec::buildspec::batch::BUILDS_MAX;
use crate::spec::buildspec::{BatchEnv, BatchTask, lists};
use crate::spec::codes;
use crate::spec::decode::{Fields, Report, suggest};
use crate::spec::graph;
use crate::spec::yaml::{Mark, Node};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn read(report: &mut Report, node: &Node, path: &str, graph: bool) -> Vec<BatchTask> {
    let mut tasks: Vec<BatchTask> = Vec::new();
    let mut places = Vec::new();
    let mut names = BTreeSet::new();
    for (index, item) in report.list(node, path).iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some((task, needs)) = task(report, item, &path, graph) else { continue };
        if !names.insert(task.identifier.clone()) {
            let message = format!("two tasks have the identifier '{}'", task.identifier);
            report.error(item.at, codes::BATCH_IDENTIFIER, message, "rename one of them");
        }
        tasks.push(task);
        places.push(needs);
    }
    // A list has no order, so its `depend-on` was answered already.
    if graph {
        check_graph(report, node.at, &tasks, &places, &names);
    }
    tasks
}

fn check_graph(
    report: &mut Report,
    at: Mark,
    tasks: &[BatchTask],
    places: &[Vec<Mark>],
    names: &BTreeSet<String>,
) {
    for (task, needs) in tasks.iter().zip(places) {
        for (name, at) in task.depend_on.iter().zip(needs).filter(|pair| !names.contains(pair.0)) {
            // Nobody means the task itself; and looking for the nearest of many names costs.
            let others = names.iter().filter(|other| **other != task.identifier);
            let help = if names.len() > BUILDS_MAX {
                "write the identifier of a task".to_owned()
            } else {
                suggest::help(name, &others.map(String::as_str).collect::<Vec<_>>())
            };
            let message = format!("'{}' depends on '{name}', which is not a task", task.identifier);
            report.error(*at, codes::UNKNOWN_NAME, message, help);
        }
    }
    let edges: Vec<(&str, &[String])> =
        tasks.iter().map(|task| (task.identifier.as_str(), task.depend_on.as_slice())).collect();
    if let Some(cycle) = graph::cycle(&edges) {
        let message = format!("tasks wait for each other: {}", cycle.join(" → "));
        report.error(at, codes::CYCLE, message, "remove one `depend-on` of these");
    }
}

/// The task, and where each name of its `depend-on` stands.
fn task(
    report: &mut Report,
    node: &Node,
    path: &str,
    graph: bool,
) -> Option<(BatchTask, Vec<Mark>)> {
    let mut fields = Fields::open(report, node, path)?;
    let identifier = fields.require(report, "identifier", "name the task: letters, digits, `_`");
    let identifier =
        identifier.and_then(|n| Some((n.at, report.word(n, &fields.join("identifier"))?)));
    if let Some((at, text)) = &identifier
        && !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    {
        let message =
            format!("identifier '{text}': CodeBuild refuses all but letters, digits, `_`");
        report.warn(*at, codes::BATCH_IDENTIFIER, message, "write `_` instead");
    }
    let buildspec = fields.get("buildspec").and_then(|n| report.text(n, &fields.join("buildspec")));
    let mut flag = |report: &mut Report, key| {
        let node = fields.get(key)?;
        report.boolean(node, &fields.join(key))
    };
    let debug_session = flag(report, "debug-session").unwrap_or(false);
    let ignore_failure = flag(report, "ignore-failure").unwrap_or(false);
    let env = fields.get("env").and_then(|node| env(report, node, &fields.join("env")));
    let depend_on = match fields.get("depend-on") {
        Some(node) => {
            if !graph {
                let message = "`depend-on` has no effect in a list";
                report.warn(node.at, codes::IGNORED_KEY, message, "write `build-graph` instead");
            }
            lists::placed(report, node, &fields.join("depend-on"))
        }
        None => Vec::new(),
    };
    fields.finish(report);
    let (_, identifier) = identifier?;
    let env = env.unwrap_or_default();
    let (places, depend_on) = depend_on.into_iter().unzip();
    let task = BatchTask { identifier, buildspec, debug_session, env, ignore_failure, depend_on };
    Some((task, places))
}

pub(super) fn env(report: &mut Report, node: &Node, path: &str) -> Option<BatchEnv> {
    let mut fields = Fields::open(report, node, path)?;
    let mut word = |report: &mut Report, key| {
        let node = fields.get(key)?;
        report.word(node, &fields.join(key))
    };
    let compute_type = word(report, "compute-type");
    let fleet = word(report, "fleet");
    let image = word(report, "image");
    let kind = word(report, "type");
    let privileged = fields.get("privileged-mode");
    let privileged = privileged.and_then(|n| report.boolean(n, &fields.join("privileged-mode")));
    let variables = match fields.get("variables") {
        Some(node) => super::env::variables(report, node, &fields.join("variables")),
        None => BTreeMap::new(),
    };
    fields.finish(report);
    Some(BatchEnv {
        compute_type,
        fleet,
        image,
        privileged_mode: privileged,
        r#type: kind,
        variables,
    })
}
