//! Numbers that are watched during a deployment, and what makes them alarms.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::group::metric::{self, Bounds};
use crate::spec::group::{Balancer, Metric, Router, RouterMetric};
use crate::spec::print;
use crate::spec::yaml::Node;
use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// An alarm where the value is bad often enough among the last ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Monitor {
    /// Unique in the group.
    #[schemars(with = "crate::spec::schema::words::Name")]
    pub name: String,
    #[serde(flatten)]
    pub metric: Metric,
    /// Bad above this: a number, or a share such as 2%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::spec::schema::words::Share>")]
    pub fail_above: Option<f64>,
    /// Bad below this: a number, or a share such as 2%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::spec::schema::words::Share>")]
    pub fail_below: Option<f64>,
    /// How often it is asked; 30s where absent.
    #[serde(with = "print::time")]
    #[schemars(with = "Option<Millis>")]
    pub every: Millis,
    /// So many bad values
    #[schemars(with = "Option<u32>", range(min = 1, max = 100))]
    pub failures: u32,
    /// among so many of the last ones make an alarm; never fewer than `failures`.
    #[schemars(with = "Option<u32>", range(min = 1, max = 1000))]
    pub of: u32,
    /// What a missing value means.
    #[serde(default)]
    pub no_data: NoData,
    /// With fewer requests in the time looked at, a value counts as missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub min_samples: Option<u32>,
    /// Whether it only reports.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a missing value means. Never success.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub enum NoData {
    #[default]
    Hold,
    Fail,
}

/// What to do behind nginx, which has no counters of its servers.
pub(super) const COUNTED_ELSEWHERE: &str = "ask Prometheus instead (`prometheus: {url: …, query: …}` and \
    `fail-above` below `monitors`), or put HAProxy in front";

const EVERY: Millis = Millis::from_secs(30);

/// What there is for a monitor of the router to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Routed {
    NoRouter,
    /// By a balancer that counts nothing about its servers.
    Uncounted,
    Counted,
}

/// `said`: there is a router in the file; one that could not be read is one all the same.
pub(super) fn routed(router: Option<&Router>, said: bool) -> Routed {
    match router.map(|router| &router.balancer) {
        None if !said => Routed::NoRouter,
        Some(Balancer::Nginx { .. }) => Routed::Uncounted,
        _ => Routed::Counted,
    }
}

pub(super) fn read(report: &mut Report, node: &Node, routed: Routed) -> Vec<Monitor> {
    let mut monitors: Vec<Monitor> = Vec::new();
    for (index, item) in report.short_list(node, "monitors").iter().enumerate() {
        let path = format!("monitors[{index}]");
        let Some(monitor) = monitor(report, item, &path, routed) else { continue };
        if monitors.iter().any(|other| other.name == monitor.name) {
            let message = format!("two monitors are named '{}'", monitor.name);
            report.error(item.at, codes::DUPLICATE_NAME, message, "rename one of them");
        }
        monitors.push(monitor);
    }
    monitors
}

fn monitor(report: &mut Report, node: &Node, path: &str, routed: Routed) -> Option<Monitor> {
    let mut fields = Fields::open(report, node, path)?;
    let name = fields.require(report, "name", "name the monitor: `name: errors`");
    let name = name.and_then(|node| report.name(node, &fields.join("name")));
    let metric = metric::read(report, &mut fields);
    if let (Some(Metric::Router(_)), Some(at)) = (&metric, fields.key_at("router")) {
        match routed {
            Routed::Counted => {}
            Routed::NoRouter => {
                let message = format!("`{path}` watches the router, and there is none");
                let help = "add `router:`, or watch something else";
                report.error(at, codes::NO_ROUTER, message, help);
            }
            Routed::Uncounted => {
                let message = format!("`{path}` can never pass: nginx counts nothing per server");
                report.error(at, codes::NO_COUNTERS, message, COUNTED_ELSEWHERE);
            }
        }
    }
    let bounds = bounds(report, &mut fields, metric.as_ref());
    let every = fields.get("every").map(|node| report.time_limit(node, &fields.join("every")));
    let failures = fields.get("failures");
    let failures = failures.map(|node| report.number(node, &fields.join("failures"), 1..=100));
    let of = fields.get("of").map(|node| report.number(node, &fields.join("of"), 1..=1000));
    if let (Some(failures), Some(of)) = (failures.unwrap_or(Some(1)), of.flatten())
        && failures > of
    {
        let at = fields.key_at("of").unwrap_or(fields.at);
        let message = format!("`{path}` never fails: there are no {failures} bad ones of {of}");
        report.error(at, codes::CAPACITY, message, format!("write `of: {failures}` or more"));
    }
    let words = [("hold", NoData::Hold), ("fail", NoData::Fail)];
    let no_data = fields.get("no-data");
    let no_data = no_data.and_then(|node| report.choice(node, &fields.join("no-data"), &words));
    let min_samples = min_samples(report, &mut fields, metric.as_ref());
    let dry_run = fields.get("dry-run");
    let dry_run = dry_run.and_then(|node| report.boolean(node, &fields.join("dry-run")));
    fields.finish(report);
    let failures = failures.unwrap_or(Some(1))?;
    let (fail_above, fail_below) = bounds;
    Some(Monitor {
        name: name?,
        metric: metric?,
        fail_above,
        fail_below,
        every: every.unwrap_or(Some(EVERY))?,
        failures,
        of: of.unwrap_or(Some(failures))?,
        no_data: no_data.unwrap_or_default(),
        min_samples,
        dry_run: dry_run.unwrap_or(false),
    })
}

/// `fail-above` and `fail-below`, as far as they make sense for what is watched.
fn bounds(
    report: &mut Report,
    fields: &mut Fields<'_>,
    metric: Option<&Metric>,
) -> (Option<f64>, Option<f64>) {
    let mut bound = |report: &mut Report, key| {
        let node = fields.get(key)?;
        report.float(node, &fields.join(key))
    };
    let above = bound(report, "fail-above");
    let below = bound(report, "fail-below");
    let path = fields.path.clone();
    let written = ["fail-above", "fail-below"]
        .into_iter()
        .find_map(|key| fields.get(key).and_then(|_| fields.key_at(key)));
    match (metric.map(Metric::wants), written) {
        (Some(Bounds::Needed), None) => {
            let message = format!("`{path}` never fails");
            let help = "write `fail-above` or `fail-below`";
            report.error(fields.at, codes::MISSING_KEY, message, help);
        }
        (Some(Bounds::Meaningless), Some(at)) => {
            let message = format!("`{path}` has bounds and no number to compare");
            let help = "say where in the answer it is: `value: /queue/length`";
            report.error(at, codes::IGNORED_KEY, message, help);
        }
        _ => {}
    }
    if let (Some(above), Some(below)) = (above, below)
        && below >= above
    {
        let message = format!("`{path}` always fails: nothing is between {below} and {above}");
        let help = "let `fail-below` be the smaller one";
        report.error(fields.at, codes::CAPACITY, message, help);
    }
    let rate = matches!(metric, Some(Metric::Router(RouterMetric::ErrorRate)));
    if let Some(above) = above.filter(|above| rate && *above >= 1.0)
        && let Some(at) = fields.key_at("fail-above")
    {
        let message = format!("`{path}` never fails: no error rate is above {above}");
        let help = format!("write `fail-above: {above}%`, or a number below 1");
        report.error(at, codes::CAPACITY, message, help);
    }
    (above, below)
}

fn min_samples(
    report: &mut Report,
    fields: &mut Fields<'_>,
    metric: Option<&Metric>,
) -> Option<u32> {
    let node = fields.get("min-samples")?;
    let number = report.number(node, &fields.join("min-samples"), 1..=1_000_000)?;
    if let Some(Metric::Prometheus { .. } | Metric::Http { .. } | Metric::Command { .. }) = metric {
        let message = "only a router counts its requests: `min-samples` has no effect here";
        let at = fields.key_at("min-samples").unwrap_or(fields.at);
        report.error(at, codes::IGNORED_KEY, message, "remove it, or ask for it in the query");
    }
    Some(number)
}
