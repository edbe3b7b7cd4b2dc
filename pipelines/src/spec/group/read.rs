//! The top of a group file.

use crate::spec::appspec::FileExists;
use crate::spec::decode::{self, Fields, Report};
use crate::spec::group::{
    Group, HooksPolicy, KeepReleases, NewerDeployment, OfflineHosts, SharedPath, analysis, budget,
    check, hosts, instances, monitor, parts, router, storage, strategy,
};
use crate::spec::problem::Parsed;
use crate::spec::{Kind, Window};
use crate::time::Millis;

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
    let name = named(report, &mut top, "group", "name the group: `group: production`");
    let application = named(report, &mut top, "application", "name what is deployed");
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
    let rollback = top.get("rollback").and_then(|node| parts::rollback(report, node));
    let health = top.get("health").and_then(|node| parts::health(report, node));
    let tried = shape.as_ref().is_none_or(|shape| shape.strategy.tries());
    let router = top.get("router").and_then(|node| router::read(report, node, tried));
    let routed = monitor::routed(router.as_ref(), check::said(&top, "router").is_some());
    let monitors = top.get("monitors").map(|node| monitor::read(report, node, routed));
    let analysis = top.get_or_null("analysis").and_then(|node| analysis::read(report, node));
    let drain = top.get("drain").and_then(|node| parts::drain(report, node));
    let zones = top.get("zones").and_then(|node| parts::zones(report, node));
    let host = host_work(report, &mut top);
    check::timeouts(report, &top, host.timeout, host.hooks.as_ref(), health.as_ref());
    let start = start(report, &mut top);
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
        keep_releases: host.keep_releases.unwrap_or_default(),
        shared: host.shared,
        file_exists_behavior: host.file_exists_behavior,
        ignore_stop_failures: host.ignore_stop_failures.unwrap_or(true),
        hooks: host.hooks.unwrap_or_default(),
        timeout: host.timeout.unwrap_or(HOST_TIMEOUT),
        offline: start.offline.unwrap_or_default(),
        newer: start.newer.unwrap_or_default(),
        windows: start.windows,
        freeze: start.freeze,
    })
}

fn named(
    report: &mut Report,
    top: &mut Fields<'_>,
    key: &'static str,
    help: &str,
) -> Option<String> {
    let node = top.require(report, key, help)?;
    report.name(node, key)
}

/// What is done on one host, and what stays there.
struct HostWork {
    keep_releases: Option<KeepReleases>,
    shared: Vec<SharedPath>,
    file_exists_behavior: Option<FileExists>,
    ignore_stop_failures: Option<bool>,
    hooks: Option<HooksPolicy>,
    timeout: Option<Millis>,
}

fn host_work(report: &mut Report, top: &mut Fields<'_>) -> HostWork {
    let keep = top.get("keep-releases");
    let keep_releases = keep.and_then(|node| storage::keep_releases(report, node));
    let shared = top.get("shared").map(|node| storage::shared(report, node)).unwrap_or_default();
    let exists = top.get("file-exists-behavior");
    let file_exists_behavior =
        exists.and_then(|node| report.choice(node, "file-exists-behavior", &FileExists::CHOICES));
    let ignore = top.get("ignore-stop-failures");
    let ignore_stop_failures = ignore.and_then(|n| report.boolean(n, "ignore-stop-failures"));
    let hooks = top.get("hooks").and_then(|node| parts::hooks(report, node));
    let timeout = top.get("timeout").and_then(|node| report.time_limit(node, "timeout"));
    HostWork { keep_releases, shared, file_exists_behavior, ignore_stop_failures, hooks, timeout }
}

/// What there has to be for a deployment to start.
struct Start {
    offline: Option<OfflineHosts>,
    newer: Option<NewerDeployment>,
    windows: Vec<Window>,
    freeze: Vec<Window>,
}

fn start(report: &mut Report, top: &mut Fields<'_>) -> Start {
    let offline = top.get("offline").and_then(|node| report.choice(node, "offline", &OFFLINE));
    let newer = top.get("newer").and_then(|node| report.choice(node, "newer", &NEWER));
    let allowed = windows(report, top, "windows");
    let freeze = windows(report, top, "freeze");
    check::windows(report, top, &allowed, &freeze);
    Start { offline, newer, windows: allowed, freeze }
}

fn windows(report: &mut Report, top: &mut Fields<'_>, key: &'static str) -> Vec<Window> {
    let Some(node) = top.get(key) else { return Vec::new() };
    let items = report.short_list(node, key).iter().enumerate();
    items.filter_map(|(index, item)| report.window(item, &format!("{key}[{index}]"))).collect()
}
