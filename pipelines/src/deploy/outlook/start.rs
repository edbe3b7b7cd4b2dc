//! What lies between an order and its start, and who has to agree on the way.

use crate::calendar;
use crate::deploy::plan::{Plan, Step};
use crate::ids::DeploymentId;
use crate::protocol::task::Purpose;
use crate::spec::group::{Group, NewerDeployment};
use crate::time::{Millis, Timestamp};

/// What else there is in the group.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// Its unfinished deployments with their status, oldest first.
    pub others: &'a [(DeploymentId, String)],
    /// Those of them that wait and go forward: whoever overtakes takes their place.
    pub overtakable: &'a [DeploymentId],
    pub now: Timestamp,
}

/// What an order would meet before it starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// Why it would not be taken at all; the text says what to do.
    pub rejected: Option<String>,
    /// What it would wait for, a sentence each; empty: it starts at once.
    pub waits: Vec<String>,
    /// What its order does besides, a sentence each.
    pub besides: Vec<String>,
    /// The group's calendar lets nothing start before; None also where nobody knows until when.
    pub not_before: Option<Timestamp>,
}

/// What a deployment of this purpose would meet if it were ordered now.
#[must_use]
pub fn start(group: &Group, purpose: Purpose, around: &Around<'_>) -> Start {
    let mut start = Start::default();
    let forward = purpose == Purpose::Forward;
    if forward
        && group.newer == NewerDeployment::Reject
        && let Some((id, status)) = around.others.first()
    {
        let status = status.replace('-', " ");
        start.rejected = Some(format!(
            "{id} is {status} in {}, and the group rejects newer deployments (newer: reject); wait for its \
             end, or abort it: 'pipectl abort {id}'",
            group.name
        ));
        return start;
    }
    let overtakes = !forward || group.newer == NewerDeployment::Supersede;
    others(overtakes, around, &mut start);
    let Some(closed) = calendar::closed(&group.windows, &group.freeze, around.now) else {
        return start;
    };
    if !forward {
        start.besides.push(format!("It does not wait for the calendar: {}.", closed.reason));
        return start;
    }
    let until = match closed.until {
        Some(at) => calendar::local(at, zone(group)),
        None => "the group's file is corrected".to_owned(),
    };
    start.not_before = closed.until;
    start.waits.push(format!(
        "It would wait until {until}: {}. To go ahead all the same, order it with \
         --override-freeze REASON, or later: pipectl override DEPLOYMENT --reason REASON",
        closed.reason
    ));
    start
}

fn others(overtakes: bool, around: &Around<'_>, start: &mut Start) {
    let (mut waiting, mut overtaken) = (Vec::new(), Vec::new());
    for (id, status) in around.others {
        if status != "queued" {
            start.waits.push(format!(
                "It would wait until {id} has ended, which is {}.",
                status.replace('-', " ")
            ));
        } else if overtakes && around.overtakable.contains(id) {
            overtaken.push(id.to_string());
        } else {
            waiting.push(id.to_string());
        }
    }
    if !waiting.is_empty() {
        start.waits.push(format!("It would wait behind {}, queued before it.", list(&waiting)));
    }
    if !overtaken.is_empty() {
        let list = list(&overtaken);
        start.besides.push(format!("It would take the place of {list}, which would not happen."));
    }
}

fn list(ids: &[String]) -> String {
    match ids {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        ids => ids.concat(),
    }
}

/// The one zone of the group's calendar; UTC where there are several.
fn zone(group: &Group) -> &str {
    let mut zones = group.windows.iter().chain(&group.freeze).map(|window| window.zone.as_str());
    let first = zones.next().unwrap_or("UTC");
    if zones.all(|zone| zone == first) { first } else { "UTC" }
}

/// Who has to agree to what until when, a sentence for each step that asks.
#[must_use]
pub fn approvals(plan: &Plan) -> Vec<String> {
    let expired = match plan.rollback.stop {
        true => "it is rolled back",
        false => "it ends there, and changed hosts stay changed",
    };
    let asks = plan.steps.iter().enumerate().filter_map(|(index, step)| match step {
        Step::Approve { timeout, promote_after } => Some((index + 1, *timeout, *promote_after)),
        _ => None,
    });
    let sentence = |(number, timeout, promote_after): (usize, Millis, Option<Millis>)| {
        let otherwise = match promote_after.filter(|after| *after <= timeout) {
            Some(after) => format!("after {after} without an answer it goes on by itself"),
            None => format!("after {timeout} without an answer {expired}"),
        };
        format!(
            "Step {number} asks anybody with the role operator or admin (pipectl approve \
             DEPLOYMENT, or its page); {otherwise}."
        )
    };
    asks.map(sentence).collect()
}
