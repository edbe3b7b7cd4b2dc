//! The top of a group file.

use crate::spec::appspec::{FileExists, SCRIPT_EVENTS};
use crate::spec::codes;
use crate::spec::decode::{self, Fields, Report};
use crate::spec::group::{
    Drain, Group, Health, HooksPolicy, NewerDeployment, OfflineHosts, Rollback, RollbackOn, Zones,
    analysis, budget, check, hosts, instances, monitor, router, storage, strategy,
};
use crate::spec::problem::Parsed;
use crate::spec::yaml::Node;
use crate::spec::{Kind, Window};
use crate::time::Millis;
use std::collections::BTreeMap;

const HOST_TIMEOUT: Millis = Millis::from_minutes(60);

const OFFLINE: [(&str, OfflineHosts); 2] =
    [("fail", OfflineHosts::Fail), ("skip", OfflineHosts::Skip)];
const NEWER: [(&str, NewerDeployment); 3] = [
    ("queue", NewerDeployment::Queue),
    ("supersede", NewerDeployment::Supersede),
    ("reject", NewerDeployment::Reject),
];

/// Reads a group file, all mistakes at once.
#[must_use]
pub fn parse(text: &str) -> Parsed<Group> {
    decode::read(Kind::Group, text, read)
}

pub(crate) fn read(report: &mut Report, mut top: Fields<'_>) -> Option<Group> {
    let version = report.format_version(&mut top);
    let name = top.require(report, "group", "name the group: `group: production`");
    let name = name.and_then(|node| report.name(node, "group"));
    let application = top.require(report, "application", "name what is deployed");
    let application = application.and_then(|node| report.name(node, "application"));
    let help = "select hosts: `hosts: {tags: {role: web}}`";
    let hosts = top.require(report, "hosts", help).and_then(|node| hosts::read(report, node));
    let instances = top.get("instances");
    let instances = instances.and_then(|node| instances::read(report, node, hosts.as_ref()));
    let shape = match top.get("strategy") {
        Some(node) => strategy::read(report, node),
        None => Some(strategy::default()),
    };
    let min_healthy = top.get("min-healthy");
    let min_healthy = min_healthy.and_then(|node| report.amount_or_zero(node, "min-healthy"));
    let max_failures = top.get("max-failures").and_then(|node| budget::read(report, node));
    let rollback = top.get("rollback").and_then(|node| rollback(report, node));
    let health = top.get("health").and_then(|node| health(report, node));
    let tried = shape.as_ref().is_none_or(|shape| shape.strategy.tries());
    let router = top.get("router").and_then(|node| router::read(report, node, tried));
    let monitors = top.get("monitors");
    let routed = top.key_at("router").is_some();
    let monitors = monitors.map(|node| monitor::read(report, node, routed));
    let analysis = top.get_or_null("analysis").and_then(|node| analysis::read(report, node));
    let drain = top.get("drain").and_then(|node| drain(report, node));
    let zones = top.get("zones").and_then(|node| zones(report, node));
    let keep = top.get("keep-releases").and_then(|node| storage::keep_releases(report, node));
    let shared = top.get("shared").map(|node| storage::shared(report, node));
    let exists = top.get("file-exists-behavior");
    let file_exists_behavior =
        exists.and_then(|node| report.choice(node, "file-exists-behavior", &FileExists::CHOICES));
    let ignore = top.get("ignore-stop-failures");
    let ignore = ignore.and_then(|node| report.boolean(node, "ignore-stop-failures"));
    let hooks = top.get("hooks").and_then(|node| hooks(report, node));
    let timeout = top.get("timeout").and_then(|node| report.time_limit(node, "timeout"));
    let offline = top.get("offline").and_then(|node| report.choice(node, "offline", &OFFLINE));
    let newer = top.get("newer").and_then(|node| report.choice(node, "newer", &NEWER));
    let allowed = windows(report, &mut top, "windows");
    let freeze = windows(report, &mut top, "freeze");
    check::windows(report, &top, &allowed, &freeze);
    check::timeouts(report, &top, timeout, hooks.as_ref(), health.as_ref());
    let monitors = monitors.unwrap_or_default();
    let draft = check::Draft {
        hosts: hosts.as_ref(),
        instances: instances.as_ref(),
        shape: shape.as_ref(),
        min_healthy,
        max_failures,
        router: router.as_ref(),
        monitors: &monitors,
        analysis: analysis.as_ref(),
        zones: zones.as_ref(),
    };
    check::check(report, &top, &draft);
    top.finish(report);
    let strategy::Shape { strategy, min_healthy: implied, .. } = shape?;
    Some(Group {
        version: version?,
        name: name?,
        application: application?,
        hosts: hosts?,
        instances,
        strategy,
        min_healthy: min_healthy.or(implied),
        max_failures: max_failures.unwrap_or_default(),
        rollback: rollback.unwrap_or_default(),
        health,
        router,
        monitors,
        analysis,
        drain: drain.unwrap_or_default(),
        zones,
        keep_releases: keep.unwrap_or_default(),
        shared: shared.unwrap_or_default(),
        file_exists_behavior,
        ignore_stop_failures: ignore.unwrap_or(true),
        hooks: hooks.unwrap_or_default(),
        timeout: timeout.unwrap_or(HOST_TIMEOUT),
        offline: offline.unwrap_or_default(),
        newer: newer.unwrap_or_default(),
        windows: allowed,
        freeze,
    })
}

/// `{on: [failure]}`, or `never`.
fn rollback(report: &mut Report, node: &Node) -> Option<Rollback> {
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
fn health(report: &mut Report, node: &Node) -> Option<Health> {
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
fn drain(report: &mut Report, node: &Node) -> Option<Drain> {
    if node.text().is_some() {
        return report.duration(node, "drain").map(|timeout| Drain { timeout });
    }
    let mut fields = Fields::open(report, node, "drain")?;
    let timeout = fields.get("timeout").map(|node| report.duration(node, "drain.timeout"));
    fields.finish(report);
    Some(Drain { timeout: timeout.unwrap_or(Some(Drain::default().timeout))? })
}

/// The tag alone, or with settings.
fn zones(report: &mut Report, node: &Node) -> Option<Zones> {
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

fn hooks(report: &mut Report, node: &Node) -> Option<HooksPolicy> {
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

fn windows(report: &mut Report, top: &mut Fields<'_>, key: &'static str) -> Vec<Window> {
    let Some(node) = top.get(key) else { return Vec::new() };
    let items = report.list(node, key).iter().enumerate();
    items.filter_map(|(index, item)| report.window(item, &format!("{key}[{index}]"))).collect()
}
