//! Numbers that are watched during a deployment, and what makes them alarms.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::print;
use crate::spec::yaml::Node;
use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// Fails where the value is outside its bounds often enough in a row.
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
    /// Bad values in a row that make an alarm.
    #[schemars(with = "Option<u32>", range(min = 1, max = 100))]
    pub failures: u32,
    /// What a missing value means.
    #[serde(default)]
    pub no_data: NoData,
    /// Whether it only reports.
    #[serde(default)]
    pub dry_run: bool,
}

/// Where the value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub enum Metric {
    /// The answer to a query.
    Prometheus {
        /// Where Prometheus answers.
        url: String,
        /// A PromQL expression with one number for its answer.
        query: String,
    },
    /// A number in a JSON answer, by JSON pointer.
    Http {
        /// Asked with GET.
        url: String,
        /// A JSON pointer to the number, such as `/errors`.
        value: String,
    },
    /// What the router counts.
    Router(RouterMetric),
}

/// What the router itself counts about the hosts of the new revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub enum RouterMetric {
    /// Share of answers with status 500 and above, 0 to 1.
    ErrorRate,
    /// Mean answer time in milliseconds.
    Latency,
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

const EVERY: Millis = Millis::from_secs(30);

pub(super) fn read(report: &mut Report, node: &Node) -> Vec<Monitor> {
    let mut monitors: Vec<Monitor> = Vec::new();
    for (index, item) in report.list(node, "monitors").iter().enumerate() {
        let Some(monitor) = monitor(report, item, &format!("monitors[{index}]")) else { continue };
        if monitors.iter().any(|other| other.name == monitor.name) {
            let message = format!("two monitors are named '{}'", monitor.name);
            report.error(item.at, codes::DUPLICATE_NAME, message, "rename one of them");
        }
        monitors.push(monitor);
    }
    monitors
}

fn monitor(report: &mut Report, node: &Node, path: &str) -> Option<Monitor> {
    let mut fields = Fields::open(report, node, path)?;
    let name = fields.require(report, "name", "name the monitor: `name: errors`");
    let name = name.and_then(|node| report.name(node, &fields.join("name")));
    let metric = metric(report, &mut fields);
    let mut bound = |report: &mut Report, key| {
        let node = fields.get(key)?;
        float(report, node, &fields.join(key))
    };
    let fail_above = bound(report, "fail-above");
    let fail_below = bound(report, "fail-below");
    if fields.key_at("fail-above").is_none() && fields.key_at("fail-below").is_none() {
        let message = format!("`{path}` never fails");
        let help = "write `fail-above` or `fail-below`";
        report.error(node.at, codes::MISSING_KEY, message, help);
    }
    if let (Some(above), Some(below)) = (fail_above, fail_below)
        && below >= above
    {
        let message = format!("`{path}` always fails: nothing is between {below} and {above}");
        report.error(node.at, codes::CAPACITY, message, "let `fail-below` be the smaller one");
    }
    let every = fields.get("every").map(|node| report.duration(node, &fields.join("every")));
    let failures = fields.get("failures");
    let failures = failures.map(|node| report.number(node, &fields.join("failures"), 1..=100));
    let words = [("hold", NoData::Hold), ("fail", NoData::Fail)];
    let no_data = fields.get("no-data");
    let no_data = no_data.and_then(|node| report.choice(node, &fields.join("no-data"), &words));
    let dry_run = fields.get("dry-run");
    let dry_run = dry_run.and_then(|node| report.boolean(node, &fields.join("dry-run")));
    fields.finish(report);
    Some(Monitor {
        name: name?,
        metric: metric?,
        fail_above,
        fail_below,
        every: every.unwrap_or(Some(EVERY))?,
        failures: failures.unwrap_or(Some(1))?,
        no_data: no_data.unwrap_or_default(),
        dry_run: dry_run.unwrap_or(false),
    })
}

fn metric(report: &mut Report, fields: &mut Fields<'_>) -> Option<Metric> {
    let prometheus = fields.get("prometheus");
    let http = fields.get("http");
    let router = fields.get("router");
    match (prometheus, http, router) {
        (Some(node), None, None) => {
            let mut inner = Fields::open(report, node, &fields.join("prometheus"))?;
            let (url, query) = pair(report, &mut inner, "query", "write a PromQL expression");
            inner.finish(report);
            Some(Metric::Prometheus { url: url?, query: query? })
        }
        (None, Some(node), None) => {
            let mut inner = Fields::open(report, node, &fields.join("http"))?;
            let (url, value) = pair(report, &mut inner, "value", "write a JSON pointer: /errors");
            inner.finish(report);
            Some(Metric::Http { url: url?, value: value? })
        }
        (None, None, Some(node)) => {
            let words =
                [("error-rate", RouterMetric::ErrorRate), ("latency", RouterMetric::Latency)];
            report.choice(node, &fields.join("router"), &words).map(Metric::Router)
        }
        _ => {
            let message = format!("`{}` has to watch exactly one thing", fields.path);
            let help = "write one of prometheus, http, router";
            report.error(fields.at, codes::ACTION_KIND, message, help);
            None
        }
    }
}

fn pair(
    report: &mut Report,
    fields: &mut Fields<'_>,
    key: &'static str,
    help: &str,
) -> (Option<String>, Option<String>) {
    let url = fields.require(report, "url", "write http://… or https://…");
    let url = url.and_then(|node| report.http_url(node, &fields.join("url")));
    let text = fields.require(report, key, help);
    (url, text.and_then(|node| report.word(node, &fields.join(key))))
}

fn float(report: &mut Report, node: &Node, path: &str) -> Option<f64> {
    let text = report.word(node, path)?;
    let (digits, scale) = match text.strip_suffix('%') {
        Some(digits) => (digits.trim_end(), 100.0),
        None => (text.as_str(), 1.0),
    };
    let number = digits.parse::<f64>().ok().filter(|number| number.is_finite());
    if number.is_none() {
        let message = format!("`{path}`: '{text}' is not a number");
        report.error(node.at, codes::BAD_NUMBER, message, "write 0.02 or 2%, for example");
    }
    number.map(|number| number / scale)
}
