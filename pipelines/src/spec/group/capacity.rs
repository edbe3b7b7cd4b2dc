//! Numbers of hosts that cannot work together.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::group::check::{Draft, place};
use crate::spec::group::strategy::Shape;
use crate::spec::group::{Amount, Strategy, Zones};

/// Strategies that take hosts out need room below the floor.
pub(super) fn check(report: &mut Report, top: &Fields<'_>, shape: &Shape, draft: &Draft<'_>) {
    extra(report, top, &shape.strategy, draft);
    if let Some(zones) = draft.zones {
        zone_floor(report, top, &shape.strategy, zones);
    }
    let floor = draft.min_healthy.or(shape.min_healthy);
    let Some(floor) = floor.filter(|floor| !floor.is_zero()) else { return };
    let at = top.key_at("min-healthy").unwrap_or(place(top, "strategy"));
    let in_place = match &shape.strategy {
        Strategy::AllAtOnce => {
            let message = format!("all-at-once takes every host out, `min-healthy` wants {floor}");
            let help = "choose `rolling`, or write `min-healthy: 0`";
            report.error(at, codes::CAPACITY, message, help);
            return;
        }
        Strategy::Rolling { batch, .. } => Some(batch.last()),
        // New hosts stand in for those that are out.
        Strategy::Canary { .. } | Strategy::Linear { .. } if draft.instances.is_some() => return,
        Strategy::Canary { .. } | Strategy::Linear { .. } => None,
        Strategy::RollingExtra { .. } | Strategy::Immutable { .. } | Strategy::BlueGreen { .. } => {
            return;
        }
    };
    match (floor, in_place) {
        (Amount::Percent(100), _) => {
            let message = "`min-healthy: 100%` forbids every deployment in place";
            let help = "lower it, or choose rolling-extra, immutable or blue-green";
            report.error(at, codes::CAPACITY, message, help);
        }
        (Amount::Percent(percent), _) if percent >= 90 => {
            let hosts = 100_u32.div_ceil(100 - percent);
            let message = format!("with fewer than {hosts} hosts nothing can be deployed");
            let help = "lower `min-healthy`, or choose rolling-extra";
            report.warn(at, codes::CAPACITY_DOUBT, message, help);
        }
        (Amount::Percent(percent), Some(Amount::Percent(batch))) if batch > 100 - percent => {
            let message =
                format!("batches of {batch}% never happen: {percent}% have to stay in service");
            let help = format!("write `batch: {}%`", 100 - percent);
            report.warn(at, codes::CAPACITY_DOUBT, message, help);
        }
        _ => {}
    }
}

/// More new hosts at first than there are to be in all.
fn extra(report: &mut Report, top: &Fields<'_>, strategy: &Strategy, draft: &Draft<'_>) {
    let Some(count) = draft.instances.and_then(|instances| instances.count) else { return };
    let (key, wanted) = match strategy {
        Strategy::RollingExtra { extra: Amount::Count(wanted), .. } => ("extra", *wanted),
        Strategy::Immutable { first: Amount::Count(wanted), .. } => ("first", *wanted),
        _ => return,
    };
    if wanted > count {
        let at = place(top, "strategy");
        let message = format!("`{key}: {wanted}` wants more hosts than `instances.count: {count}`");
        let help = format!("write `{key}: {count}`, or a larger count");
        report.error(at, codes::CAPACITY, message, help);
    }
}

fn zone_floor(report: &mut Report, top: &Fields<'_>, strategy: &Strategy, zones: &Zones) {
    let at = place(top, "zones");
    let in_place = match strategy {
        Strategy::AllAtOnce => {
            let message = "all-at-once takes no account of zones: `zones` has no effect";
            report.error(at, codes::IGNORED_KEY, message, "choose `rolling`, or remove it");
            return;
        }
        Strategy::Rolling { .. } | Strategy::Canary { .. } | Strategy::Linear { .. } => true,
        Strategy::RollingExtra { .. } | Strategy::Immutable { .. } | Strategy::BlueGreen { .. } => {
            false
        }
    };
    match zones.min_healthy {
        Some(Amount::Percent(100)) if in_place => {
            let message = "`zones.min-healthy: 100%` forbids every deployment in place";
            report.error(at, codes::CAPACITY, message, "lower it, such as to 50%");
        }
        Some(floor) if zones.whole_zone && !floor.is_zero() => {
            let message = format!("a whole zone is never out: {floor} of it stay in service");
            let help = "remove `whole-zone`, or `min-healthy` below `zones`";
            report.warn(at, codes::CAPACITY_DOUBT, message, help);
        }
        _ => {}
    }
}

/// Budgets that end nothing, and budgets that others use up first.
pub(super) fn failures(report: &mut Report, top: &Fields<'_>, draft: &Draft<'_>) {
    let Some(budget) = draft.max_failures else { return };
    let at = place(top, "max-failures");
    let mut doubt = |message: String, help: &str| {
        report.warn(at, codes::CAPACITY_DOUBT, message, help);
    };
    if budget.total == Amount::Percent(100) {
        let message = "a deployment that fails on every host counts as succeeded".to_owned();
        return doubt(message, "lower `max-failures`, such as to 10%");
    }
    match (budget.total, budget.per_batch) {
        (Amount::Count(total), Some(Amount::Count(batch))) if batch > total => {
            let message = format!("{batch} failures in a batch are more than the {total} of all");
            return doubt(message, "lower `per-batch`, or raise `total`");
        }
        _ => {}
    }
    match (budget.total, budget.in_a_row) {
        (Amount::Count(total), Some(row)) if row > total => {
            let message = format!("{row} failures in a row are more than the {total} of all");
            return doubt(message, "lower `in-a-row`, or raise `total`");
        }
        _ => {}
    }
    if let (Amount::Percent(failed), Some(Amount::Percent(floor))) =
        (budget.total, draft.min_healthy)
        && failed + floor > 100
    {
        let message = format!("{failed}% may not fail where {floor}% have to stay in service");
        doubt(message, "lower one of the two");
    }
}
