//! Requests that a router tells from the others.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::yaml::Node;
use serde::{Deserialize, Serialize};

/// Requests with this header or cookie of this value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub struct Cohort {
    #[serde(flatten)]
    pub by: CohortBy,
    /// Of the header or cookie.
    pub value: String,
}

/// The name of what is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub enum CohortBy {
    /// The name of a header.
    Header(String),
    /// The name of a cookie.
    Cookie(String),
}

pub(super) fn read(report: &mut Report, node: &Node) -> Vec<Cohort> {
    let mut cohorts: Vec<Cohort> = Vec::new();
    for (index, item) in report.short_list(node, "router.cohorts").iter().enumerate() {
        let path = format!("router.cohorts[{index}]");
        let Some(cohort) = cohort(report, item, &path) else { continue };
        if cohorts.contains(&cohort) {
            let message = format!("`{path}` is there twice");
            report.error(item.at, codes::DUPLICATE_NAME, message, "remove one of the two");
        }
        cohorts.push(cohort);
    }
    cohorts
}

fn cohort(report: &mut Report, node: &Node, path: &str) -> Option<Cohort> {
    let mut fields = Fields::open(report, node, path)?;
    let header = fields.get("header");
    let cookie = fields.get("cookie");
    let by = match (header, cookie) {
        (Some(node), None) => token(report, node, &fields.join("header")).map(CohortBy::Header),
        (None, Some(node)) => token(report, node, &fields.join("cookie")).map(CohortBy::Cookie),
        _ => {
            let message = format!("`{path}` has to look at exactly one of header, cookie");
            let help = "write `{header: X-Canary, value: \"1\"}`, for example";
            report.error(node.at, codes::ACTION_KIND, message, help);
            None
        }
    };
    let value = fields.require(report, "value", "write the value that is wanted");
    let value = value.and_then(|node| token(report, node, &fields.join("value")));
    fields.finish(report);
    Some(Cohort { by: by?, value: value? })
}

/// What goes into the balancer's map as it stands: no spaces, quotes or control characters.
fn token(report: &mut Report, node: &Node, path: &str) -> Option<String> {
    let text = report.word(node, path)?;
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~!%*+".contains(&b)) {
        return Some(text);
    }
    let message = format!("`{path}`: '{text}' cannot be looked for");
    let help = "use letters, digits and `-_.~!%*+`";
    report.error(node.at, codes::BAD_VALUE, message, help);
    None
}
