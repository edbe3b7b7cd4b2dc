//! `batch`: one project, many builds. Read only when a batch is started.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report, suggest};
use crate::spec::graph;
use crate::spec::yaml::Node;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `batch`; at most one of the four shapes is used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Batch {
    /// Stop running siblings on the first failure.
    #[serde(default)]
    pub fast_fail: bool,
    /// All at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build_list: Vec<BatchTask>,
    /// Each when those it depends on are done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build_graph: Vec<BatchTask>,
    /// Every combination of the dynamic values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_matrix: Option<Matrix>,
    /// The same build several times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_fanout: Option<Fanout>,
}

/// One build of a list or graph.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct BatchTask {
    /// Letters, digits and `_`.
    pub identifier: String,
    /// This file where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buildspec: Option<String>,
    /// Read for AWS; not used here.
    #[serde(default)]
    pub debug_session: bool,
    /// What it runs in.
    #[serde(default)]
    pub env: BatchEnv,
    /// Whether a failure leaves the batch alone.
    #[serde(default)]
    pub ignore_failure: bool,
    /// Only in a graph: the tasks this one waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "crate::spec::schema::words::OneOrMany<String>")]
    pub depend_on: Vec<String>,
}

/// What one build of a batch runs in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct BatchEnv {
    /// AWS's size of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute_type: Option<String>,
    /// AWS's fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// The Docker image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Whether the build wants Docker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privileged_mode: Option<bool>,
    /// LINUX_CONTAINER, for example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// Name and value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

/// Every combination of the dynamic values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Matrix {
    /// What all combinations share.
    #[serde(default)]
    pub r#static: StaticMatrix,
    /// What differs.
    #[serde(default)]
    #[schemars(with = "super::matrix::DynamicForm")]
    pub dynamic: DynamicMatrix,
}

/// What all combinations of a matrix share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct StaticMatrix {
    /// Whether a failure leaves the batch alone.
    #[serde(default)]
    pub ignore_failure: bool,
    /// What they run in.
    #[serde(default)]
    pub env: BatchEnv,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "super::matrix::DynamicForm", into = "super::matrix::DynamicForm")]
pub struct DynamicMatrix {
    pub buildspec: Vec<String>,
    pub compute_type: Vec<String>,
    pub image: Vec<String>,
    pub variables: BTreeMap<String, Vec<String>>,
}

/// The same build several times, each with a share of the tests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Fanout {
    /// How many copies run.
    pub parallelism: u32,
    /// Whether a failure leaves the batch alone.
    #[serde(default)]
    pub ignore_failure: bool,
}

/// CodeBuild's own bound on parallel copies is not documented; this one only stops slips.
const PARALLELISM_MAX: u32 = 100;

pub(super) fn read(report: &mut Report, node: &Node) -> Option<Batch> {
    let mut fields = Fields::open(report, node, "batch")?;
    let fast_fail = fields.get("fast-fail");
    let fast_fail = fast_fail.and_then(|node| report.boolean(node, "batch.fast-fail"));
    let mut shapes = Vec::new();
    let mut shape = |key| {
        let node = fields.get(key)?;
        shapes.push(key);
        Some(node)
    };
    let list = shape("build-list").map(|node| tasks(report, node, "batch.build-list", false));
    let graph = shape("build-graph").map(|node| tasks(report, node, "batch.build-graph", true));
    let matrix = shape("build-matrix").and_then(|node| matrix(report, node));
    let fanout = shape("build-fanout").and_then(|node| fanout(report, node));
    if shapes.len() > 1 {
        let message = format!("`batch` has {}; one of them is used", shapes.join(" and "));
        report.warn(node.at, codes::IGNORED_KEY, message, "keep one of them");
    }
    fields.finish(report);
    Some(Batch {
        fast_fail: fast_fail.unwrap_or(false),
        build_list: list.unwrap_or_default(),
        build_graph: graph.unwrap_or_default(),
        build_matrix: matrix,
        build_fanout: fanout,
    })
}

fn tasks(report: &mut Report, node: &Node, path: &str, graph: bool) -> Vec<BatchTask> {
    let mut tasks: Vec<BatchTask> = Vec::new();
    let mut places = Vec::new();
    for (index, item) in report.list(node, path).iter().enumerate() {
        let Some(task) = task(report, item, &format!("{path}[{index}]"), graph) else { continue };
        if tasks.iter().any(|other| other.identifier == task.identifier) {
            let message = format!("two tasks have the identifier '{}'", task.identifier);
            report.error(item.at, codes::BATCH_IDENTIFIER, message, "rename one of them");
        }
        tasks.push(task);
        places.push(item.at);
    }
    let names: Vec<&str> = tasks.iter().map(|task| task.identifier.as_str()).collect();
    for (task, at) in tasks.iter().zip(&places) {
        for name in &task.depend_on {
            if !names.contains(&name.as_str()) {
                let message =
                    format!("'{}' depends on '{name}', which is not a task", task.identifier);
                report.error(*at, codes::UNKNOWN_NAME, message, suggest::help(name, &names));
            }
        }
    }
    let edges: Vec<(&str, &[String])> =
        tasks.iter().map(|task| (task.identifier.as_str(), task.depend_on.as_slice())).collect();
    if let Some(cycle) = graph::cycle(&edges) {
        let message = format!("tasks wait for each other: {}", cycle.join(" → "));
        report.error(node.at, codes::CYCLE, message, "remove one `depend-on` of these");
    }
    tasks
}

fn task(report: &mut Report, node: &Node, path: &str, graph: bool) -> Option<BatchTask> {
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
            report.texts_or_text(node, &fields.join("depend-on"))
        }
        None => Vec::new(),
    };
    fields.finish(report);
    let (_, identifier) = identifier?;
    let env = env.unwrap_or_default();
    Some(BatchTask { identifier, buildspec, debug_session, env, ignore_failure, depend_on })
}

fn env(report: &mut Report, node: &Node, path: &str) -> Option<BatchEnv> {
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

fn matrix(report: &mut Report, node: &Node) -> Option<Matrix> {
    let mut fields = Fields::open(report, node, "batch.build-matrix")?;
    let fixed = fields.get("static").and_then(|node| {
        let mut fields = Fields::open(report, node, "batch.build-matrix.static")?;
        let ignore = fields.get("ignore-failure");
        let ignore = ignore.and_then(|n| report.boolean(n, &fields.join("ignore-failure")));
        let env = fields.get("env").and_then(|n| env(report, n, &fields.join("env")));
        fields.finish(report);
        Some(StaticMatrix { ignore_failure: ignore.unwrap_or(false), env: env.unwrap_or_default() })
    });
    let dynamic = fields.get("dynamic").and_then(|node| dynamic(report, node));
    fields.finish(report);
    Some(Matrix { r#static: fixed.unwrap_or_default(), dynamic: dynamic.unwrap_or_default() })
}

fn dynamic(report: &mut Report, node: &Node) -> Option<DynamicMatrix> {
    let mut fields = Fields::open(report, node, "batch.build-matrix.dynamic")?;
    let mut matrix = DynamicMatrix::default();
    if let Some(node) = fields.get("buildspec") {
        matrix.buildspec = report.texts_or_text(node, &fields.join("buildspec"));
    }
    if let Some(node) = fields.get("env")
        && let Some(mut env) = Fields::open(report, node, &fields.join("env"))
    {
        let mut texts = |report: &mut Report, key| match env.get(key) {
            Some(node) => report.texts_or_text(node, &env.join(key)),
            None => Vec::new(),
        };
        matrix.compute_type = texts(report, "compute-type");
        matrix.image = texts(report, "image");
        if let Some(node) = env.get("variables")
            && let Some(names) = Fields::open(report, node, &env.join("variables"))
        {
            for (name, _, node) in names.entries() {
                let values = report.texts_or_text(node, &names.join(name));
                matrix.variables.insert(name.to_owned(), values);
            }
        }
        env.finish(report);
    }
    fields.finish(report);
    Some(matrix)
}

fn fanout(report: &mut Report, node: &Node) -> Option<Fanout> {
    let mut fields = Fields::open(report, node, "batch.build-fanout")?;
    let parallelism = fields.require(report, "parallelism", "say how many copies run");
    let parallelism = parallelism
        .and_then(|n| report.number(n, &fields.join("parallelism"), 1..=PARALLELISM_MAX));
    let ignore = fields.get("ignore-failure");
    let ignore = ignore.and_then(|n| report.boolean(n, &fields.join("ignore-failure")));
    fields.finish(report);
    Some(Fanout { parallelism: parallelism?, ignore_failure: ignore.unwrap_or(false) })
}
