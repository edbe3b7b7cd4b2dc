//! `batch`: one project, many builds. Read only when a batch is started.

use crate::spec::buildspec::{lists, matrix, tasks};
use crate::spec::codes;
use crate::spec::decode::Report;
use crate::spec::yaml::{Node, Value};
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

/// Every combination of these values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DynamicMatrix {
    /// Files to build by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "crate::spec::schema::words::OneOrMany<String>")]
    pub buildspec: Vec<String>,
    /// What the builds run in.
    #[serde(default)]
    pub env: DynamicEnv,
}

/// The values of each key, of which every build has one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct DynamicEnv {
    /// Sizes of the machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "crate::spec::schema::words::OneOrMany<String>")]
    pub compute_type: Vec<String>,
    /// Docker images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "crate::spec::schema::words::OneOrMany<String>")]
    pub image: Vec<String>,
    /// Each variable with all its values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, crate::spec::schema::words::OneOrMany<String>>")]
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

/// More builds than this CodeBuild does not start in one batch.
pub(super) const BUILDS_MAX: usize = 100;

impl Batch {
    /// How many builds one start makes.
    #[must_use]
    pub fn builds(&self) -> usize {
        let matrix = self.build_matrix.as_ref().map_or(0, Matrix::builds);
        let fanout = self.build_fanout.as_ref().map_or(0, |fanout| fanout.parallelism as usize);
        [self.build_list.len(), self.build_graph.len(), matrix, fanout]
            .into_iter()
            .max()
            .unwrap_or(0)
    }

    /// The first build that would use this file's own phases, if there is one.
    pub(super) fn without_buildspec(&self) -> Option<&str> {
        let mut tasks = self.build_list.iter().chain(&self.build_graph);
        let matrix = self.build_matrix.as_ref();
        match tasks.find(|task| task.buildspec.is_none()) {
            Some(task) => Some(&task.identifier),
            None if self.build_fanout.is_some() => Some("build-fanout"),
            None if matrix.is_some_and(|m| m.dynamic.buildspec.is_empty()) => Some("build-matrix"),
            None => None,
        }
    }
}

impl Matrix {
    /// How many combinations there are; a key without values counts as absent.
    #[must_use]
    pub fn builds(&self) -> usize {
        let env = &self.dynamic.env;
        let lists = [&self.dynamic.buildspec, &env.compute_type, &env.image];
        let counts = lists.into_iter().chain(env.variables.values()).map(|list| list.len().max(1));
        counts.fold(1, usize::saturating_mul)
    }
}

pub(super) fn read(report: &mut Report, node: &Node) -> Option<Batch> {
    let mut fields = lists::open(report, node, "batch")?;
    let fast_fail = fields.get("fast-fail");
    let fast_fail = fast_fail.and_then(|node| report.boolean(node, "batch.fast-fail"));
    let mut shapes = Vec::new();
    let mut idle = true;
    let mut shape = |key| {
        let node = fields.get(key)?;
        idle &= matches!(&node.value, Value::List(items) if items.is_empty());
        shapes.push(key);
        Some(node)
    };
    let list = shape("build-list").map(|node| tasks::read(report, node, "batch.build-list", false));
    let graph =
        shape("build-graph").map(|node| tasks::read(report, node, "batch.build-graph", true));
    let matrix = shape("build-matrix").and_then(|node| matrix::read(report, node));
    let fanout = shape("build-fanout").and_then(|node| matrix::fanout(report, node));
    if shapes.len() > 1 {
        let message = format!("`batch` has {}; one of them is used", shapes.join(" and "));
        report.warn(node.at, codes::IGNORED_KEY, message, "keep one of them");
    }
    let place = shapes.first().and_then(|key| fields.key_at(key)).unwrap_or(node.at);
    fields.finish(report);
    let batch = Batch {
        fast_fail: fast_fail.unwrap_or(false),
        build_list: list.unwrap_or_default(),
        build_graph: graph.unwrap_or_default(),
        build_matrix: matrix,
        build_fanout: fanout,
    };
    let builds = batch.builds();
    if idle {
        let help = "list a task in `build-list` or `build-graph`, or write `build-matrix`";
        report.warn(place, codes::BATCH_SIZE, "`batch` makes no build at all", help);
    } else if builds > BUILDS_MAX {
        let message =
            format!("`batch` makes {builds} builds; CodeBuild starts at most {BUILDS_MAX}");
        report.warn(place, codes::BATCH_SIZE, message, "split it into several batches");
    }
    Some(batch)
}
