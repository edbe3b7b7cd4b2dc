//! What a monitor watches.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::print;
use crate::spec::yaml::Node;
use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// Where the value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
#[schemars(transform = crate::spec::schema::forms::metric)]
pub enum Metric {
    /// The answer to a query.
    Prometheus {
        /// Where Prometheus answers.
        url: String,
        /// A PromQL expression with one number for its answer.
        query: String,
    },
    /// An answer with another status is bad; with a JSON pointer in `value`, so is a number in the
    /// answer that is outside the bounds.
    Http {
        /// Asked with GET.
        url: String,
        /// A JSON pointer to the number, such as `/errors`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
        /// 200 where absent.
        #[schemars(with = "Option<crate::spec::schema::words::Status>")]
        status: u16,
        /// For one answer; 10s where absent.
        #[serde(with = "print::time")]
        #[schemars(with = "Option<Millis>")]
        timeout: Millis,
    },
    /// What the router counts.
    Router(RouterMetric),
    /// A shell command on the host of an agent. With bounds, the number it prints is the value;
    /// without, every exit code but 0 is bad. One that does not end in time gives no value.
    Command {
        /// The agent on whose host it runs.
        agent: String,
        /// The command.
        run: String,
        /// Without an end by then there is no value; 10s where absent.
        #[serde(with = "print::time")]
        #[schemars(with = "Option<Millis>")]
        timeout: Millis,
    },
}

impl Metric {
    /// Whether it gives a number, which needs bounds, or can be bad by itself.
    pub(super) fn wants(&self) -> Bounds {
        match self {
            Metric::Prometheus { .. } | Metric::Router(_) | Metric::Http { value: Some(_), .. } => {
                Bounds::Needed
            }
            Metric::Http { value: None, .. } => Bounds::Meaningless,
            Metric::Command { .. } => Bounds::Possible,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bounds {
    Needed,
    Possible,
    Meaningless,
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

const TIMEOUT: Millis = Millis::from_secs(10);

/// Exactly one of the four, among a monitor's keys.
pub(super) fn read(report: &mut Report, fields: &mut Fields<'_>) -> Option<Metric> {
    let prometheus = fields.get("prometheus");
    let http_node = fields.get("http");
    let router = fields.get("router");
    let command_node = fields.get("command");
    match (prometheus, http_node, router, command_node) {
        (Some(node), None, None, None) => {
            let mut inner = Fields::open(report, node, &fields.join("prometheus"))?;
            let url = url(report, &mut inner);
            let query = text(report, &mut inner, "query", "write a PromQL expression");
            inner.finish(report);
            Some(Metric::Prometheus { url: url?, query: query? })
        }
        (None, Some(node), None, None) => http(report, node, &fields.join("http")),
        (None, None, Some(node), None) => {
            let words =
                [("error-rate", RouterMetric::ErrorRate), ("latency", RouterMetric::Latency)];
            report.choice(node, &fields.join("router"), &words).map(Metric::Router)
        }
        (None, None, None, Some(node)) => command(report, node, &fields.join("command")),
        _ => {
            let message = format!("`{}` has to watch exactly one thing", fields.path);
            let help = "write one of prometheus, http, router, command";
            report.error(fields.at, codes::ACTION_KIND, message, help);
            None
        }
    }
}

/// A URL alone, or with settings.
fn http(report: &mut Report, node: &Node, path: &str) -> Option<Metric> {
    if node.text().is_some() {
        let url = report.http_url(node, path)?;
        return Some(Metric::Http { url, value: None, status: 200, timeout: TIMEOUT });
    }
    let mut fields = Fields::open(report, node, path)?;
    let url = url(report, &mut fields);
    let value = fields.get("value").map(|node| pointer(report, node, &fields.join("value")));
    let status = fields.get("status");
    let status = status.map(|node| report.number(node, &fields.join("status"), 100..=599));
    let timeout = timeout(report, &mut fields);
    fields.finish(report);
    Some(Metric::Http {
        url: url?,
        value: value.map_or(Some(None), |value| value.map(Some))?,
        status: u16::try_from(status.unwrap_or(Some(200))?).ok()?,
        timeout: timeout?,
    })
}

/// A JSON pointer: empty for the whole answer, or `/` before every step.
fn pointer(report: &mut Report, node: &Node, path: &str) -> Option<String> {
    let text = report.word(node, path)?;
    if text.starts_with('/') {
        return Some(text);
    }
    let message = format!("`{path}`: '{text}' is not a JSON pointer");
    let better = text.trim_start_matches("$.").replace('.', "/");
    report.error(node.at, codes::BAD_VALUE, message, format!("write `/{better}`"));
    None
}

fn command(report: &mut Report, node: &Node, path: &str) -> Option<Metric> {
    let mut fields = Fields::open(report, node, path)?;
    let agent = fields.require(report, "agent", "name the agent that runs it");
    let agent = agent.and_then(|node| report.name(node, &fields.join("agent")));
    let run = text(report, &mut fields, "run", "write a command such as `/opt/checks/queue.sh`");
    let timeout = timeout(report, &mut fields);
    fields.finish(report);
    Some(Metric::Command { agent: agent?, run: run?, timeout: timeout? })
}

fn url(report: &mut Report, fields: &mut Fields<'_>) -> Option<String> {
    let node = fields.require(report, "url", "write http://… or https://…")?;
    report.http_url(node, &fields.join("url"))
}

fn text(
    report: &mut Report,
    fields: &mut Fields<'_>,
    key: &'static str,
    help: &str,
) -> Option<String> {
    let node = fields.require(report, key, help)?;
    report.word(node, &fields.join(key))
}

/// For one answer.
fn timeout(report: &mut Report, fields: &mut Fields<'_>) -> Option<Millis> {
    match fields.get("timeout") {
        Some(node) => report.time_limit(node, &fields.join("timeout")),
        None => Some(TIMEOUT),
    }
}
