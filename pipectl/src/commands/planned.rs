//! `--plan`: what a deployment or a rollback would do, in words. Nothing is touched by asking.

mod files;
mod summary;

pub use files::paths;

use super::{Context, asking, monitor};
use crate::answer::plan::{Monitors, Plan, Step};
use crate::connect::parse;
use crate::exit::{Exit, Result};
use crate::output::{Painter, clean, list, rough, table};
use indicatif::HumanBytes;
use serde_json::Value;

/// Columns where nobody knows how many there are, and below which lines are not cut.
const WIDTH: usize = 100;
const WIDTH_MIN: usize = 40;

/// Asks for the plan and prints it. Fails when it would not start, or some host could not take it.
pub async fn show(context: &Context<'_>, group: &str, wanted: Value) -> Result<Exit> {
    let path = format!("/api/v1/groups/{group}/plan");
    let answer = context.client()?.post(&path, wanted).await?;
    let plan: Plan = parse(&answer)?;
    let output = context.output;
    if output.is_json() {
        output.json(&answer);
    } else {
        text(output.painter, &plan).iter().for_each(|line| output.line(line));
    }
    let stands_in_the_way = plan.refused.is_some() || plan.clashing > 0 || plan.failed > 0;
    Ok(if stands_in_the_way { Exit::Failed } else { Exit::Done })
}

/// Shows in a few lines what an order would do and asks whether to go ahead. What was agreed to; None:
/// nobody wants it. `all`: the command that shows the whole plan. `overrule`: why windows and freezes do
/// not count.
pub async fn confirm(
    context: &Context<'_>,
    group: &str,
    wanted: Value,
    (all, overrule): (&str, Option<&str>),
) -> Result<Option<Plan>> {
    let output = context.output;
    output.note(output.painter.dim("Asking the hosts what would change…"));
    let path = format!("/api/v1/groups/{group}/plan");
    let plan: Plan = parse(&context.client()?.post(&path, wanted).await?)?;
    let width = terminal_size::terminal_size().map_or(WIDTH, |(width, _)| usize::from(width.0));
    let lines = summary::summary(output.painter, &plan, overrule, (all, width.max(WIDTH_MIN)));
    lines.iter().for_each(|line| output.line(line));
    if asking::ask("Go ahead?")? {
        return Ok(Some(plan));
    }
    output.note("nothing was ordered");
    Ok(None)
}

fn text(painter: Painter, plan: &Plan) -> Vec<String> {
    let mut lines = vec![painter.strong(&title(plan)), list(head(plan))];
    if let Some(refused) = &plan.refused {
        lines.push(String::new());
        lines.push(painter.bad("It would end at once, before anything is touched:"));
        lines.push(list(vec![vec![String::new(), clean(refused)]]));
    }
    section(&mut lines, painter, "Start", bullets(&plan.start.sentences));
    section(&mut lines, painter, "Capacity", bullets(&plan.capacity));
    section(&mut lines, painter, "Steps", steps(plan));
    section(&mut lines, painter, "Approvals", bullets(&plan.approvals));
    monitors(&mut lines, painter, plan);
    if !plan.hosts.is_empty() {
        lines.push(String::new());
        lines.push(hosts(painter, plan));
    }
    for (names, preview) in files::alike(&plan.hosts) {
        lines.push(String::new());
        lines.push(painter.strong(&names));
        lines.extend(files::changes(painter, preview));
    }
    section(&mut lines, painter, "Cannot be undone", bullets(&plan.cannot_be_undone));
    section(&mut lines, painter, "Notes", bullets(&plan.notes));
    lines.push(String::new());
    lines.push(verdict(painter, plan));
    lines
}

fn title(plan: &Plan) -> String {
    let (group, label) = (clean(&plan.group), clean(&plan.revision.revision.label));
    let title = match plan.purpose.as_str() {
        "rollback" => format!("Rollback of {group} to {label}"),
        _ => format!("Deployment of {label} to {group}"),
    };
    format!("{title} ({})", clean(&plan.application))
}

fn head(plan: &Plan) -> Vec<Vec<String>> {
    let digest: String = plan.revision.revision.digest.chars().take(12).collect();
    let artifact = format!("{} ({})", clean(&digest), HumanBytes(plan.revision.size));
    vec![vec!["artifact".to_owned(), artifact], vec!["strategy".to_owned(), strategy(plan)]]
}

fn strategy(plan: &Plan) -> String {
    let mut strategy = clean(&plan.strategy);
    if plan.least_secs > 0 {
        let least = rough(i64::try_from(plan.least_secs).unwrap_or(i64::MAX).saturating_mul(1000));
        strategy.push_str(&format!("; at least {least} of waiting"));
    }
    let approvals = plan.steps.iter().filter(|step| step.approve_secs.is_some()).count();
    match approvals {
        0 => {}
        1 => strategy.push_str("; a person has to agree once"),
        more => strategy.push_str(&format!("; a person has to agree {more} times")),
    }
    strategy
}

fn section(lines: &mut Vec<String>, painter: Painter, title: &str, rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        return;
    }
    lines.push(String::new());
    lines.push(painter.strong(title));
    lines.push(list(rows));
}

fn bullets(sentences: &[String]) -> Vec<Vec<String>> {
    sentences.iter().map(|sentence| vec!["·".to_owned(), clean(sentence)]).collect()
}

fn steps(plan: &Plan) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for step in &plan.steps {
        rows.push(vec![step.number.to_string(), clean(&step.sentence)]);
        if let Some(weights) = weights(step) {
            rows.push(vec![String::new(), weights]);
        }
    }
    rows
}

/// As they were seen last: nobody looks while nothing is deployed.
fn monitors(lines: &mut Vec<String>, painter: Painter, plan: &Plan) {
    let Monitors { deployment, over, monitors, sentences } = &plan.monitors;
    if monitors.is_empty() {
        return;
    }
    let seen = match deployment {
        Some(id) if *over => format!("last seen by {}, which is over", clean(id)),
        Some(id) => format!("as {} sees them", clean(id)),
        None => "not looked at before the first deployment".to_owned(),
    };
    lines.push(String::new());
    lines.push(painter.strong(&format!("Monitors, {seen}")));
    let head = ["monitor", "state", "why", "looked at"];
    lines.push(indented(&table(painter, &head, monitors.iter().map(monitor::row).collect())));
    lines.push(list(bullets(sentences)));
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// `host-1 weight 85 · host-2, host-3 weight 256`: those with the same one together.
fn weights(step: &Step) -> Option<String> {
    let mut parts: Vec<(u16, Vec<String>)> = Vec::new();
    for entry in &step.weights {
        match parts.last_mut() {
            Some((weight, names)) if *weight == entry.weight => names.push(clean(&entry.host)),
            _ => parts.push((entry.weight, vec![clean(&entry.host)])),
        }
    }
    let parts: Vec<String> = parts
        .iter()
        .map(|(weight, names)| {
            let gets =
                if *weight == 0 { "no traffic".to_owned() } else { format!("weight {weight}") };
            format!("{} {gets}", some(names))
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// All names where they are few.
fn some(names: &[String]) -> String {
    match names {
        [first, .., last] if names.len() > 6 => format!("{first} … {last} ({})", names.len()),
        names => names.join(", "),
    }
}

fn hosts(painter: Painter, plan: &Plan) -> String {
    let zones = plan.hosts.iter().any(|host| host.zone.is_some());
    let routed = plan.hosts.iter().any(|host| host.weight.is_some());
    let mut head = vec!["#", "host"];
    head.extend(zones.then_some("zone"));
    head.extend(["serves", "will serve"]);
    head.extend(routed.then_some("traffic"));
    head.push("files");
    let rows = plan.hosts.iter().enumerate().map(|(index, host)| {
        let or_dash =
            |text: &Option<String>| text.as_deref().map_or_else(|| "nothing".to_owned(), clean);
        let mut row = vec![(index + 1).to_string(), clean(&host.name)];
        row.extend(zones.then(|| host.zone.as_deref().map(clean).unwrap_or_default()));
        row.extend([or_dash(&host.serves), or_dash(&host.will_serve)]);
        row.extend(routed.then(|| match host.weight {
            Some(0) => "none".to_owned(),
            Some(weight) => format!("weight {weight}"),
            None => "–".to_owned(),
        }));
        row.push(files::cell(host));
        row
    });
    table(painter, &head, rows.collect())
}

fn verdict(painter: Painter, plan: &Plan) -> String {
    let hosts = |number: usize| {
        if number == 1 { "1 host".to_owned() } else { format!("{number} hosts") }
    };
    if plan.refused.is_some() {
        return painter.bad("It would not start. Nothing was touched.");
    }
    if plan.clashing > 0 {
        let text = format!(
            "It would fail on {} for the clashes above, before what runs is touched. Nothing was touched.",
            hosts(plan.clashing)
        );
        return painter.bad(&text);
    }
    if plan.failed > 0 {
        let text =
            format!("{} could not look; see above. Nothing was touched.", hosts(plan.failed));
        return painter.bad(&text);
    }
    match plan.silent {
        0 if !plan.start.at_once => painter.wait(
            "Nothing stands in its way, but it would not start at once. Nothing was touched.",
        ),
        0 => painter.good("Nothing stands in its way. Nothing was touched."),
        silent => painter.wait(&format!(
            "Nothing is known to stand in its way; {} did not answer. Nothing was touched.",
            hosts(silent)
        )),
    }
}

#[cfg(test)]
mod tests;
