//! How many hosts are out at once and why, for people who are about to say yes.

use super::names;
use crate::deploy::host::Host;
use crate::deploy::plan::{Plan, PlanHost, RollbackOn, Step};
use crate::protocol::task::Purpose;
use crate::spec::group::{Amount, Group};

/// The numbers behind the sentences.
struct Numbers<'a> {
    /// Hosts that are there.
    fleet: Vec<&'a PlanHost>,
    /// Those of them that serve now.
    serving: Vec<&'a PlanHost>,
    floor: u32,
    /// How many of the fleet one step works on at once, as the strategy has it.
    width: u32,
    /// How many may be out at once.
    room: u32,
    /// Whether a host that serves is ever worked on.
    leaves: bool,
}

/// One sentence for each: the floor and what it leaves room for, the batches, who serves now, the failure
/// budget, zones, going back.
#[must_use]
pub fn capacity(group: &Group, plan: &Plan) -> Vec<String> {
    let numbers = Numbers::of(plan);
    let mut said = vec![floor(group, plan, &numbers)];
    said.extend(batches(plan, &numbers));
    said.extend(now(&numbers));
    said.push(failures(group, plan, count(&numbers.fleet)));
    said.extend(zones(plan));
    said.extend(going_back(plan));
    said
}

impl Numbers<'_> {
    fn of(plan: &Plan) -> Numbers<'_> {
        let fleet: Vec<&PlanHost> = plan.hosts.iter().filter(|host| !host.provisioned).collect();
        let serves = |host: &&PlanHost| Host::new(host).is_in_service(host);
        let serving: Vec<&PlanHost> = fleet.iter().copied().filter(serves).collect();
        let works_on = |step: &Step, host: &PlanHost| matches!(step, Step::Install { hosts, .. } if hosts.contains(&host.id));
        let width = plan.steps.iter().filter_map(|step| match step {
            Step::Install { hosts, width, .. } if hosts.iter().any(|id| is_there(plan, *id)) => {
                Some((*width).min(u32::try_from(hosts.len()).unwrap_or(u32::MAX)))
            }
            _ => None,
        });
        let leaves = serving.iter().any(|host| plan.steps.iter().any(|step| works_on(step, host)));
        let extra = count(&plan.hosts).saturating_sub(count(&fleet));
        let floor = plan.limits.min_healthy;
        Numbers {
            room: (count(&fleet) + extra).saturating_sub(floor),
            width: width.max().unwrap_or(0),
            floor,
            leaves,
            serving,
            fleet,
        }
    }
}

fn is_there(plan: &Plan, id: crate::ids::AgentId) -> bool {
    plan.host(id).is_some_and(|host| !host.provisioned)
}

fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

fn hosts(number: u32) -> String {
    if number == 1 { "1 host".to_owned() } else { format!("{number} hosts") }
}

fn floor(group: &Group, plan: &Plan, numbers: &Numbers<'_>) -> String {
    let total = count(&numbers.fleet);
    if total == 0 {
        let new = count(&plan.hosts);
        return format!(
            "no host is there yet; {} will be made, and nothing leaves service",
            hosts(new)
        );
    }
    let why = match group.min_healthy {
        None => "no min-healthy is set, so it is what the strategy leaves".to_owned(),
        Some(Amount::Count(number)) => format!("min-healthy {number}"),
        Some(Amount::Percent(percent)) => {
            let hundredths = u64::from(total) * u64::from(percent);
            let (whole, part) = (hundredths / 100, hundredths % 100);
            match part {
                0 => format!("min-healthy {percent}% of {total} = {whole}"),
                part => {
                    let exact = format!("{whole}.{part:02}");
                    format!(
                        "min-healthy {percent}% of {total} = {}, rounded up",
                        exact.trim_end_matches('0')
                    )
                }
            }
        }
    };
    let stays = match numbers.floor {
        0 => "none has to stay in service".to_owned(),
        floor if floor >= total => format!("all {floor} stay in service"),
        1 => "at least 1 stays in service".to_owned(),
        floor => format!("at least {floor} stay in service"),
    };
    let at_once = numbers.width.min(numbers.room);
    let so = match numbers.leaves {
        false => "no host that serves is worked on".to_owned(),
        true => format!("so {at_once} at a time"),
    };
    format!("{}; {stays} ({why}), {so}", hosts(total))
}

/// `3 batches of 2`, or `4 batches: 1, then 2 times 2, then 1`.
fn batches(plan: &Plan, numbers: &Numbers<'_>) -> Option<String> {
    let mut runs: Vec<(String, u32)> = Vec::new();
    let mut all = 0;
    for step in &plan.steps {
        let Step::Install { hosts, width, .. } = step else { continue };
        let size = count(hosts);
        all += 1;
        let text = match size > *width {
            true => format!("{size} moving up singly, {width} at a time"),
            false => size.to_string(),
        };
        match runs.last_mut() {
            Some((last, times)) if *last == text => *times += 1,
            _ => runs.push((text, 1)),
        }
    }
    if runs.is_empty() {
        return None;
    }
    let word = if all == 1 { "batch" } else { "batches" };
    let mut text = match runs.as_slice() {
        [(size, _)] => format!("{all} {word} of {size}"),
        runs => {
            let runs = runs.iter().map(|(text, times)| match times {
                1 => text.clone(),
                times => format!("{times} times {text}"),
            });
            format!("{all} {word}: {}", runs.collect::<Vec<_>>().join(", then "))
        }
    };
    if numbers.leaves && numbers.room < numbers.width {
        text.push_str(&format!(
            "; of a batch only {} may be out at once, the others wait for them",
            numbers.room
        ));
    }
    Some(text)
}

/// Nothing to say where everybody serves.
fn now(numbers: &Numbers<'_>) -> Option<String> {
    let (total, serving) = (count(&numbers.fleet), count(&numbers.serving));
    if total == serving || serving == 0 {
        return None;
    }
    let serves = |host: &PlanHost| numbers.serving.iter().any(|other| other.id == host.id);
    let others: Vec<&PlanHost> = numbers.fleet.iter().copied().filter(|h| !serves(h)).collect();
    let mut text = format!("{serving} of {total} serve now, without {}", names(&others));
    if numbers.leaves && serving <= numbers.floor {
        text.push_str("; until more do, none of those that serve may leave");
    }
    Some(text)
}

fn failures(group: &Group, plan: &Plan, total: u32) -> String {
    let limits = &plan.limits;
    let mut text = match limits.max_failures {
        0 => "no host may fail".to_owned(),
        most => match group.max_failures.total {
            Amount::Percent(percent) => {
                format!(
                    "at most {most} may fail (max-failures {percent}% of {total}, rounded down)"
                )
            }
            Amount::Count(_) => format!("at most {most} may fail (max-failures)"),
        },
    };
    if limits.max_failures > 0 {
        text.push_str(", and none in the first batch");
        if let Some(batch) = limits.failures_per_batch {
            text.push_str(&format!(", {batch} in any other"));
        }
        if let Some(row) = limits.failures_in_a_row {
            text.push_str(&format!(", {row} in a row"));
        }
    }
    text
}

fn zones(plan: &Plan) -> Option<String> {
    let zones: Vec<String> = plan
        .limits
        .zones
        .iter()
        .map(|limit| format!("{} of zone {}", limit.min_healthy, limit.zone))
        .collect();
    (!zones.is_empty()).then(|| format!("in service stay at least {}", zones.join(", ")))
}

fn going_back(plan: &Plan) -> Option<String> {
    if plan.purpose == Purpose::Rollback || plan.rollback == RollbackOn::NEVER {
        return None;
    }
    let RollbackOn { failure, alarm, stop } = plan.rollback;
    let reasons = [(failure, "a failure"), (alarm, "an alarm"), (stop, "a stop")];
    let reasons: Vec<&str> =
        reasons.iter().filter(|(on, _)| *on).map(|(_, reason)| *reason).collect();
    let reasons = match reasons.as_slice() {
        [all @ .., last] if !all.is_empty() => format!("{} or {last}", all.join(", ")),
        one => one.concat(),
    };
    let (limits, total) = (&plan.limits, count(&plan.hosts));
    let room = total.saturating_sub(limits.rollback_min_healthy).max(1);
    Some(format!(
        "after {reasons} every changed host returns to its earlier revision, {} at a time, with at least \
         {} in service",
        limits.rollback_width.min(room),
        limits.rollback_min_healthy
    ))
}
