//! A deployment in one sentence.

use super::count;
use pipelines::deploy::{App, Fault, Host, HostStatus, Phase, Plan, PlanHost, State, Step};
use pipelines::protocol::task::{Purpose, Revision};
use pipelines::time::Timestamp;
use store::deployments::Row;

/// What a person would say about it.
pub fn sentence(row: &Row) -> String {
    let (label, group) = (row.revision.label.as_str(), row.group_name.as_str());
    if let Some(stuck) = &row.stuck {
        return format!("The deployment of {label} to {group} is stuck by a defect: {stuck}");
    }
    match (&row.plan, &row.state) {
        (Some(plan), Some(state)) => planned(row, plan, state),
        _ => format!("Planning the deployment of {label} to {group}"),
    }
}

fn planned(row: &Row, plan: &Plan, state: &State) -> String {
    let (label, group) = (row.revision.label.as_str(), row.group_name.as_str());
    let cause = || {
        let cause = state.cause.as_ref().map(ToString::to_string);
        cause.map(|cause| format!(": {cause}")).unwrap_or_default()
    };
    match state.phase {
        Phase::Queued => format!("{label} waits for its turn on {group}"),
        Phase::Running => format!("{}: {}", doing(row), progress(plan, state)),
        Phase::Failing => format!("Stopping the deployment of {label} to {group}{}", cause()),
        Phase::RollingBack => {
            let touched = state.hosts.values().filter(|host| host.touched).count();
            let back = count_in(plan, state, HostStatus::RolledBack);
            format!(
                "Rolling {group} back from {label}: {back} of {} back{}",
                count(touched, "host"),
                cause()
            )
        }
        Phase::Succeeded => {
            let took = state.started_at.zip(state.finished_at).map_or_else(String::new, took);
            let hosts = count(state.updated(), "host");
            match row.purpose() {
                Purpose::Forward => format!("Deployed {label} to {group}: {hosts} updated{took}"),
                Purpose::Rollback => format!("{group} is back on {label}: {hosts} updated{took}"),
            }
        }
        Phase::Failed => format!("{label} failed on {group}{}", cause()),
        Phase::RolledBack => format!("{label} failed on {group} and was rolled back{}", cause()),
        Phase::RollbackFailed => {
            let broken = count_in(plan, state, HostStatus::RollbackFailed);
            format!(
                "{label} failed on {group} and {} could not be rolled back{}",
                count(broken, "host"),
                cause()
            )
        }
        Phase::Cancelled => format!("{label} was not deployed to {group}{}", cause()),
        Phase::Superseded => format!("{label} was overtaken on {group}{}", cause()),
    }
}

fn doing(row: &Row) -> String {
    let (label, group) = (&row.revision.label, &row.group_name);
    match row.purpose() {
        Purpose::Forward => format!("Deploying {label} to {group}"),
        Purpose::Rollback => format!("Returning {group} to {label}"),
    }
}

/// `1 of 3 hosts updated, step 1 of 2: update host-1`.
fn progress(plan: &Plan, state: &State) -> String {
    let hosts = format!("{} of {} updated", state.updated(), count(plan.hosts.len(), "host"));
    match plan.steps.get(state.step) {
        Some(step) => {
            let (number, total) = (state.step + 1, plan.steps.len());
            format!("{hosts}, step {number} of {total}: {}", step.sentence(plan))
        }
        None => hosts,
    }
}

/// `done`, `now`, `next`; `failed` where it turned back and `skipped` what never comes.
pub fn step_state(plan: &Plan, state: &State, index: usize) -> &'static str {
    if index < state.step || state.phase == Phase::Succeeded {
        return "done";
    }
    match state.phase {
        Phase::Running if index == state.step => "now",
        Phase::Running | Phase::Queued => "next",
        _ => {
            let hosts = plan.steps.get(index).map(Step::hosts).unwrap_or_default();
            let touched = |id| state.hosts.get(id).is_some_and(|host| host.touched);
            if hosts.iter().any(touched) { "failed" } else { "skipped" }
        }
    }
}

/// Why a host is in the state it is in.
pub fn host_message(host: &Host) -> Option<String> {
    if let Some(excluded) = &host.excluded {
        let why = if excluded.reason.is_empty() {
            String::new()
        } else {
            format!(": {}", excluded.reason)
        };
        return Some(format!("left out by {}{why}", excluded.by));
    }
    Some(match host.fault.as_ref().filter(|_| host.work.is_none())? {
        Fault::Failed { error } => match &error.step {
            Some(step) => format!("{step}: {}", error.message),
            None => error.message.clone(),
        },
        Fault::Stuck { message } => message.clone(),
        Fault::Lost { .. } => "its agent fell silent".to_owned(),
    })
}

/// The revision a host serves as far as this deployment knows; None: nothing that was validated.
pub fn host_revision<'a>(
    plan: &'a Plan,
    planned: &'a PlanHost,
    host: &Host,
) -> Option<&'a Revision> {
    if host.work.is_some() {
        return None;
    }
    match host.app {
        App::New => Some(&plan.revision),
        App::Restored => planned.prior.as_ref(),
        App::Before => planned.prior.as_ref().filter(|_| planned.serving),
        App::Absent | App::Broken | App::Unknown => None,
    }
}

fn count_in(plan: &Plan, state: &State, wanted: HostStatus) -> usize {
    plan.hosts.iter().filter(|planned| state.status(plan, planned.id) == wanted).count()
}

fn took((from, to): (Timestamp, Timestamp)) -> String {
    format!(" in {}", to.since(from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;
    use pipelines::deploy::Cause;
    use pipelines::ids::AgentId;
    use pipelines::time::Millis;

    #[test]
    fn a_deployment_says_where_it_is() {
        let mut row = sample::deployment();
        assert_eq!(
            sentence(&row),
            "Deploying 4f2c91e Fix to production: 1 of 3 hosts updated, step 2 of 2: update host-2, \
             host-3"
        );
        row.state = None;
        assert_eq!(sentence(&row), "Planning the deployment of 4f2c91e Fix to production");
    }

    #[test]
    fn a_step_that_was_begun_and_undone_has_failed() {
        let mut row = sample::deployment();
        let (plan, state) = (row.plan.as_ref().unwrap(), &mut row.state.as_mut().unwrap().0);
        assert_eq!(step_state(plan, state, 0), "done");
        assert_eq!(step_state(plan, state, 1), "now");
        state.phase = Phase::RollingBack;
        assert_eq!(step_state(plan, state, 1), "failed");
        state.hosts.values_mut().for_each(|host| host.touched = false);
        assert_eq!(step_state(plan, state, 1), "skipped");
        (state.phase, state.step) = (Phase::Queued, 0);
        assert_eq!(step_state(plan, state, 0), "next");
    }

    #[test]
    fn an_end_says_how_and_why() {
        let mut row = sample::deployment();
        let state = &mut row.state.as_mut().unwrap().0;
        state.phase = Phase::RolledBack;
        state.cause = Some(Cause::HostFailed {
            host: AgentId(1),
            name: "host-1".to_owned(),
            error: sample::task_error("ValidateService", "validate.sh exited with 1"),
        });
        assert_eq!(
            sentence(&row),
            "4f2c91e Fix failed on production and was rolled back: host-1 failed in \
             ValidateService: validate.sh exited with 1"
        );
        let state = &mut row.state.as_mut().unwrap().0;
        state.phase = Phase::Succeeded;
        state.finished_at = state.started_at.map(|at| at + Millis(3_200));
        for host in state.hosts.values_mut() {
            (host.app, host.work) = (App::New, None);
        }
        assert_eq!(sentence(&row), "Deployed 4f2c91e Fix to production: 3 hosts updated in 3.2 s");
        row.purpose = "rollback".to_owned();
        assert_eq!(sentence(&row), "production is back on 4f2c91e Fix: 3 hosts updated in 3.2 s");
    }
}
