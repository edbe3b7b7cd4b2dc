//! What somebody can do about a deployment as it stands, each with the command that does it. Written for
//! whoever is woken by it: no state but success is left without a next step.

use super::count;
use pipelines::deploy::people::{self, Retry};
use pipelines::deploy::{App, Cause, Host, HostStatus, Phase, Plan, State};
use pipelines::protocol::task::Purpose;
use store::deployments::Row;

/// None: it goes on by itself, or is well.
pub fn next(row: &Row) -> Option<String> {
    let id = row.id();
    if row.stuck.is_some() {
        return Some(format!(
            "Say something to it and it is tried again, such as 'pipectl abort {id}'; report the defect with \
             what 'pipectl explain {id} -o json' prints."
        ));
    }
    let (Some(plan), Some(state)) = (&row.plan, &row.state) else { return None };
    match state.phase {
        Phase::Succeeded => None,
        Phase::Queued | Phase::Running => unfinished(row, plan, state),
        Phase::Failing | Phase::RollingBack => Some(format!(
            "Nobody has to act: wait for its end. 'pipectl explain {id}' says what each host is doing."
        )),
        Phase::Failed => Some(failed(row, plan, state)),
        Phase::RollbackFailed => Some(rollback_failed(row, plan, state)),
        Phase::RolledBack => Some(format!(
            "Every host is as it was before. Mend the revision and push it; to try the same again: '{}'.",
            again(row)
        )),
        Phase::Cancelled => {
            Some(format!("No host was changed. To order it again: '{}'.", again(row)))
        }
        Phase::Superseded => state.cause.as_ref().and_then(|cause| match cause {
            Cause::Superseded { by } => {
                Some(format!("Follow the one that took its place: 'pipectl watch {by}'."))
            }
            _ => None,
        }),
    }
}

fn unfinished(row: &Row, plan: &Plan, state: &State) -> Option<String> {
    let id = row.id();
    let stops = match plan.rollback.stop {
        true => "stops it and rolls back",
        false => "stops it and leaves hosts as they are",
    };
    if let Some(pause) = &state.paused {
        let on = match pause.by == people::THE_ANALYSIS {
            true => format!("'pipectl promote {id}' goes on all the same"),
            false => format!("'pipectl resume {id}' goes on"),
        };
        return Some(format!("{on}; 'pipectl abort {id}' {stops}."));
    }
    if people::asks(plan, state).is_some() {
        return Some(format!(
            "'pipectl approve {id}' goes on; 'pipectl reject {id} -m WHY' {stops}."
        ));
    }
    let calendar = row.waiting.iter().any(|waiting| waiting.whom == people::THE_CALENDAR);
    if calendar && people::may_override(plan, state).is_ok() {
        return Some(format!(
            "'pipectl override {id} --reason WHY' lets it start now; otherwise it waits."
        ));
    }
    // Whether the agent speaks is looked at when somebody wants it.
    let retry = |planned: &&pipelines::deploy::PlanHost| {
        people::may_retry(plan, state, Retry { host: planned.id, alive: true }).is_ok()
    };
    let name = &plan.hosts.iter().find(retry)?.name;
    Some(format!(
        "'pipectl retry {id} {name}' tries {name} again; 'pipectl exclude {id} {name} --reason WHY' goes on \
         without it."
    ))
}

fn failed(row: &Row, plan: &Plan, state: &State) -> String {
    let changed = |host: &Host| host.touched && !matches!(host.app, App::Restored);
    let names = named(plan, state, |_, host| changed(host));
    if names.is_empty() {
        return format!("No host was changed. When it is mended: '{}'.", again(row));
    }
    let group = &row.group_name;
    if row.purpose() == Purpose::Rollback {
        return format!(
            "Changed: {names}; a rollback is not rolled back. Look at what failed{}, mend it, and try again: \
             '{}'.",
            logs(row, &names),
            again(row)
        );
    }
    format!(
        "Changed, and not rolled back: {names}. Back to the last good revision everywhere: 'pipectl rollback \
         {group}'. To try this one again when it is mended: '{}'.",
        again(row)
    )
}

fn rollback_failed(row: &Row, plan: &Plan, state: &State) -> String {
    let stuck = |planned: &pipelines::deploy::PlanHost, host: &Host| {
        host.status(planned) == HostStatus::RollbackFailed
    };
    let names = named(plan, state, stuck);
    let group = &row.group_name;
    let mend =
        format!("Not as they were: {names}. Find out there what is wrong{}", logs(row, &names));
    if plan.hosts.iter().all(|planned| planned.prior.is_none()) {
        return format!(
            "{mend}; no earlier revision is known, so go on to one that works: 'pipectl deploy {group} \
             --revision RUN'."
        );
    }
    format!(
        "{mend}, mend it, then bring all hosts to the last good revision: 'pipectl rollback {group}'. A host \
         that cannot be mended now: 'pipectl agent drain HOST' leaves it out."
    )
}

/// Where the hooks' own words are: of the only host, or of all.
fn logs(row: &Row, names: &str) -> String {
    let one = if names.contains([',', ' ']) { String::new() } else { format!(" {names}") };
    format!(" ('pipectl logs {}{one}')", row.id())
}

/// The same order once more.
fn again(row: &Row) -> String {
    let group = &row.group_name;
    match row.purpose() {
        Purpose::Forward => format!("pipectl deploy {group} --revision {}", row.id()),
        Purpose::Rollback => {
            format!("pipectl rollback {group} --to {}", row.revision.bundle.digest.short())
        }
    }
}

/// The hosts' names, or how many there are.
fn named(
    plan: &Plan,
    state: &State,
    wanted: impl Fn(&pipelines::deploy::PlanHost, &Host) -> bool,
) -> String {
    const NAMED_MAX: usize = 6;
    let found = plan
        .hosts
        .iter()
        .filter(|planned| state.hosts.get(&planned.id).is_some_and(|host| wanted(planned, host)));
    let names: Vec<&str> = found.map(|planned| planned.name.as_str()).collect();
    if names.len() > NAMED_MAX { count(names.len(), "host") } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;
    use pipelines::deploy::state::Pause;
    use pipelines::deploy::{Fault, plan::RollbackOn};

    fn said(change: impl FnOnce(&mut Row)) -> String {
        let mut row = sample::deployment();
        let state = &mut row.state.as_mut().unwrap().0;
        state.hosts.values_mut().for_each(|host| host.work = None);
        change(&mut row);
        next(&row).unwrap_or_default()
    }

    fn ended(phase: Phase) -> String {
        said(|row| row.state.as_mut().unwrap().0.phase = phase)
    }

    #[test]
    fn a_rollback_that_failed_names_its_hosts_and_the_way_out() {
        let stuck = |row: &mut Row| {
            let state = &mut row.state.as_mut().unwrap().0;
            state.phase = Phase::RollbackFailed;
            let host = state.hosts.values_mut().nth(1).unwrap();
            (host.app, host.fault) =
                (App::Broken, Some(Fault::Stuck { message: "failed in ApplicationStart".into() }));
        };
        assert_eq!(
            said(stuck),
            "Not as they were: host-2. Find out there what is wrong ('pipectl logs d-3 host-2'), mend it, then bring all hosts to the last good revision: 'pipectl rollback production'. A host that \
             cannot be mended now: 'pipectl agent drain HOST' leaves it out."
        );
        let first = said(|row| {
            stuck(row);
            row.plan.as_mut().unwrap().0.hosts.iter_mut().for_each(|host| host.prior = None);
        });
        assert!(first.contains("'pipectl deploy production --revision RUN'"), "{first}");
    }

    #[test]
    fn every_end_but_success_has_a_next_step() {
        assert_eq!(ended(Phase::Succeeded), "");
        let failed = ended(Phase::Failed);
        assert!(failed.starts_with("Changed, and not rolled back: host-1, host-2, host-3. Back"));
        assert!(failed.contains("'pipectl rollback production'"), "{failed}");
        let untouched = said(|row| {
            let state = &mut row.state.as_mut().unwrap().0;
            state.phase = Phase::Failed;
            state.hosts.values_mut().for_each(|host| host.touched = false);
        });
        let expected =
            "No host was changed. When it is mended: 'pipectl deploy production --revision d-3'.";
        assert_eq!(untouched, expected);
        // The last good revision is the one that was to be left.
        let back = said(|row| {
            row.purpose = "rollback".to_owned();
            row.state.as_mut().unwrap().0.phase = Phase::Failed;
        });
        assert!(back.contains("'pipectl rollback production --to bbbbbbb"), "{back}");
        for phase in [Phase::RolledBack, Phase::Cancelled] {
            assert!(ended(phase).contains("--revision d-3"), "{phase:?}");
        }
        assert!(ended(Phase::RollingBack).contains("wait for its end"));
        let taken = said(|row| {
            let state = &mut row.state.as_mut().unwrap().0;
            (state.phase, state.cause) =
                (Phase::Superseded, Some(Cause::Superseded { by: "d-5".into() }));
        });
        assert!(taken.contains("'pipectl watch d-5'"), "{taken}");
        assert!(said(|row| row.stuck = Some("x".into())).contains("'pipectl abort d-3'"));
    }

    #[test]
    fn what_waits_for_somebody_says_what_they_may_do() {
        let paused = said(|row| {
            row.plan.as_mut().unwrap().0.rollback = RollbackOn::NEVER;
            let pause = Pause { by: "ada".into(), since: sample::NOW };
            row.state.as_mut().unwrap().0.paused = Some(pause);
        });
        assert_eq!(
            paused,
            "'pipectl resume d-3' goes on; 'pipectl abort d-3' stops it and leaves hosts as they are."
        );
        let asks = next(&sample::waiting_for_approval()).unwrap();
        assert!(asks.starts_with("'pipectl approve d-3' goes on"), "{asks}");
        let failed = said(|row| {
            let error = sample::task_error("ValidateService", "validate.sh exited with 1");
            let host = row.state.as_mut().unwrap().0.hosts.values_mut().nth(1).unwrap();
            host.fault = Some(Fault::Failed { error });
        });
        assert!(failed.starts_with("'pipectl retry d-3 host-2' tries host-2 again"), "{failed}");
        assert_eq!(said(|_| {}), "", "it goes on by itself");
    }
}
