//! How a revision reaches the hosts, step by step.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report, suggest};
use crate::spec::group::{Amount, Batch, Selector, alias, hosts};
use crate::spec::print;
use crate::spec::yaml::Node;
use crate::time::Millis;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Strategy {
    AllAtOnce,
    /// Batch after batch, in place.
    Rolling {
        batch: Batch,
        /// A smaller first batch; one host where absent, and none where `batch` is a list.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first_batch: Option<Amount>,
        /// Whether a batch has to be done before the next starts; otherwise hosts move up singly.
        #[serde(default)]
        barrier: bool,
        /// Wait after each batch.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "print::time_option")]
        hold: Option<Millis>,
        /// Watched so long after the last batch.
        #[serde(default, with = "print::time")]
        bake: Millis,
    },
    /// Rolling, with extra hosts so that capacity never falls.
    RollingExtra {
        batch: Amount,
        extra: Amount,
        #[serde(default, skip_serializing_if = "Option::is_none", with = "print::time_option")]
        hold: Option<Millis>,
        #[serde(default, with = "print::time")]
        bake: Millis,
    },
    /// A whole new set of hosts; the old ones are never touched.
    Immutable {
        /// How many of the new hosts come first.
        first: Amount,
        #[serde(with = "print::time")]
        bake: Millis,
        #[serde(with = "print::time")]
        keep_old: Millis,
    },
    /// Two sets; traffic switches from one to the other. Fixed sets are both selected; where neither
    /// is, the group's instances make the second one anew each time.
    BlueGreen {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        blue: Option<Selector>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        green: Option<Selector>,
        /// A URL at which the idle set is tried before the switch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test: Option<String>,
        /// Whether a person decides about the switch.
        #[serde(default)]
        approve: bool,
        /// Switch by itself after this time, if nobody did.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "print::time_option")]
        promote_after: Option<Millis>,
        #[serde(with = "print::time")]
        bake: Millis,
        #[serde(with = "print::time")]
        keep_old: Millis,
    },
    /// Growing shares of the traffic.
    Canary {
        steps: Vec<CanaryStep>,
        #[serde(with = "print::time")]
        bake: Millis,
    },
    /// Equal shares at equal intervals.
    Linear {
        /// Percent added each time.
        step: u32,
        #[serde(with = "print::time")]
        every: Millis,
        #[serde(with = "print::time")]
        bake: Millis,
    },
}

/// One step of a canary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CanaryStep {
    /// Percent of the traffic.
    pub weight: u32,
    /// Hosts that carry it; as many percent as the weight where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Amount>,
    #[serde(with = "print::time")]
    pub hold: Millis,
    /// Judged only with at least so many requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_samples: Option<u32>,
    /// Monitors that decide; all of the group where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub analyse: Vec<String>,
    /// Whether a person decides about going on.
    #[serde(default)]
    pub approve: bool,
}

impl Default for Strategy {
    fn default() -> Self {
        Strategy::rolling(Amount::Count(1).into())
    }
}

impl Strategy {
    /// Rolling with these batches, and defaults for the rest.
    #[must_use]
    pub fn rolling(batch: Batch) -> Self {
        let bake = Millis::ZERO;
        Strategy::Rolling { batch, first_batch: None, barrier: false, hold: None, bake }
    }

    /// The word for it, as in the file.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Strategy::AllAtOnce => "all-at-once",
            Strategy::Rolling { .. } => "rolling",
            Strategy::RollingExtra { .. } => "rolling-extra",
            Strategy::Immutable { .. } => "immutable",
            Strategy::BlueGreen { .. } => "blue-green",
            Strategy::Canary { .. } => "canary",
            Strategy::Linear { .. } => "linear",
        }
    }
}

const KINDS: [&str; 7] =
    ["all-at-once", "rolling", "rolling-extra", "immutable", "blue-green", "canary", "linear"];
const KEEP_OLD: Millis = Millis::from_minutes(15);

/// A name alone (`rolling`, `OneAtATime`), or `{rolling: {batch: 2}}`.
pub(super) fn read(report: &mut Report, node: &Node) -> Option<alias::Shape> {
    if node.text().is_some() {
        let text = report.word(node, "strategy")?;
        if let Some(shape) = alias::shape(&text) {
            return Some(shape);
        }
        let names: Vec<&str> = ["all-at-once", "rolling", "rolling-extra", "immutable"]
            .into_iter()
            .chain(alias::NAMES)
            .collect();
        let (message, help) = if KINDS.contains(&text.as_str()) {
            let message = format!("strategy '{text}' needs its settings");
            (message, format!("write `strategy: {{{text}: {{…}}}}`"))
        } else {
            let message = format!("there is no strategy '{text}'");
            (message, suggest::help(&text, &names))
        };
        report.error(node.at, codes::BAD_VALUE, message, help);
        return None;
    }
    let mut fields = Fields::open(report, node, "strategy")?;
    let found: Vec<(&'static str, &Node)> =
        KINDS.iter().filter_map(|kind| Some((*kind, fields.get_or_null(kind)?))).collect();
    let unknown = fields.unknown().len();
    fields.finish(report);
    let [(kind, node)] = found.as_slice() else {
        if unknown == 0 || !found.is_empty() {
            let message = "`strategy` has to be exactly one strategy";
            let help = format!("write one of {}", suggest::list(&KINDS));
            report.error(node.at, codes::ACTION_KIND, message, help);
        }
        return None;
    };
    if node.is_null()
        && let Some(shape) = alias::shape(kind)
    {
        return Some(shape);
    }
    let path = format!("strategy.{kind}");
    let mut fields = Fields::open(report, node, &path)?;
    let strategy = settings(report, kind, &mut fields);
    fields.finish(report);
    Some(alias::Shape { strategy: strategy?, min_healthy: None })
}

fn settings(report: &mut Report, kind: &str, fields: &mut Fields<'_>) -> Option<Strategy> {
    match kind {
        "rolling" => {
            let batch = match fields.get("batch") {
                Some(node) => report.batch(node, &fields.join("batch")),
                None => Some(Amount::Count(1).into()),
            };
            let first = fields.get("first-batch");
            let first_batch = first.and_then(|n| report.amount(n, &fields.join("first-batch")));
            let barrier = flag(report, fields, "barrier");
            let hold = time_option(report, fields, "hold");
            let bake = time(report, fields, "bake", Millis::ZERO);
            Some(Strategy::Rolling { batch: batch?, first_batch, barrier, hold, bake: bake? })
        }
        "rolling-extra" => {
            let batch = amount(report, fields, "batch", Amount::Count(1));
            let extra = amount(report, fields, "extra", batch.unwrap_or(Amount::Count(1)));
            let hold = time_option(report, fields, "hold");
            let bake = time(report, fields, "bake", Millis::ZERO);
            Some(Strategy::RollingExtra { batch: batch?, extra: extra?, hold, bake: bake? })
        }
        "immutable" => {
            let first = amount(report, fields, "first", Amount::Count(1));
            let bake = time(report, fields, "bake", Millis::ZERO);
            let keep_old = time(report, fields, "keep-old", KEEP_OLD);
            Some(Strategy::Immutable { first: first?, bake: bake?, keep_old: keep_old? })
        }
        "blue-green" => blue_green(report, fields),
        "canary" => canary(report, fields),
        "linear" => {
            let step = fields.require(report, "step", "say how many percent are added each time");
            let step = step.and_then(|node| percent(report, node, &fields.join("step"), 99));
            let every = time(report, fields, "every", Millis::from_minutes(1));
            let bake = time(report, fields, "bake", Millis::ZERO);
            Some(Strategy::Linear { step: step?, every: every?, bake: bake? })
        }
        // `all-at-once` has no settings.
        _ => Some(Strategy::AllAtOnce),
    }
}

fn blue_green(report: &mut Report, fields: &mut Fields<'_>) -> Option<Strategy> {
    let mut set = |report: &mut Report, key| match fields.get(key) {
        Some(node) => hosts::read_selector(report, node, &fields.join(key)).map(Some),
        None => Some(None),
    };
    let (blue, green) = (set(report, "blue"), set(report, "green"));
    if let (Some(Some(_)), Some(None)) | (Some(None), Some(Some(_))) = (&blue, &green) {
        let missing = if blue == Some(None) { "blue" } else { "green" };
        let message = format!("`strategy.blue-green.{missing}` is missing");
        let help =
            format!("select the other set as well: `{missing}: {{tags: {{set: {missing}}}}}`");
        report.error(fields.at, codes::MISSING_KEY, message, help);
    }
    if let (Some(Some(blue)), Some(Some(green))) = (&blue, &green)
        && blue == green
    {
        let message = "`blue` and `green` are the same hosts";
        report.error(fields.at, codes::CAPACITY, message, "select two sets that do not overlap");
    }
    let test = fields.get("test");
    let test = test.and_then(|node| report.http_url(node, &fields.join("test")));
    let approve = flag(report, fields, "approve");
    let promote_after = time_option(report, fields, "promote-after");
    let bake = time(report, fields, "bake", Millis::ZERO);
    let keep_old = time(report, fields, "keep-old", KEEP_OLD);
    Some(Strategy::BlueGreen {
        blue: blue?,
        green: green?,
        test,
        approve,
        promote_after,
        bake: bake?,
        keep_old: keep_old?,
    })
}

fn canary(report: &mut Report, fields: &mut Fields<'_>) -> Option<Strategy> {
    let help = "list the steps: `steps: [{weight: 10, hold: 5m}]`";
    let node = fields.require(report, "steps", help);
    let bake = time(report, fields, "bake", Millis::ZERO);
    let node = node?;
    let items = report.list(node, "strategy.canary.steps");
    if items.is_empty() && node.text().is_none() {
        report.error(node.at, codes::MISSING_KEY, "a canary without steps", help);
    }
    let mut steps = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("strategy.canary.steps[{index}]");
        let Some(step) = step(report, item, &path) else { continue };
        check_step(report, item, steps.last(), &step);
        steps.push(step);
    }
    Some(Strategy::Canary { steps, bake: bake? })
}

fn step(report: &mut Report, node: &Node, path: &str) -> Option<CanaryStep> {
    let mut fields = Fields::open(report, node, path)?;
    let weight = fields.require(report, "weight", "say how many percent of the traffic");
    let weight = weight.and_then(|node| percent(report, node, &fields.join("weight"), 100));
    let hosts = fields.get("hosts").and_then(|n| report.amount(n, &fields.join("hosts")));
    let hold = time(report, &mut fields, "hold", Millis::ZERO);
    let samples = fields.get("min-samples");
    let min_samples =
        samples.and_then(|n| report.number(n, &fields.join("min-samples"), 1..=1_000_000));
    let analyse = match fields.get("analyse") {
        Some(node) => report.texts(node, &fields.join("analyse")),
        None => Vec::new(),
    };
    let approve = flag(report, &mut fields, "approve");
    fields.finish(report);
    Some(CanaryStep { weight: weight?, hosts, hold: hold?, min_samples, analyse, approve })
}

fn check_step(report: &mut Report, node: &Node, before: Option<&CanaryStep>, step: &CanaryStep) {
    if let Some(before) = before
        && step.weight <= before.weight
    {
        let message = format!("weight {} does not grow from {}", step.weight, before.weight);
        report.error(node.at, codes::BAD_VALUE, message, "let every step weigh more");
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

/// A percentage with or without its sign.
fn percent(report: &mut Report, node: &Node, path: &str, high: u32) -> Option<u32> {
    let text = report.word(node, path)?;
    let digits = text.strip_suffix('%').unwrap_or(&text).trim_end();
    let number = digits.parse::<u32>().ok().filter(|number| (1..=high).contains(number));
    if number.is_none() {
        let message = format!("`{path}`: '{text}' is not a percentage from 1 to {high}");
        report.error(node.at, codes::BAD_NUMBER, message, "write 10, for example");
    }
    number
}

fn amount(
    report: &mut Report,
    fields: &mut Fields<'_>,
    key: &'static str,
    default: Amount,
) -> Option<Amount> {
    match fields.get(key) {
        Some(node) => report.amount(node, &fields.join(key)),
        None => Some(default),
    }
}

fn time(
    report: &mut Report,
    fields: &mut Fields<'_>,
    key: &'static str,
    default: Millis,
) -> Option<Millis> {
    match fields.get(key) {
        Some(node) => report.duration(node, &fields.join(key)),
        None => Some(default),
    }
}

fn time_option(report: &mut Report, fields: &mut Fields<'_>, key: &'static str) -> Option<Millis> {
    let node = fields.get(key)?;
    report.duration(node, &fields.join(key))
}

fn flag(report: &mut Report, fields: &mut Fields<'_>, key: &'static str) -> bool {
    let Some(node) = fields.get(key) else { return false };
    report.boolean(node, &fields.join(key)).unwrap_or(false)
}
