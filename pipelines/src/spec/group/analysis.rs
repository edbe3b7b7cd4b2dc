//! When the new revision counts as worse than the old one beside it.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::print;
use crate::spec::yaml::Node;
use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// Compares what the router counts on hosts of the new revision with the untouched hosts in the
/// same time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[derive(schemars::JsonSchema)]
pub struct Analysis {
    /// Between two looks.
    #[serde(with = "print::time")]
    #[schemars(with = "Millis")]
    pub every: Millis,
    /// What a host answers so soon after its start does not count.
    #[serde(with = "print::time")]
    #[schemars(with = "Millis")]
    pub warm_up: Millis,
    /// Requests to the new revision without which a step cannot pass; a step may say its own.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_samples: u32,
    /// More errors than beside it.
    pub errors: ErrorRule,
    /// Too many errors whatever the others have.
    pub ceiling: CeilingRule,
    /// Slower than beside it.
    pub latency: LatencyRule,
    /// How long a step that cannot be judged is held beyond its own time.
    #[serde(with = "print::time")]
    #[schemars(with = "Millis")]
    pub max_hold: Millis,
    /// What happens then.
    pub inconclusive: Inconclusive,
    /// Whether it only reports.
    pub dry_run: bool,
}

/// More errors than beside it: fails when all of these hold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[derive(schemars::JsonSchema)]
pub struct ErrorRule {
    /// Errors of the new revision.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub at_least: u32,
    /// Its error rate, as a multiple of the other's.
    #[schemars(with = "crate::spec::schema::words::Share")]
    pub ratio: f64,
    /// Chance of a difference this large between equals.
    #[schemars(with = "crate::spec::schema::words::Share")]
    pub p: f64,
    /// Looks in a row.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub looks: u32,
}

/// Too many errors whatever the others have.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[derive(schemars::JsonSchema)]
pub struct CeilingRule {
    /// 0 to 1.
    #[schemars(with = "crate::spec::schema::words::Share")]
    pub rate: f64,
    /// Errors without which it does not fail.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub at_least: u32,
}

/// Slower than beside it, in `windows` of `of` looks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[derive(schemars::JsonSchema)]
pub struct LatencyRule {
    /// Fails above this multiple of the other's answer time, and
    #[schemars(with = "crate::spec::schema::words::Share")]
    pub ratio: f64,
    /// above that time and so much more.
    #[serde(with = "print::time")]
    #[schemars(with = "Millis")]
    pub slack: Millis,
    /// So many slow looks
    #[schemars(range(min = 1, max = 1_000_000))]
    pub windows: u32,
    /// among so many of the last ones.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub of: u32,
    /// Requests on both sides without which a look does not count.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_samples: u32,
}

/// What a step does that nobody can judge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(schemars::JsonSchema)]
pub enum Inconclusive {
    #[default]
    Rollback,
    Pause,
    Promote,
}

impl Default for Analysis {
    fn default() -> Self {
        Self {
            every: Millis::from_secs(15),
            warm_up: Millis::from_secs(60),
            min_samples: 500,
            errors: ErrorRule::default(),
            ceiling: CeilingRule::default(),
            latency: LatencyRule::default(),
            max_hold: Millis::from_minutes(60),
            inconclusive: Inconclusive::default(),
            dry_run: false,
        }
    }
}

impl Default for ErrorRule {
    fn default() -> Self {
        Self { at_least: 5, ratio: 1.5, p: 0.01, looks: 2 }
    }
}

impl Default for CeilingRule {
    fn default() -> Self {
        Self { rate: 0.05, at_least: 20 }
    }
}

impl Default for LatencyRule {
    fn default() -> Self {
        Self { ratio: 1.5, slack: Millis(50), windows: 3, of: 5, min_samples: 100 }
    }
}

/// `analysis:` alone means all defaults.
pub(super) fn read(report: &mut Report, node: &Node) -> Option<Analysis> {
    let mut analysis = Analysis::default();
    if node.is_null() {
        return Some(analysis);
    }
    let mut fields = Fields::open(report, node, "analysis")?;
    let every = fields.get("every");
    set(&mut analysis.every, every.and_then(|node| report.time_limit(node, "analysis.every")));
    set(&mut analysis.warm_up, report.time_at(&mut fields, "warm-up"));
    set(&mut analysis.max_hold, report.time_at(&mut fields, "max-hold"));
    set(&mut analysis.min_samples, report.count_at(&mut fields, "min-samples", 1));
    if let Some(node) = fields.get("errors") {
        errors(report, node, &mut analysis.errors);
    }
    if let Some(node) = fields.get("ceiling") {
        ceiling(report, node, &mut analysis.ceiling);
    }
    if let Some(node) = fields.get("latency") {
        latency(report, node, &mut analysis.latency);
    }
    let words = [
        ("rollback", Inconclusive::Rollback),
        ("pause", Inconclusive::Pause),
        ("promote", Inconclusive::Promote),
    ];
    let inconclusive = fields.get("inconclusive");
    let inconclusive =
        inconclusive.and_then(|node| report.choice(node, "analysis.inconclusive", &words));
    set(&mut analysis.inconclusive, inconclusive);
    let dry_run = fields.get("dry-run");
    set(&mut analysis.dry_run, dry_run.and_then(|n| report.boolean(n, "analysis.dry-run")));
    fields.finish(report);
    Some(analysis)
}

fn errors(report: &mut Report, node: &Node, rule: &mut ErrorRule) {
    let Some(mut fields) = Fields::open(report, node, "analysis.errors") else { return };
    set(&mut rule.at_least, report.count_at(&mut fields, "at-least", 1));
    set(&mut rule.ratio, report.ratio_at(&mut fields));
    if let Some(node) = fields.get("p") {
        set(&mut rule.p, report.share(node, &fields.join("p")));
    }
    set(&mut rule.looks, report.count_at(&mut fields, "looks", 1));
    fields.finish(report);
}

fn ceiling(report: &mut Report, node: &Node, rule: &mut CeilingRule) {
    let Some(mut fields) = Fields::open(report, node, "analysis.ceiling") else { return };
    if let Some(node) = fields.get("rate") {
        set(&mut rule.rate, report.share(node, &fields.join("rate")));
    }
    set(&mut rule.at_least, report.count_at(&mut fields, "at-least", 1));
    fields.finish(report);
}

fn latency(report: &mut Report, node: &Node, rule: &mut LatencyRule) {
    let Some(mut fields) = Fields::open(report, node, "analysis.latency") else { return };
    set(&mut rule.ratio, report.ratio_at(&mut fields));
    set(&mut rule.slack, report.time_at(&mut fields, "slack"));
    set(&mut rule.windows, report.count_at(&mut fields, "windows", 1));
    set(&mut rule.of, report.count_at(&mut fields, "of", 1));
    set(&mut rule.min_samples, report.count_at(&mut fields, "min-samples", 1));
    if rule.windows > rule.of {
        let message = format!("{} of {} looks cannot be slow", rule.windows, rule.of);
        let help = format!("write `of: {}` or more", rule.windows);
        report.error(node.at, codes::CAPACITY, message, help);
    }
    fields.finish(report);
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

impl Report {
    fn time_at(&mut self, fields: &mut Fields<'_>, key: &'static str) -> Option<Millis> {
        let node = fields.get(key)?;
        self.duration(node, &fields.join(key))
    }

    fn count_at(&mut self, fields: &mut Fields<'_>, key: &'static str, low: u32) -> Option<u32> {
        let node = fields.get(key)?;
        self.number(node, &fields.join(key), low..=1_000_000)
    }

    /// At 1 and below, an equal revision would fail.
    fn ratio_at(&mut self, fields: &mut Fields<'_>) -> Option<f64> {
        let node = fields.get("ratio")?;
        let path = fields.join("ratio");
        let ratio = self.positive(node, &path)?;
        if ratio <= 1.0 {
            let message = format!("`{path}`: with {ratio} an equally good revision fails");
            self.error(node.at, codes::CAPACITY, message, "write more than 1, such as 1.5");
            return None;
        }
        Some(ratio)
    }
}
