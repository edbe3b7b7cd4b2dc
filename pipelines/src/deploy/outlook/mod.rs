//! What a plan comes to before anything is done: capacity in words, traffic in weights, what cannot be
//! undone, whether it would start at all, and when. Judged as the engine judges.

mod capacity;
mod start;
mod traffic;
mod undo;

pub use capacity::capacity;
pub use start::{Around, Start, approvals, start};
pub use traffic::traffic;
pub use undo::{IrreversibleHooks, cannot_be_undone};

use super::plan::{Plan, PlanHost, Step};
use crate::ids::AgentId;
use crate::time::Millis;

/// The time that passes however fast everything else is: holds, bakes, and keeping what is replaced.
#[must_use]
pub fn least_time(plan: &Plan) -> Millis {
    let of = |step: &Step| match step {
        Step::Hold { time, .. } => time.0,
        Step::Retire { keep, .. } => keep.0,
        Step::Provision { .. }
        | Step::Install { .. }
        | Step::Shift { .. }
        | Step::Approve { .. } => 0,
    };
    Millis(plan.steps.iter().map(of).fold(0, u64::saturating_add))
}

/// Why the deployment would end before it touches anything; the text says what to do.
#[must_use]
pub fn refusal(plan: &Plan, is_alive: impl Fn(AgentId) -> bool) -> Option<String> {
    if plan.hosts.is_empty() {
        let text = "no host matches the group's selector; tag hosts, or correct the selector";
        return Some(text.to_owned());
    }
    if let Some(router) = &plan.router
        && !is_alive(router.agent)
    {
        let name = &router.name;
        return Some(format!(
            "the agent {name} beside the balancer is silent; nothing was touched. Bring it back"
        ));
    }
    let silent = silent(plan, is_alive);
    if plan.host.skip_offline {
        let all = silent.len() == plan.hosts.len();
        return all.then(|| "every agent of the group is silent".to_owned());
    }
    let names: Vec<&str> = silent.iter().map(|host| host.name.as_str()).collect();
    (!names.is_empty()).then(|| {
        format!(
            "the agent is silent on {}; nothing was touched. Bring it back or take the host out of \
             the group",
            names.join(", ")
        )
    })
}

/// Hosts that are there and whose agents nobody hears.
pub fn silent(plan: &Plan, is_alive: impl Fn(AgentId) -> bool) -> Vec<&PlanHost> {
    plan.hosts.iter().filter(|host| !host.provisioned && !is_alive(host.id)).collect()
}

/// `host-1`, `host-1 and host-2`, `host-1, host-2 and 7 more`.
fn names(hosts: &[&PlanHost]) -> String {
    const NAMED_MAX: usize = 4;
    let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    match names.as_slice() {
        [] => "no host".to_owned(),
        [one] => (*one).to_owned(),
        [all @ .., last] if names.len() <= NAMED_MAX => format!("{} and {last}", all.join(", ")),
        many => {
            format!("{} and {} more", many[..NAMED_MAX - 1].join(", "), many.len() + 1 - NAMED_MAX)
        }
    }
}

#[cfg(test)]
mod start_tests;
#[cfg(test)]
mod tests;
