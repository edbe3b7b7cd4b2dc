//! Conditions: what has to hold, and what happens otherwise.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::pipeline::action::Placed;
use crate::spec::yaml::Node;
use crate::spec::{Window, print};
use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// All rules of `require` have to hold; where one does not, `otherwise` happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Condition {
    /// The rules; all of them have to hold.
    pub require: Vec<Rule>,
    /// What happens where one does not hold.
    #[schemars(with = "Option<Otherwise>")]
    pub otherwise: Otherwise,
}

/// What an unmet condition does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub enum Otherwise {
    Fail,
    Skip,
    /// Ask again until it holds or the timeout comes.
    Wait,
    /// Back to the last execution that succeeded in the stage.
    Rollback,
}

/// What a failed stage does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub enum OnStageFailure {
    #[default]
    Fail,
    Rollback,
    Retry,
}

/// Something that holds or does not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
#[schemars(transform = crate::spec::schema::forms::one_key)]
pub enum Rule {
    /// Compares a text.
    Variable {
        /// A text with references, such as `#{variables.LEVEL}`.
        value: String,
        #[serde(flatten)]
        comparison: Comparison,
    },
    /// Now is within the window.
    Window(Window),
    /// The URL answers with the status.
    Http {
        /// Asked with GET.
        url: String,
        /// 200 where absent.
        #[schemars(with = "Option<crate::spec::schema::words::Status>")]
        status: u16,
        /// 10s where absent.
        #[serde(with = "print::time")]
        #[schemars(with = "Option<Millis>")]
        timeout: Millis,
    },
    /// A monitor of a deployment group is green.
    Monitor {
        /// The name of the group.
        group: String,
        /// The name of one of its monitors.
        name: String,
    },
}

/// How a text is compared. References are replaced in what it is compared with as well, patterns
/// excepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub enum Comparison {
    /// Is this text.
    Equals(String),
    /// Is another text.
    Not(String),
    /// Has this in it.
    Contains(String),
    /// A glob.
    Matches(String),
}

const COMPARISONS: [&str; 4] = ["equals", "not", "contains", "matches"];
const HTTP_TIMEOUT: Millis = Millis::from_secs(10);

/// Reads a condition; the texts in which references are replaced go to `texts`. `allowed` are the words `otherwise` may say here, the first its default.
pub(super) fn read(
    report: &mut Report,
    node: &Node,
    path: &str,
    allowed: &[(&'static str, Otherwise)],
    texts: &mut Vec<Placed>,
) -> Option<Condition> {
    let mut fields = Fields::open(report, node, path)?;
    let help = "list rules, such as `- http: {url: …}`";
    let require = fields.require(report, "require", help).map(|node| {
        let items = report.list(node, &fields.join("require"));
        if items.is_empty() {
            report.error(node.at, codes::MISSING_KEY, "a condition without rules", help);
        }
        rules(report, items, &fields.join("require"), texts)
    });
    let otherwise = match fields.get("otherwise") {
        Some(node) => report.choice(node, &fields.join("otherwise"), allowed),
        None => Some(allowed[0].1),
    };
    fields.finish(report);
    Some(Condition { require: require?, otherwise: otherwise? })
}

fn rules(report: &mut Report, items: &[Node], path: &str, texts: &mut Vec<Placed>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(mut fields) = Fields::open(report, item, &path) else { continue };
        let before = rules.len();
        let mut known = false;
        if let Some(node) = fields.get("variable") {
            known = true;
            rules.extend(variable(report, node, &fields.join("variable"), texts));
        }
        if let Some(node) = fields.get("window") {
            known = true;
            rules.extend(report.window(node, &fields.join("window")).map(Rule::Window));
        }
        if let Some(node) = fields.get("http") {
            known = true;
            rules.extend(http(report, node, &fields.join("http")));
        }
        if let Some(node) = fields.get("monitor") {
            known = true;
            rules.extend(monitor(report, node, &fields.join("monitor")));
        }
        if !known || rules.len() > before + 1 {
            let message = format!("`{path}` has to be exactly one rule");
            let help = "write one of variable, window, http, monitor; each rule its own entry";
            report.error(item.at, codes::ACTION_KIND, message, help);
        }
        fields.finish(report);
    }
    rules
}

fn variable(report: &mut Report, node: &Node, path: &str, texts: &mut Vec<Placed>) -> Option<Rule> {
    let mut fields = Fields::open(report, node, path)?;
    let value = fields.require(report, "value", "write a text such as '#{variables.LEVEL}'");
    let value = value.and_then(|node| Some((node.at, report.text(node, &fields.join("value"))?)));
    let mut found = Vec::new();
    let mut compare = |report: &mut Report, key, make: fn(String) -> Comparison| {
        let Some(node) = fields.get(key) else { return };
        let Some(text) = report.text(node, &fields.join(key)) else { return };
        // In a pattern, braces mean something else.
        if key != "matches" {
            texts.push((node.at, text.clone()));
        }
        found.push(make(text));
    };
    compare(report, "equals", Comparison::Equals);
    compare(report, "not", Comparison::Not);
    compare(report, "contains", Comparison::Contains);
    compare(report, "matches", Comparison::Matches);
    if let [Comparison::Matches(pattern)] = found.as_slice() {
        report.glob(node, &fields.join("matches"), pattern);
    }
    if let Some((at, text)) = &value {
        texts.push((*at, text.clone()));
        if !text.contains("#{") {
            let message = format!("`{path}` compares '{text}' itself, which never changes");
            let name = text.trim_start_matches(['$', '{']).trim_end_matches('}');
            let help = format!("write '#{{variables.{name}}}', if that is the variable meant");
            report.error(*at, codes::LITERAL_VALUE, message, help);
        }
    }
    let ways = COMPARISONS.iter().filter(|key| fields.get(key).is_some()).count();
    if ways != 1 {
        let message = format!("`{path}` has to compare in exactly one way");
        let help = "write one of equals, not, contains, matches";
        report.error(node.at, codes::MISSING_KEY, message, help);
    }
    fields.finish(report);
    let (_, value) = value?;
    Some(Rule::Variable { value, comparison: found.pop()? })
}

fn http(report: &mut Report, node: &Node, path: &str) -> Option<Rule> {
    let mut fields = Fields::open(report, node, path)?;
    let url = fields.require(report, "url", "write https://…");
    let url = url.and_then(|node| report.http_url(node, &fields.join("url")));
    let status = fields.get("status");
    let status = status.map(|node| report.number(node, &fields.join("status"), 100..=599));
    let timeout = fields.get("timeout");
    let timeout = timeout.map(|node| report.time_limit(node, &fields.join("timeout")));
    fields.finish(report);
    let status = u16::try_from(status.unwrap_or(Some(200))?).ok()?;
    Some(Rule::Http { url: url?, status, timeout: timeout.unwrap_or(Some(HTTP_TIMEOUT))? })
}

fn monitor(report: &mut Report, node: &Node, path: &str) -> Option<Rule> {
    let mut fields = Fields::open(report, node, path)?;
    let mut name = |report: &mut Report, key, help| {
        let node = fields.require(report, key, help)?;
        report.name(node, &fields.join(key))
    };
    let group = name(report, "group", "name the deployment group");
    let monitor = name(report, "name", "name one of the group's monitors");
    fields.finish(report);
    Some(Rule::Monitor { group: group?, name: monitor? })
}
