//! A plan in JSON.

use super::host::HostBody;
use super::start::{self, GuardsBody, StartBody};
use super::{Outlook, Replies};
use crate::api::shared::RevisionBody;
use crate::questions::{ASKED_MAX, Reply};
use crate::words::count;
use crate::words::time::rough;
use pipelines::deploy::outlook::{self, IrreversibleHooks};
use pipelines::deploy::{Plan, Step};
use pipelines::ids::AgentId;
use pipelines::protocol::answer::Answer;
use pipelines::protocol::task::Purpose;
use pipelines::spec::group::Provider;
use pipelines::time::{Millis, Timestamp};
use serde::Serialize;
use std::collections::BTreeSet;

/// What was noted of the balancer is called old after this.
const FRESH: Millis = Millis::from_secs(60);

#[derive(Debug, Serialize)]
pub struct PlanBody {
    group: String,
    application: String,
    /// forward, rollback
    purpose: Purpose,
    revision: RevisionBody,
    /// Why it would end before it touches anything; null when it would start.
    refused: Option<String>,
    /// The strategy in words.
    strategy: String,
    /// How many hosts are out at once and why, in sentences.
    capacity: Vec<String>,
    /// The time that passes however fast the rest is: holds, bakes, keeping what is replaced.
    least_secs: u64,
    steps: Vec<StepBody>,
    /// In the order they are worked on.
    hosts: Vec<HostBody>,
    cannot_be_undone: Vec<String>,
    /// Who has to agree to which step until when, in sentences.
    approvals: Vec<String>,
    /// What limits this plan's truth, and what happens besides.
    notes: Vec<String>,
    /// The deployment that has the group now; this one would be queued.
    waits_for: Option<HolderBody>,
    start: StartBody,
    monitors: GuardsBody,
    /// How many hosts have clashes, how many could not look, and how many said nothing.
    clashing: usize,
    failed: usize,
    silent: usize,
}

#[derive(Debug, Serialize)]
struct HolderBody {
    deployment: String,
    status: String,
}

#[derive(Debug, Serialize)]
struct StepBody {
    number: usize,
    sentence: String,
    hosts: Vec<String>,
    /// What each host gets from then on: by shifts, if all goes as planned.
    weights: Vec<WeightBody>,
    hold_secs: Option<u64>,
    /// A person has to agree within this time.
    approve_secs: Option<u64>,
}

#[derive(Debug, Serialize)]
struct WeightBody {
    host: String,
    weight: u16,
}

impl PlanBody {
    pub fn new(outlook: &Outlook, replies: &Replies) -> PlanBody {
        let plan = &outlook.plan;
        let hosts: Vec<HostBody> =
            plan.hosts.iter().map(|host| HostBody::new(outlook, replies, host)).collect();
        let asked = |word: &str| hosts.iter().filter(|host| host.asked == word).count();
        let clashes = |host: &&HostBody| {
            host.preview.as_ref().is_some_and(|preview| !preview.clashes.is_empty())
        };
        let holder = outlook.others.iter().find(|(_, status)| status != "queued");
        let holder = holder.or_else(|| outlook.others.first());
        let hooks = irreversible_hooks(plan, replies);
        let start = start::start(outlook);
        let alive = |id| outlook.alive.contains(&id);
        PlanBody {
            group: plan.group.clone(),
            application: plan.application.clone(),
            purpose: plan.purpose,
            revision: RevisionBody::from(&plan.revision),
            refused: start
                .rejected
                .clone()
                .or_else(|| outlook.refused.clone())
                .or_else(|| outlook::refusal(plan, alive)),
            strategy: plan.strategy.clone(),
            capacity: outlook::capacity(&outlook.group.spec, plan),
            least_secs: outlook::least_time(plan).0 / 1000,
            steps: steps(plan),
            cannot_be_undone: outlook::cannot_be_undone(plan, &hooks),
            notes: notes(outlook),
            waits_for: holder.map(|(id, status)| HolderBody {
                deployment: id.to_string(),
                status: status.clone(),
            }),
            approvals: outlook::approvals(plan),
            monitors: GuardsBody::new(outlook),
            start: StartBody::from(start),
            clashing: hosts.iter().filter(clashes).count(),
            failed: asked("failed"),
            silent: asked("silent"),
            hosts,
        }
    }
}

fn steps(plan: &Plan) -> Vec<StepBody> {
    let mut traffic = outlook::traffic(plan);
    let name = |id: &AgentId| plan.host_name(*id);
    let steps = plan.steps.iter().enumerate().map(|(index, step)| {
        let weights = traffic.remove(&index).unwrap_or_default().into_iter();
        let (hold, approve) = match step {
            Step::Hold { time, .. } => (Some(*time), None),
            Step::Retire { keep, .. } => (Some(*keep).filter(|keep| *keep > Millis::ZERO), None),
            Step::Approve { timeout, .. } => (None, Some(*timeout)),
            Step::Provision { .. } | Step::Install { .. } | Step::Shift { .. } => (None, None),
        };
        StepBody {
            number: index + 1,
            sentence: step.sentence(plan),
            hosts: step.hosts().iter().map(name).collect(),
            weights: weights.map(|(id, weight)| WeightBody { host: name(&id), weight }).collect(),
            hold_secs: hold.map(|time| time.0 / 1000),
            approve_secs: approve.map(|time| time.0 / 1000),
        }
    });
    steps.collect()
}

/// The scripts that hosts name for events the group calls irreversible.
fn irreversible_hooks(plan: &Plan, replies: &Replies) -> IrreversibleHooks {
    let mut known = false;
    let mut found = BTreeSet::new();
    for reply in replies.values() {
        let Reply::Answered(Answer::Preview(preview)) = reply else { continue };
        known = true;
        let hooks = preview.hooks.iter();
        found.extend(hooks.filter(|(event, _)| plan.irreversible.contains(event)).cloned());
    }
    match known {
        true => IrreversibleHooks::Known(found.into_iter().collect()),
        false => IrreversibleHooks::Unknown,
    }
}

fn notes(outlook: &Outlook) -> Vec<String> {
    let plan = &outlook.plan;
    let mut notes = Vec::new();
    notes.extend(traffic_age(outlook));
    let silent = outlook::silent(plan, |id| outlook.alive.contains(&id));
    if plan.host.skip_offline && !silent.is_empty() {
        let names: Vec<&str> = silent.iter().map(|host| host.name.as_str()).collect();
        let names = names.join(", ");
        notes.push(format!("The agent is silent on {names}: left out (offline: skip)."));
    }
    let new = plan.hosts.iter().filter(|host| host.provisioned).count();
    if let (Some(made_of), true) = (&outlook.group.spec.instances, new > 0) {
        let Provider::Docker(docker) = &made_of.provider;
        notes.push(format!(
            "{} will be made from {} by the agent {}; their names here are not their last ones.",
            count(new, "host"),
            docker.image,
            docker.agent
        ));
    }
    let installed = plan.hosts.iter().filter(|host| {
        outlook.is_installed(host.id) && outlook.alive.contains(&host.id) && !host.provisioned
    });
    let unasked = installed.count().saturating_sub(ASKED_MAX);
    if unasked > 0 {
        notes.push(format!("{} more were not asked about their files.", count(unasked, "host")));
    }
    notes
}

/// How old is what the plan says of traffic; nothing when it is fresh.
fn traffic_age(outlook: &Outlook) -> Option<String> {
    outlook.plan.router.as_ref()?;
    let members = outlook.plan.hosts.iter().filter(|host| !host.provisioned);
    let noted: Vec<Option<i64>> =
        members.map(|host| outlook.hosts.get(&host.id).and_then(|row| row.lane_at)).collect();
    let before = "the balancer is read before the deployment starts";
    if noted.iter().any(Option::is_none) {
        return Some(format!(
            "Traffic to some hosts was never noted: they are taken to have their share; {before}."
        ));
    }
    let oldest = Timestamp(noted.into_iter().flatten().min()?);
    let age = outlook.now.since(oldest);
    (age > FRESH).then(|| format!("Traffic as noted {} ago; {before}.", rough(age)))
}
