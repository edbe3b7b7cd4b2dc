//! What a deployment does that it cannot take back by itself.

use super::names;
use crate::deploy::plan::{Plan, PlanHost, RollbackOn, Step};
use crate::protocol::task::Purpose;

/// Which of the group's irreversible events the revision has scripts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IrreversibleHooks {
    /// Event and script, each once.
    Known(Vec<(String, String)>),
    /// No agent said which scripts there are.
    Unknown,
}

/// One sentence for each reason.
#[must_use]
pub fn cannot_be_undone(plan: &Plan, hooks: &IrreversibleHooks) -> Vec<String> {
    let mut said = Vec::new();
    said.extend(irreversible(plan, hooks));
    if plan.purpose == Purpose::Rollback {
        let text =
            "A rollback is not rolled back: a host on which it fails stays as it is, and is named.";
        said.push(text.to_owned());
        return said;
    }
    if plan.rollback == RollbackOn::NEVER {
        let text =
            "The group never rolls back by itself: after a failure the hosts stay as they are.";
        said.push(text.to_owned());
    }
    let installed: Vec<&PlanHost> = installed(plan).filter(|host| !host.provisioned).collect();
    let first: Vec<&PlanHost> =
        installed.iter().copied().filter(|host| host.prior.is_none()).collect();
    if !first.is_empty() {
        let who = match first.len() == installed.len() && first.len() > 1 {
            true => "No host has".to_owned(),
            false if first.len() == 1 => format!("{} does not have", names(&first)),
            false => format!("{} do not have", names(&first)),
        };
        said.push(format!(
            "{who} an earlier revision to return to: after a failure what was changed stays changed."
        ));
    }
    let retired = plan.steps.iter().filter_map(|step| match step {
        Step::Retire { hosts, .. } => Some(hosts),
        _ => None,
    });
    let gone: Vec<&PlanHost> = retired
        .flatten()
        .filter_map(|id| plan.host(*id))
        .filter(|host| host.instance && !host.provisioned)
        .collect();
    if !gone.is_empty() {
        said.push(format!(
            "{} will be removed for good at the end; from then on only a new deployment leads back.",
            names(&gone)
        ));
    }
    said
}

fn installed(plan: &Plan) -> impl Iterator<Item = &PlanHost> {
    let is_installed = |host: &PlanHost| {
        plan.steps
            .iter()
            .any(|step| matches!(step, Step::Install { hosts, .. } if hosts.contains(&host.id)))
    };
    plan.hosts.iter().filter(move |host| is_installed(host))
}

/// The engine goes by the group's word alone: whether this revision has such a script or not.
fn irreversible(plan: &Plan, hooks: &IrreversibleHooks) -> Option<String> {
    if plan.irreversible.is_empty() {
        return None;
    }
    let events = plan.irreversible.join(", ");
    let scripts = match hooks {
        IrreversibleHooks::Unknown => {
            "no host said whether this revision has scripts for it".into()
        }
        IrreversibleHooks::Known(found) if found.is_empty() => {
            "this revision has no script for it".to_owned()
        }
        IrreversibleHooks::Known(found) => {
            let list: Vec<String> =
                found.iter().map(|(event, script)| format!("{event} runs {script}")).collect();
            list.join(", ")
        }
    };
    Some(format!(
        "The group calls {events} irreversible ({scripts}): once a host was changed, only a person goes \
         back."
    ))
}
