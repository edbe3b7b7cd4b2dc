//! Capacity that cannot work, and names that do not exist.

use crate::spec::codes;
use crate::spec::decode::{Fields, Report, suggest};
use crate::spec::group::alias::Shape;
use crate::spec::group::{Amount, Monitor, Strategy};

pub(super) fn check(
    report: &mut Report,
    top: &Fields<'_>,
    shape: Option<&Shape>,
    min_healthy: Option<Amount>,
    monitors: &[Monitor],
) {
    let Some(shape) = shape else { return };
    capacity(report, top, &shape.strategy, min_healthy.or(shape.min_healthy));
    let at = top.key_at("strategy").unwrap_or(top.at);
    match &shape.strategy {
        Strategy::BlueGreen { .. } if top.key_at("router").is_none() => {
            let message = "blue-green switches traffic, and there is no router to do it";
            report.error(at, codes::NO_ROUTER, message, "add `router:`");
        }
        Strategy::Canary { .. } | Strategy::Linear { .. } if top.key_at("router").is_none() => {
            let message = "without a router, weights are shares of the hosts";
            report.warn(at, codes::NO_ROUTER, message, "add `router:` to shift traffic exactly");
        }
        _ => {}
    }
    let names: Vec<&str> = monitors.iter().map(|monitor| monitor.name.as_str()).collect();
    if let Strategy::Canary { steps, .. } = &shape.strategy {
        for name in steps.iter().flat_map(|step| &step.analyse) {
            if !names.contains(&name.as_str()) {
                let message = format!("a step analyses '{name}', which is not a monitor");
                report.error(at, codes::UNKNOWN_NAME, message, suggest::help(name, &names));
            }
        }
    }
}

/// Strategies that take hosts out need room below the floor.
fn capacity(
    report: &mut Report,
    top: &Fields<'_>,
    strategy: &Strategy,
    min_healthy: Option<Amount>,
) {
    let Some(floor) = min_healthy.filter(|floor| !floor.is_zero()) else { return };
    let at = top.key_at("min-healthy").or(top.key_at("strategy")).unwrap_or(top.at);
    let in_place = match strategy {
        Strategy::AllAtOnce => {
            let message = format!("all-at-once takes every host out, `min-healthy` wants {floor}");
            let help = "choose `rolling`, or write `min-healthy: 0`";
            report.error(at, codes::CAPACITY, message, help);
            return;
        }
        Strategy::Rolling { batch, .. } => Some(batch.last()),
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
