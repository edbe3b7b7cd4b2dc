//! Reading triggers.

use crate::spec::Globs;
use crate::spec::codes;
use crate::spec::decode::{Fields, Report};
use crate::spec::pipeline::trigger::{Placed, Places, PullRequestEvent, Trigger};
use crate::spec::yaml::{Node, Value};

const EVENTS: [(&str, PullRequestEvent); 4] = [
    ("opened", PullRequestEvent::Opened),
    ("updated", PullRequestEvent::Updated),
    ("merged", PullRequestEvent::Merged),
    ("closed", PullRequestEvent::Closed),
];

/// One entry of `triggers`: `push`, `pull-request` or `schedule`, bare or with its settings.
pub(in crate::spec::pipeline) fn read(
    report: &mut Report,
    node: &Node,
    path: &str,
) -> Option<Placed> {
    let mut places = Places::default();
    let trigger = one(report, node, path, &mut places)?;
    Some(Placed { trigger, places })
}

fn one(report: &mut Report, node: &Node, path: &str, places: &mut Places) -> Option<Trigger> {
    let bare = match node.text() {
        Some("push") => Some(push(report, None, places)),
        Some("pull-request") => Some(pull_request(report, None, places)),
        _ => None,
    };
    if let Some(trigger) = bare {
        return trigger;
    }
    let mut fields = Fields::open(report, node, path)?;
    let mut found = Vec::new();
    let mut wanted = 0;
    if let Some(node) = fields.get_or_null("push") {
        wanted += 1;
        found.extend(settings(report, node, &fields.join("push"), push, places));
    }
    if let Some(node) = fields.get_or_null("pull-request") {
        wanted += 1;
        found.extend(settings(report, node, &fields.join("pull-request"), pull_request, places));
    }
    if let Some(node) = fields.get("schedule") {
        wanted += 1;
        found.extend(schedule(report, node, &fields.join("schedule")));
    }
    fields.finish(report);
    if wanted != 1 {
        let message = format!("`{path}` has to be exactly one trigger");
        let help = "write one of push, pull-request, schedule; each trigger its own entry";
        report.error(node.at, codes::ACTION_KIND, message, help);
        return None;
    }
    found.pop()
}

type Read = fn(&mut Report, Option<&mut Fields<'_>>, &mut Places) -> Option<Trigger>;

fn settings(
    report: &mut Report,
    node: &Node,
    path: &str,
    read: Read,
    places: &mut Places,
) -> Option<Trigger> {
    if node.is_null() {
        return read(report, None, places);
    }
    let mut fields = Fields::open(report, node, path)?;
    let trigger = read(report, Some(&mut fields), places);
    fields.finish(report);
    trigger
}

fn globs(report: &mut Report, fields: &mut Option<&mut Fields<'_>>, key: &'static str) -> Globs {
    let Some(fields) = fields else { return Globs::default() };
    let Some(node) = fields.get(key) else { return Globs::default() };
    let path = fields.join(key);
    if key != "paths" {
        for item in items(node) {
            full_name(report, item, &path);
        }
    }
    report.globs(node, &path)
}

/// The entries of a list, or the one entry that stands alone.
fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        Value::Scalar { .. } | Value::Map(_) => std::slice::from_ref(node),
    }
}

/// Branches and tags are named as people name them.
fn full_name(report: &mut Report, item: &Node, path: &str) {
    let Some(text) = item.text() else { return };
    let pattern = text.trim().trim_start_matches('!');
    let short = ["refs/heads/", "refs/tags/"].iter().find_map(|start| pattern.strip_prefix(start));
    if let Some(short) = short {
        let message = format!("`{path}`: '{pattern}' can match nothing: names here are short");
        report.error(item.at, codes::DEAD_GLOB, message, format!("write '{short}'"));
    }
}

fn branches(
    report: &mut Report,
    fields: &mut Option<&mut Fields<'_>>,
    places: &mut Places,
) -> Globs {
    let node = fields.as_mut().and_then(|fields| fields.get("branches"));
    for item in node.map(items).unwrap_or_default() {
        places.branches.extend(
            item.text()
                .filter(|text| !text.starts_with('!') && !text.starts_with("refs/"))
                .map(|text| (item.at, text.to_owned())),
        );
    }
    globs(report, fields, "branches")
}

fn source(
    report: &mut Report,
    fields: &mut Option<&mut Fields<'_>>,
    places: &mut Places,
) -> Option<String> {
    let fields = fields.as_mut()?;
    let node = fields.get("source")?;
    places.source = Some(node.at);
    report.name(node, &fields.join("source"))
}

fn push(
    report: &mut Report,
    mut fields: Option<&mut Fields<'_>>,
    places: &mut Places,
) -> Option<Trigger> {
    let branches = branches(report, &mut fields, places);
    let tags = globs(report, &mut fields, "tags");
    let paths = globs(report, &mut fields, "paths");
    let source = source(report, &mut fields, places);
    if let Some(fields) = &fields
        && !paths.is_empty()
        && !tags.is_empty()
        && branches.is_empty()
    {
        let at = fields.key_at("paths").unwrap_or(fields.at);
        let message = "`paths` has no effect beside `tags`: a tag changes no path";
        report.error(at, codes::IGNORED_KEY, message, "remove `paths`, or add `branches`");
    }
    Some(Trigger::Push { branches, tags, paths, source })
}

fn pull_request(
    report: &mut Report,
    mut fields: Option<&mut Fields<'_>>,
    places: &mut Places,
) -> Option<Trigger> {
    // Into which branch says nothing about the branches of sources.
    let branches = globs(report, &mut fields, "branches");
    let paths = globs(report, &mut fields, "paths");
    let source = source(report, &mut fields, places);
    let mut events = vec![PullRequestEvent::Opened, PullRequestEvent::Updated];
    let mut drafts = false;
    if let Some(fields) = fields {
        if let Some(node) = fields.get("events") {
            let path = fields.join("events");
            let items = report.list(node, &path);
            events = items.iter().filter_map(|item| report.choice(item, &path, &EVENTS)).collect();
            if items.is_empty() && node.text().is_none() {
                let help = "write opened, updated, merged or closed";
                report.error(node.at, codes::MISSING_KEY, format!("`{path}` is empty"), help);
            }
        }
        if let Some(node) = fields.get("drafts") {
            drafts = report.boolean(node, &fields.join("drafts")).unwrap_or(false);
        }
    }
    Some(Trigger::PullRequest { branches, paths, events, drafts, source })
}

/// A cron expression alone, or `{cron, zone}`.
fn schedule(report: &mut Report, node: &Node, path: &str) -> Option<Trigger> {
    if node.text().is_some() {
        let cron = report.cron(node, path)?;
        return Some(Trigger::Schedule { cron, zone: "UTC".to_owned() });
    }
    let mut fields = Fields::open(report, node, path)?;
    let cron = fields.require(report, "cron", "write \"0 3 * * *\", for example");
    let cron = cron.and_then(|node| report.cron(node, &fields.join("cron")));
    let zone = fields.get("zone").map(|node| report.zone(node, &fields.join("zone")));
    fields.finish(report);
    Some(Trigger::Schedule { cron: cron?, zone: zone.unwrap_or(Some("UTC".to_owned()))? })
}
