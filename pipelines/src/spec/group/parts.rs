//! The smaller sections of a group file.

use crate::spec::appspec::SCRIPT_EVENTS;
use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::group::{Drain, Health, HooksPolicy, Rollback, RollbackOn, Zones};
use crate::spec::yaml::Node;
use crate::time::Millis;
use std::collections::BTreeMap;

/// `{on: [failure]}`, or `never`.
pub(super) fn rollback(report: &mut Report, node: &Node) -> Option<Rollback> {
    if node.text() == Some("never") {
        return Some(Rollback { on: Vec::new() });
    }
    let mut fields = Fields::open(report, node, "rollback")?;
    let words = [
        ("failure", RollbackOn::Failure),
        ("alarm", RollbackOn::Alarm),
        ("stop", RollbackOn::Stop),
    ];
    let mut on = match fields.get("on") {
        Some(node) => report
            .list(node, "rollback.on")
            .iter()
            .filter_map(|item| report.choice(item, "rollback.on", &words))
            .collect(),
        None => Rollback::default().on,
    };
    on.sort_unstable();
    on.dedup();
    fields.finish(report);
    Some(Rollback { on })
}

/// `{http: URL, …}`, or the URL alone.
pub(super) fn health(report: &mut Report, node: &Node) -> Option<Health> {
    let short = |http| Health {
        http,
        status: 200,
        timeout: Millis::from_secs(60),
        interval: Millis::from_secs(1),
        healthy_for: Millis::ZERO,
    };
    if node.text().is_some() {
        return report.http_url(node, "health").map(short);
    }
    let mut fields = Fields::open(report, node, "health")?;
    let http = fields.require(report, "http", "write http://127.0.0.1:8080/healthz, for example");
    let http = http.and_then(|node| report.http_url(node, "health.http"));
    let status = fields.get("status").and_then(|n| report.number(n, "health.status", 100..=599));
    let mut time = |report: &mut Report, key, default: Millis| {
        let node = fields.get(key);
        node.and_then(|n| report.duration(n, &fields.join(key))).unwrap_or(default)
    };
    let timeout = time(report, "timeout", Millis::from_secs(60));
    let interval = time(report, "interval", Millis::from_secs(1));
    let healthy_for = time(report, "healthy-for", Millis::ZERO);
    if healthy_for > timeout || interval > timeout || interval == Millis::ZERO {
        let message = "`health` can never succeed within its `timeout`";
        let help = "let `timeout` be longer than `interval` and `healthy-for`, and those above 0";
        report.error(node.at, codes::CAPACITY, message, help);
    }
    fields.finish(report);
    let status = status.and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
    Some(Health { status, timeout, interval, healthy_for, ..short(http?) })
}

/// `30s`, or `{timeout: 30s}`.
pub(super) fn drain(report: &mut Report, node: &Node) -> Option<Drain> {
    if node.text().is_some() {
        return report.duration(node, "drain").map(|timeout| Drain { timeout });
    }
    let mut fields = Fields::open(report, node, "drain")?;
    let timeout = fields.get("timeout").map(|node| report.duration(node, "drain.timeout"));
    fields.finish(report);
    Some(Drain { timeout: timeout.unwrap_or(Some(Drain::default().timeout))? })
}

/// The tag alone, or with settings.
pub(super) fn zones(report: &mut Report, node: &Node) -> Option<Zones> {
    let short = |tag| Zones {
        tag,
        one_at_a_time: false,
        hold: Millis::ZERO,
        first_hold: Millis::ZERO,
        min_healthy: None,
        whole_zone: false,
    };
    if node.text().is_some() {
        return report.word(node, "zones").map(short);
    }
    let mut fields = Fields::open(report, node, "zones")?;
    let tag = fields.require(report, "tag", "name the tag that holds a host's zone");
    let tag = tag.and_then(|node| report.word(node, "zones.tag"));
    let hold = fields.get("hold").and_then(|node| report.duration(node, "zones.hold"));
    let first = fields.get("first-hold");
    let first = first.and_then(|node| report.duration(node, "zones.first-hold"));
    let floor = fields.get("min-healthy");
    let min_healthy = floor.and_then(|node| report.amount_or_zero(node, "zones.min-healthy"));
    let mut flag = |report: &mut Report, key| {
        let node = fields.get(key);
        node.and_then(|node| report.boolean(node, &fields.join(key))).unwrap_or(false)
    };
    let one_at_a_time = flag(report, "one-at-a-time");
    let whole_zone = flag(report, "whole-zone");
    fields.finish(report);
    let hold = hold.unwrap_or(Millis::ZERO);
    let first_hold = first.unwrap_or(hold);
    Some(Zones { one_at_a_time, hold, first_hold, min_healthy, whole_zone, ..short(tag?) })
}

/// What holds for the hooks of every appspec.
pub(super) fn hooks(report: &mut Report, node: &Node) -> Option<HooksPolicy> {
    let mut fields = Fields::open(report, node, "hooks")?;
    let timeout = fields.get("timeout").and_then(|node| report.time_limit(node, "hooks.timeout"));
    let pairs = match fields.get("env") {
        Some(node) => report.scalars(node, "hooks.env"),
        None => Vec::new(),
    };
    let mut env = BTreeMap::new();
    for (name, at, value) in pairs {
        report.variable_name(at, &name, "hooks.env");
        env.insert(name, value);
    }
    let mut irreversible: Vec<String> = Vec::new();
    if let Some(node) = fields.get("irreversible") {
        let events = SCRIPT_EVENTS.map(|event| (event, event));
        for item in report.list(node, "hooks.irreversible") {
            irreversible
                .extend(report.choice(item, "hooks.irreversible", &events).map(str::to_owned));
        }
    }
    fields.finish(report);
    let timeout = timeout.unwrap_or(HooksPolicy::default().timeout);
    Some(HooksPolicy { timeout, env, irreversible })
}
