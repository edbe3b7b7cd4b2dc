//! How many hosts may fail before the deployment does.

use crate::spec::decode::{Fields, Report};
use crate::spec::group::Amount;
use crate::spec::yaml::Node;
use serde::{Deserialize, Serialize};

/// Whichever budget is used up first ends the deployment. A share is rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", from = "Written")]
#[derive(schemars::JsonSchema)]
#[schemars(!from, transform = crate::spec::schema::forms::or_amount)]
pub struct MaxFailures {
    /// Of the whole deployment.
    pub total: Amount,
    /// Of one batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_batch: Option<Amount>,
    /// One after the other, in the order in which they end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 10_000))]
    pub in_a_row: Option<u32>,
}

impl Default for MaxFailures {
    fn default() -> Self {
        Amount::Count(0).into()
    }
}

impl From<Amount> for MaxFailures {
    fn from(total: Amount) -> Self {
        Self { total, per_batch: None, in_a_row: None }
    }
}

impl MaxFailures {
    /// Whether no host at all may fail.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.total.is_zero()
    }
}

/// The short form is a number alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Total(Amount),
    #[serde(rename_all = "kebab-case")]
    Each {
        total: Amount,
        per_batch: Option<Amount>,
        in_a_row: Option<u32>,
    },
}

impl From<Written> for MaxFailures {
    fn from(written: Written) -> Self {
        match written {
            Written::Total(total) => total.into(),
            Written::Each { total, per_batch, in_a_row } => Self { total, per_batch, in_a_row },
        }
    }
}

/// `2`, `10%`, or `{total: 10%, per-batch: 1, in-a-row: 2}`.
pub(super) fn read(report: &mut Report, node: &Node) -> Option<MaxFailures> {
    if node.text().is_some() {
        return report.amount_or_zero(node, "max-failures").map(MaxFailures::from);
    }
    let mut fields = Fields::open(report, node, "max-failures")?;
    let total = fields.require(report, "total", "say how many of all hosts may fail");
    let total = total.and_then(|node| report.amount_or_zero(node, "max-failures.total"));
    let per_batch = fields.get("per-batch");
    let per_batch = per_batch.map(|n| report.amount_or_zero(n, "max-failures.per-batch"));
    let row = fields.get("in-a-row");
    let in_a_row = row.map(|node| report.number(node, "max-failures.in-a-row", 0..=10_000));
    fields.finish(report);
    Some(MaxFailures {
        total: total?,
        per_batch: per_batch.map_or(Some(None), |amount| amount.map(Some))?,
        in_a_row: in_a_row.map_or(Some(None), |number| number.map(Some))?,
    })
}
