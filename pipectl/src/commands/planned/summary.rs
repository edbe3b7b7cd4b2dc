//! A plan in a few lines, for somebody who is about to say yes.

use super::{some, title, verdict};
use crate::answer::plan::Plan;
use crate::output::{Painter, clean};

/// At most eleven lines, so that a question still fits below; one line each, none wider than `width`. `overrule`: why the calendar does not count.
pub fn summary(
    painter: Painter,
    plan: &Plan,
    overrule: Option<&str>,
    (all, width): (&str, usize),
) -> Vec<String> {
    let mut rows = vec![
        ("hosts", hosts(plan)),
        ("serve now", serving(plan)),
        ("strategy", super::strategy(plan)),
        ("capacity", first(&plan.capacity)),
        ("files", files(plan)),
    ];
    match (&plan.refused, overrule) {
        (Some(refused), _) => rows.push(("refused", clean(refused))),
        (None, Some(reason)) => {
            // One of them is the calendar's, which does not count.
            let more = match plan.start.sentences.len() {
                0 | 1 => String::new(),
                all => format!("(and {} more) ", all - 1),
            };
            rows.push(("start", format!("{more}whatever the calendar says: {reason}")));
        }
        (None, None) => rows.push(("start", first(&plan.start.sentences))),
    }
    let alarms = plan.monitors.monitors.iter().filter(|monitor| monitor.state == "alarm");
    let alarms: Vec<String> = alarms.map(|monitor| clean(&monitor.name)).collect();
    if !alarms.is_empty() {
        rows.push(("in alarm", some(&alarms)));
    }
    rows.push(("for good", first(&plan.cannot_be_undone)));
    let mut lines = vec![painter.strong(&cut(&title(plan), width))];
    let rows = rows.into_iter().filter(|(_, text)| !text.is_empty());
    lines.extend(rows.map(|(name, text)| cut(&format!("  {name:<9}  {text}"), width)));
    lines.push(verdict(painter, plan));
    lines.push(painter.dim(&cut(&format!("All of it: {all}"), width)));
    lines
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// The first of several sentences, and how many there are.
fn first(sentences: &[String]) -> String {
    match sentences {
        [] => String::new(),
        [one] => clean(one),
        [one, more @ ..] => format!("(and {} more) {}", more.len(), clean(one)),
    }
}

fn hosts(plan: &Plan) -> String {
    let names: Vec<String> = plan.hosts.iter().map(|host| clean(&host.name)).collect();
    if names.is_empty() { "none".to_owned() } else { format!("{}: {}", names.len(), some(&names)) }
}

/// `a11ce00 First on 2, nothing on 1`.
fn serving(plan: &Plan) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for host in &plan.hosts {
        let serves = host.serves.as_deref().map_or_else(|| "nothing".to_owned(), clean);
        match counts.iter_mut().find(|(label, _)| *label == serves) {
            Some((_, count)) => *count += 1,
            None => counts.push((serves, 1)),
        }
    }
    let parts = counts.iter().map(|(label, count)| format!("{label} on {count}"));
    parts.collect::<Vec<_>>().join(", ")
}

/// What most hosts say, and what is wrong with any.
fn files(plan: &Plan) -> String {
    let previews = plan.hosts.iter().filter_map(|host| host.preview.as_ref());
    let Some(most) = previews.clone().map(|preview| preview.changed).max() else {
        return String::new();
    };
    let files = previews.map(|preview| preview.files).max().unwrap_or(most).max(most);
    let mut text = format!("up to {most} of {files} change on a host");
    let clashes = |host: &&crate::answer::plan::Host| {
        host.preview.as_ref().is_some_and(|preview| !preview.clashes.is_empty())
    };
    let clashing: Vec<String> =
        plan.hosts.iter().filter(clashes).map(|host| clean(&host.name)).collect();
    if !clashing.is_empty() {
        text = format!("they clash on {}; {text}", some(&clashing));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan() -> Plan {
        let host = |name: &str, serves: Option<&str>, clashes: &[&str]| {
            json!({"name": name, "serves": serves,
                   "preview": {"files": 3, "changed": 2, "clashes": clashes}})
        };
        serde_json::from_value(json!({
            "group": "production", "application": "shop", "purpose": "forward",
            "revision": {"label": "b0b5 Second", "digest": "b".repeat(64), "size": 2048},
            "strategy": "rolling, 1 at a time", "least_secs": 90,
            "capacity": ["2 hosts; at least 1 stays in service", "2 batches of 1"],
            "hosts": [host("host-1", Some("a11ce00 First"), &[]), host("host-2", None, &["motd"])],
            "start": {"at_once": false, "sentences": ["It would wait until d-3 has ended."]},
            "monitors": {"monitors": [{"name": "errors", "state": "alarm"}]},
            "cannot_be_undone": ["host-2 does not have an earlier revision to return to"],
            "clashing": 1,
        }))
        .unwrap()
    }

    #[test]
    fn everything_that_counts_is_said_in_a_few_lines() {
        let all = "pipectl deploy production --plan";
        let lines = summary(Painter { colours: false }, &plan(), None, (all, 100));
        let expected = "Deployment of b0b5 Second to production (shop)
  hosts      2: host-1, host-2
  serve now  a11ce00 First on 1, nothing on 1
  strategy   rolling, 1 at a time; at least 1 min 30 s of waiting
  capacity   (and 1 more) 2 hosts; at least 1 stays in service
  files      they clash on host-2; up to 2 of 3 change on a host
  start      It would wait until d-3 has ended.
  in alarm   errors
  for good   host-2 does not have an earlier revision to return to
It would fail on 1 host for the clashes above, before what runs is touched. Nothing was touched.
All of it: pipectl deploy production --plan";
        assert_eq!(lines.join("\n"), expected);
    }

    #[test]
    fn lines_are_cut_and_an_override_is_said() {
        let mut plan = plan();
        (plan.hosts, plan.clashing) = (Vec::new(), 0);
        plan.revision.revision.label = "long ".repeat(40);
        let why = Some("mends the outage");
        let lines = summary(Painter { colours: false }, &plan, why, ("pipectl", 60));
        assert!(lines[0].ends_with('…') && lines[0].chars().count() <= 60, "{lines:?}");
        let start = "  start      whatever the calendar says: mends the outage";
        assert!(lines.contains(&start.to_owned()), "{lines:?}");
        plan.start.sentences.push("It would wait behind d-3.".to_owned());
        let lines = summary(Painter { colours: false }, &plan, why, ("pipectl", 70));
        assert!(lines.iter().any(|line| line.contains("(and 1 more) whatever")), "{lines:?}");
    }
}
