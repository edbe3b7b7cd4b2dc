//! Steps of a canary.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::group::Amount;
use crate::spec::group::strategy::read::{flag, percent, time};
use crate::spec::group::strategy::{CanaryStep, Shape, Strategy};
use crate::spec::yaml::Node;
use crate::time::Millis;

pub(super) fn read(report: &mut Report, fields: &mut Fields<'_>) -> Option<Shape> {
    let help = "list the steps: `steps: [{weight: 10, hold: 5m}]`";
    let node = fields.require(report, "steps", help);
    let bake = time(report, fields, "bake", Millis::ZERO);
    let node = node?;
    let items = report.short_list(node, "strategy.canary.steps");
    if items.is_empty() && node.text().is_none() {
        report.error(node.at, codes::MISSING_KEY, "a canary without steps", help);
    }
    let mut shape = Shape::from(Strategy::AllAtOnce);
    let mut steps = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("strategy.canary.steps[{index}]");
        let Some(step) = step(report, item, &path, &mut shape) else { continue };
        check_step(report, item, steps.last(), &step);
        // What follows the last step is the bake time.
        let held = step.hold > Millis::ZERO
            || index + 1 == items.len() && bake.is_some_and(|bake| bake > Millis::ZERO);
        if !held && !step.approve && step.min_samples.is_none() {
            shape.hasty.push(item.at);
        }
        steps.push(step);
    }
    Some(Shape { strategy: Strategy::Canary { steps, bake: bake? }, ..shape })
}

fn step(report: &mut Report, node: &Node, path: &str, shape: &mut Shape) -> Option<CanaryStep> {
    let mut fields = Fields::open(report, node, path)?;
    let weight = fields.require(report, "weight", "say how many percent of the traffic");
    let weight = weight.and_then(|node| percent(report, node, &fields.join("weight"), 100));
    let hosts = fields.get("hosts").and_then(|n| report.amount(n, &fields.join("hosts")));
    let hold = time(report, &mut fields, "hold", Millis::ZERO);
    let samples = fields.get("min-samples");
    let min_samples =
        samples.and_then(|n| report.number(n, &fields.join("min-samples"), 1..=1_000_000));
    shape.samples = shape.samples.or(samples.and(fields.key_at("min-samples")));
    let mut analyse = Vec::new();
    if let Some(node) = fields.get("analyse") {
        let path = fields.join("analyse");
        for item in report.short_list(node, &path) {
            let Some(name) = report.name(item, &path) else { continue };
            shape.analysed.push((item.at, name.clone()));
            analyse.push(name);
        }
    }
    let approve = flag(report, &mut fields, "approve");
    fields.finish(report);
    Some(CanaryStep { weight: weight?, hosts, hold: hold?, min_samples, analyse, approve })
}

fn check_step(report: &mut Report, node: &Node, before: Option<&CanaryStep>, step: &CanaryStep) {
    match before {
        Some(CanaryStep { weight: 100, .. }) => {
            let message = "a step after 100 % of the traffic has nothing left to do";
            let help = "remove it; to watch for a while, write `bake: 10m` beside `steps`";
            report.error(node.at, codes::BAD_VALUE, message, help);
        }
        Some(before) if step.weight <= before.weight => {
            let message = format!("weight {} does not grow from {}", step.weight, before.weight);
            report.error(node.at, codes::BAD_VALUE, message, "let every step weigh more");
        }
        _ => {}
    }
    if let Some(Amount::Percent(share)) = step.hosts
        && share < step.weight
    {
        let message =
            format!("{share} % of the hosts cannot carry {} % of the traffic", step.weight);
        let help = format!("write `hosts: {}%`, or leave it out", step.weight);
        report.error(node.at, codes::CAPACITY, message, help);
    }
}
