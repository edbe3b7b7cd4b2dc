//! A deployment in one sentence.

use super::count;
use pipelines::deploy::{App, Fault, Host, HostStatus, Lane, Phase, Plan, PlanHost, State, Step};
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
            let stuck = names_in(plan, state, HostStatus::RollbackFailed);
            format!("{label} failed on {group} and {stuck} could not be rolled back{}", cause())
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

/// `host-1 and host-2`; of many how many they are.
fn names_in(plan: &Plan, state: &State, wanted: HostStatus) -> String {
    const NAMED_MAX: usize = 4;
    let found = plan.hosts.iter().filter(|planned| state.status(plan, planned.id) == wanted);
    let names: Vec<&str> = found.map(|planned| planned.name.as_str()).collect();
    match names.as_slice() {
        [all @ .., last] if !all.is_empty() && names.len() <= NAMED_MAX => {
            format!("{} and {last}", all.join(", "))
        }
        [one] => (*one).to_owned(),
        many => count(many.len(), "host"),
    }
}

/// What runs on a host and whether it gets traffic, as far as this deployment knows.
pub fn host_runs(plan: &Plan, planned: &PlanHost, host: &Host) -> String {
    let new = plan.revision.label.as_str();
    let prior = planned.prior.as_ref().map(|prior| prior.label.as_str());
    let what = match (host.app, prior) {
        (App::New, _) => new.to_owned(),
        (App::Restored, Some(prior)) => prior.to_owned(),
        (App::Before, Some(prior)) if planned.serving => prior.to_owned(),
        (App::Before | App::Restored, _) => "what was there before".to_owned(),
        (App::Broken, Some(prior)) => format!("nothing proved, half-way between {prior} and {new}"),
        (App::Broken, None) => format!("nothing proved, half-way to {new}"),
        (App::Unknown, _) => "not known".to_owned(),
        (App::Absent, _) => "nothing: the host is not there".to_owned(),
    };
    let traffic = match host.lane {
        Lane::Direct => "",
        Lane::In { .. } => ", in traffic",
        Lane::Out | Lane::Gone => ", out of traffic",
        Lane::Unknown => ", its traffic not known",
    };
    format!("{what}{traffic}")
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
    fn a_host_says_what_runs_on_it_when_nothing_was_proved() {
        let mut row = sample::deployment();
        let (plan, state) = (row.plan.as_ref().unwrap(), &mut row.state.as_mut().unwrap().0);
        let host = state.hosts.values_mut().nth(1).unwrap();
        let planned = &plan.hosts[1];
        for (app, lane, expected) in [
            (App::New, Lane::Direct, "4f2c91e Fix"),
            (App::Restored, Lane::In { weight: 1 }, "a11ce00 First, in traffic"),
            (
                App::Broken,
                Lane::Out,
                "nothing proved, half-way between a11ce00 First and 4f2c91e Fix, out of traffic",
            ),
            (App::Unknown, Lane::Unknown, "not known, its traffic not known"),
        ] {
            (host.app, host.lane) = (app, lane);
            assert_eq!(host_runs(plan, planned, host), expected);
        }
        state.phase = Phase::RollbackFailed;
        for host in state.hosts.values_mut().skip(1) {
            (host.work, host.fault) = (None, Some(Fault::Stuck { message: "no".into() }));
        }
        let expected =
            "4f2c91e Fix failed on production and host-2 and host-3 could not be rolled back";
        assert_eq!(sentence(&row), expected);
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
