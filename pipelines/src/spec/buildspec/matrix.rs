//! Batches whose builds are counted out: every combination of some values, or equal shares.

use crate::spec::buildspec::{DynamicEnv, DynamicMatrix, Fanout, Matrix, StaticMatrix, tasks};
use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::yaml::{Node, Value};
use std::collections::BTreeMap;

/// CodeBuild's own bound on parallel copies is not documented; this one only stops slips.
const PARALLELISM_MAX: u32 = 100;

pub(super) fn read(report: &mut Report, node: &Node) -> Option<Matrix> {
    let mut fields = Fields::open(report, node, "batch.build-matrix")?;
    let fixed = fields.get("static").and_then(|node| {
        let mut fields = Fields::open(report, node, "batch.build-matrix.static")?;
        let ignore = fields.get("ignore-failure");
        let ignore = ignore.and_then(|n| report.boolean(n, &fields.join("ignore-failure")));
        let env = fields.get("env").and_then(|n| tasks::env(report, n, &fields.join("env")));
        fields.finish(report);
        Some(StaticMatrix { ignore_failure: ignore.unwrap_or(false), env: env.unwrap_or_default() })
    });
    let dynamic = match fields.get("dynamic") {
        Some(node) => dynamic(report, node),
        None => {
            let message = "`batch.build-matrix` has no `dynamic`: there is nothing to combine";
            let help = "write `dynamic:`, `env:` and lists of values below it";
            report.warn(node.at, codes::BATCH_SIZE, message, help);
            None
        }
    };
    fields.finish(report);
    Some(Matrix { r#static: fixed.unwrap_or_default(), dynamic: dynamic.unwrap_or_default() })
}

fn dynamic(report: &mut Report, node: &Node) -> Option<DynamicMatrix> {
    let mut fields = Fields::open(report, node, "batch.build-matrix.dynamic")?;
    let buildspec = values(report, &mut fields, "buildspec");
    let env = fields.get("env").and_then(|node| {
        let mut env = Fields::open(report, node, &fields.join("env"))?;
        let compute_type = values(report, &mut env, "compute-type");
        let image = values(report, &mut env, "image");
        let mut variables = BTreeMap::new();
        if let Some(node) = env.get("variables")
            && let Some(names) = Fields::open(report, node, &env.join("variables"))
        {
            for (name, at, node) in names.entries() {
                super::env::check_name(report, at, name);
                variables.insert(name.to_owned(), choices(report, node, &names.join(name)));
            }
        }
        env.finish(report);
        Some(DynamicEnv { compute_type, image, variables })
    });
    fields.finish(report);
    Some(DynamicMatrix { buildspec, env: env.unwrap_or_default() })
}

fn values(report: &mut Report, fields: &mut Fields<'_>, key: &'static str) -> Vec<String> {
    let path = fields.join(key);
    fields.get(key).map(|node| choices(report, node, &path)).unwrap_or_default()
}

/// The values of one key; without any there is no combination at all.
fn choices(report: &mut Report, node: &Node, path: &str) -> Vec<String> {
    let values = report.texts_or_text(node, path);
    if matches!(&node.value, Value::List(items) if items.is_empty()) {
        let message = format!("`{path}` lists no value, so there is no combination and no build");
        report.warn(node.at, codes::BATCH_SIZE, message, "add a value, or remove the key");
    }
    values
}

pub(super) fn fanout(report: &mut Report, node: &Node) -> Option<Fanout> {
    let mut fields = Fields::open(report, node, "batch.build-fanout")?;
    let parallelism = fields.require(report, "parallelism", "say how many copies run");
    let parallelism = parallelism
        .and_then(|n| report.number(n, &fields.join("parallelism"), 1..=PARALLELISM_MAX));
    let ignore = fields.get("ignore-failure");
    let ignore = ignore.and_then(|n| report.boolean(n, &fields.join("ignore-failure")));
    fields.finish(report);
    Some(Fanout { parallelism: parallelism?, ignore_failure: ignore.unwrap_or(false) })
}
