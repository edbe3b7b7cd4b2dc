//! Reading a strategy: a name alone, or one with its settings.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report, suggest};
use crate::spec::group::strategy::{Shape, Strategy, alias, canary};
use crate::spec::group::{Amount, hosts};
use crate::spec::yaml::Node;
use crate::time::Millis;

const KINDS: [&str; 7] =
    ["all-at-once", "rolling", "rolling-extra", "immutable", "blue-green", "canary", "linear"];
const KEEP_OLD: Millis = Millis::from_minutes(15);

/// What a group without the key gets.
pub(in crate::spec::group) fn default() -> Shape {
    Strategy::default().into()
}

/// A name alone (`rolling`, `OneAtATime`), or `{rolling: {batch: 2}}`.
pub(in crate::spec::group) fn read(report: &mut Report, node: &Node) -> Option<Shape> {
    if node.text().is_some() {
        let text = report.word(node, "strategy")?;
        if let Some(shape) = alias::shape(&text) {
            return Some(shape);
        }
        let names: Vec<&str> = alias::OURS.into_iter().chain(alias::NAMES).collect();
        let near = text.strip_prefix(alias::PREFIX).unwrap_or(&text);
        let (message, help) = if KINDS.contains(&text.as_str()) {
            let message = format!("strategy '{text}' needs its settings");
            (message, format!("write `strategy: {{{text}: {{…}}}}`"))
        } else {
            let message = format!("there is no strategy '{text}'");
            (message, suggest::help(near, &names))
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
    let shape = settings(report, kind, &mut fields);
    fields.finish(report);
    shape
}

fn settings(report: &mut Report, kind: &str, fields: &mut Fields<'_>) -> Option<Shape> {
    match kind {
        "rolling" => rolling(report, fields).map(Shape::from),
        "rolling-extra" => {
            let batch = amount(report, fields, "batch", Amount::Count(1));
            let extra = amount(report, fields, "extra", batch.unwrap_or(Amount::Count(1)));
            let hold = time_option(report, fields, "hold");
            let bake = time(report, fields, "bake", Millis::ZERO)?;
            Some(Strategy::RollingExtra { batch: batch?, extra: extra?, hold, bake }.into())
        }
        "immutable" => {
            let first = amount(report, fields, "first", Amount::Count(1));
            let bake = time(report, fields, "bake", Millis::ZERO);
            let keep_old = time(report, fields, "keep-old", KEEP_OLD)?;
            Some(Strategy::Immutable { first: first?, bake: bake?, keep_old }.into())
        }
        "blue-green" => blue_green(report, fields).map(Shape::from),
        "canary" => canary::read(report, fields),
        "linear" => {
            let step = fields.require(report, "step", "say how many percent are added each time");
            let step = step.and_then(|node| percent(report, node, &fields.join("step"), 99));
            let every = time(report, fields, "every", Millis::from_minutes(1));
            let bake = time(report, fields, "bake", Millis::ZERO);
            let hasty = fields.key_at("every").filter(|_| every == Some(Millis::ZERO));
            let strategy = Strategy::Linear { step: step?, every: every?, bake: bake? };
            Some(Shape { hasty: hasty.into_iter().collect(), ..strategy.into() })
        }
        // `all-at-once` has no settings.
        _ => Some(Strategy::AllAtOnce.into()),
    }
}

fn rolling(report: &mut Report, fields: &mut Fields<'_>) -> Option<Strategy> {
    let batch = match fields.get("batch") {
        Some(node) => report.batch(node, &fields.join("batch")),
        None => Some(Amount::Count(1).into()),
    };
    let first = fields.get("first-batch");
    let first_batch = first.and_then(|n| report.amount(n, &fields.join("first-batch")));
    let barrier = flag(report, fields, "barrier");
    let hold = time_option(report, fields, "hold");
    let bake = time(report, fields, "bake", Millis::ZERO);
    if let (Some(batch), Some(first), Some(at)) =
        (&batch, first_batch, fields.key_at("first-batch"))
    {
        if batch.sizes().len() > 1 {
            let message = "`first-batch` has no effect beside a list of batches";
            report.error(at, codes::IGNORED_KEY, message, "put it at the front of the list");
        } else if larger(first, batch.last()) {
            let message =
                format!("the first batch ({first}) is larger than the others ({})", batch.last());
            let help = "let it be the smaller one: it is there to find out";
            report.error(at, codes::BAD_VALUE, message, help);
        }
    }
    Some(Strategy::Rolling { batch: batch?, first_batch, barrier, hold, bake: bake? })
}

/// As far as it can be known without the fleet.
fn larger(a: Amount, b: Amount) -> bool {
    match (a, b) {
        (Amount::Count(a), Amount::Count(b)) | (Amount::Percent(a), Amount::Percent(b)) => a > b,
        _ => false,
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
    if let (false, Some(_), Some(at)) = (approve, promote_after, fields.key_at("promote-after")) {
        let message = "nobody is asked, so the switch does not wait: `promote-after` has no effect";
        report.warn(at, codes::IGNORED_KEY, message, "write `approve: true`, or remove it");
    }
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

/// A percentage with or without its sign.
pub(super) fn percent(report: &mut Report, node: &Node, path: &str, high: u32) -> Option<u32> {
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

pub(super) fn time(
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

pub(super) fn flag(report: &mut Report, fields: &mut Fields<'_>, key: &'static str) -> bool {
    let Some(node) = fields.get(key) else { return false };
    report.boolean(node, &fields.join(key)).unwrap_or(false)
}
