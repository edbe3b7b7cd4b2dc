//! A deployment as it is printed.

use crate::auth::Person;
use crate::drifts::Known;
use crate::intent::approving::{self, Seen};
use crate::pages::lines::{Why, aggregate, whys};
use crate::words;
use crate::words::monitor::Watch;
use crate::words::status::{Mark, mark};
use crate::words::time::{Moment, full, rough};
use pipelines::deploy::people::{self, Retry};
use pipelines::deploy::{Phase, Plan, State, Step, Work};
use pipelines::ids::RunId;
use pipelines::protocol::task::Purpose;
use pipelines::time::Timestamp;
use store::deployments::Row;
use store::users::Role;
use store::{history, tasks};

pub struct View {
    pub id: String,
    pub group: String,
    pub mark: Mark,
    pub is_over: bool,
    pub sentence: String,
    pub by: String,
    pub created: Moment,
    pub run: Option<String>,
    pub whys: Vec<Why>,
    /// What somebody can do about it, with the commands.
    pub next: Option<String>,
    pub steering: Option<Steering>,
    pub question: Option<Question>,
    /// Who let it start although the calendar was against it, and why.
    pub overridden: Option<String>,
    pub strategy: Option<String>,
    pub digest: String,
    pub steps: Vec<StepView>,
    pub legend: Vec<(Mark, usize)>,
    pub hosts: Vec<HostCell>,
    pub watch: Vec<WatchView>,
    /// What became of the files since, where hosts said that something did.
    pub drift: Option<String>,
    pub history: Vec<EventView>,
    pub csrf: String,
}

/// The buttons of somebody who may use them.
pub struct Steering {
    pub is_paused: bool,
    pub may_abort: bool,
    /// The step whose hold can be ended, counted from 1, and the generation of its orders.
    pub promotes: Option<(usize, u64)>,
    /// Holds are still to come.
    pub may_promote_all: bool,
    pub may_override: bool,
}

/// What there is to agree to.
pub struct Question {
    pub seen: Seen,
    pub next: Vec<String>,
}

/// A monitor, or the judge.
pub struct WatchView {
    pub mark: Mark,
    pub name: String,
    pub reason: String,
    pub looked: Option<Moment>,
}

pub struct StepView {
    pub number: usize,
    pub mark: Mark,
    pub sentence: String,
}

/// A host keeps its place for the whole deployment: the plan's order.
pub struct HostCell {
    pub name: String,
    pub mark: Mark,
    pub serves: String,
    pub message: Option<String>,
    pub doing: Option<String>,
    pub logs: Vec<LogLink>,
    pub may_retry: bool,
    pub may_exclude: bool,
}

pub struct LogLink {
    pub url: String,
    pub text: String,
}

pub struct EventView {
    pub at: String,
    pub text: String,
    pub mark: Mark,
}

impl View {
    pub fn new(
        row: &Row,
        tasks: &[tasks::Row],
        history: &[history::Row],
        now: Timestamp,
        person: &Person,
    ) -> View {
        let (plan, state) =
            (row.plan.as_ref().map(|plan| &plan.0), row.state.as_ref().map(|state| &state.0));
        let is_over = row.finished_at.is_some() || state.is_some_and(|s| s.phase.is_final());
        let (steps, mut hosts) = match (plan, state) {
            (Some(plan), Some(state)) => (steps(plan, state), hosts(plan, state, tasks, now)),
            _ => (Vec::new(), Vec::new()),
        };
        let may_steer = !is_over && person.may(Role::Operator);
        if !may_steer {
            hosts.iter_mut().for_each(|host| (host.may_retry, host.may_exclude) = (false, false));
        }
        let asked = approving::asked(row).filter(|_| may_steer).zip(plan.zip(state));
        let overridden = state.and_then(|state| state.overridden.as_ref());
        let lines = words::history::of_deployment(history, plan).into_iter();
        let history = lines.map(|line| EventView {
            at: full(line.at),
            text: line.text,
            mark: mark(&line.status, false),
        });
        View {
            id: row.id().to_string(),
            group: row.group_name.clone(),
            mark: aggregate(&row.status, row.stuck.as_deref(), &row.waiting),
            is_over,
            sentence: words::deployment::sentence(row),
            by: row.created_by.clone(),
            created: Moment::new(Timestamp(row.created_at), now),
            run: row.run_id.map(|id| RunId(id).to_string()),
            whys: whys(&row.waiting, now),
            next: words::next::next(row),
            steering: may_steer.then(|| steering(row)),
            question: asked
                .map(|(seen, (plan, state))| Question { seen, next: approving::next(plan, state) }),
            overridden: overridden.map(|it| {
                format!("Let through the group's windows and freezes by {}: {}", it.by, it.reason)
            }),
            strategy: plan.map(|plan| plan.strategy.clone()),
            digest: row.revision.bundle.digest.short().to_owned(),
            legend: legend(&hosts),
            steps,
            hosts,
            watch: Vec::new(),
            drift: None,
            history: history.collect(),
            csrf: person.csrf().to_owned(),
        }
    }

    /// What the judge and the monitors say.
    pub fn with_watch(self, watch: &Watch, now: Timestamp) -> View {
        let judge = watch.verdict.iter().map(|line| {
            let reports = if line.dry_run { ", only reports" } else { "" };
            WatchView {
                mark: line.mark(),
                name: format!("analysis of step {}{reports}", line.verdict.step + 1),
                reason: line.verdict.reason.clone(),
                looked: Some(Moment::new(line.looked_at, now)),
            }
        });
        let monitors = watch.monitors.iter().map(|line| WatchView {
            mark: line.mark(),
            name: format!("{}{}", line.name, if line.dry_run { ", only reports" } else { "" }),
            reason: line.reason.clone(),
            looked: line.looked_at.map(|at| Moment::new(at, now)),
        });
        View { watch: judge.chain(monitors).collect(), ..self }
    }
}

impl View {
    /// Only of what was asked after the end: before, the files were on their way.
    pub fn with_drift(self, known: Option<&Known>, row: &Row, now: Timestamp) -> View {
        let since = |known: &&Known| row.finished_at.is_some_and(|end| known.at > Timestamp(end));
        let drift = known.filter(|known| known.is_off).filter(since);
        View { drift: drift.map(|known| known.line(now)), ..self }
    }
}

fn steering(row: &Row) -> Steering {
    let (Some(plan), Some(state)) = (&row.plan, &row.state) else {
        return Steering {
            is_paused: false,
            may_abort: true,
            promotes: None,
            may_promote_all: false,
            may_override: false,
        };
    };
    let held = |step: &Step| matches!(step, Step::Hold { .. } | Step::Retire { .. });
    let holds = plan.steps.iter().skip(state.step).any(held);
    let waits = row.waiting.iter().any(|waiting| waiting.whom == people::THE_CALENDAR);
    Steering {
        is_paused: state.paused.is_some(),
        may_abort: matches!(state.phase, Phase::Queued | Phase::Running),
        promotes: people::may_promote(plan, state, false)
            .is_ok()
            .then_some((state.step + 1, state.generation)),
        may_promote_all: holds && people::may_promote(plan, state, true).is_ok(),
        may_override: waits && people::may_override(plan, state).is_ok(),
    }
}

fn steps(plan: &Plan, state: &State) -> Vec<StepView> {
    let steps = plan.steps.iter().enumerate().map(|(index, step)| StepView {
        number: index + 1,
        mark: mark(words::deployment::step_state(plan, state, index), false),
        sentence: step.sentence(plan),
    });
    steps.collect()
}

fn hosts(plan: &Plan, state: &State, tasks: &[tasks::Row], now: Timestamp) -> Vec<HostCell> {
    let hosts = plan.hosts.iter().filter_map(|planned| {
        let host = state.hosts.get(&planned.id)?;
        let own = || tasks.iter().filter(|task| task.agent_id == Some(planned.id.0));
        let step = own().next_back().filter(|task| task.finished_at.is_none());
        let step = step.and_then(|task| words::task::steps(task).last());
        let doing = host.work.map(|work| {
            let step = step.map(|step| format!("{}, ", step.name)).unwrap_or_default();
            format!("{step}{}", rough(now.since(work.since)))
        });
        let prior = planned.prior.as_ref().map_or("nothing", |revision| revision.label.as_str());
        let wanted = plan.revision.label.as_str();
        let serves = match host.work {
            Some(Work { purpose: Purpose::Forward, .. }) => format!("{prior} → {wanted}"),
            Some(Work { purpose: Purpose::Rollback, .. }) => format!("{wanted} → {prior}"),
            None => words::deployment::host_runs(plan, planned, host),
        };
        // Whether the agent speaks is looked at when somebody wants it.
        let retry = Retry { host: planned.id, alive: true };
        Some(HostCell {
            may_retry: people::may_retry(plan, state, retry).is_ok(),
            may_exclude: people::may_exclude(plan, state, planned.id).is_ok(),
            name: planned.name.clone(),
            mark: mark(host.status(planned).as_str(), false),
            serves,
            message: words::deployment::host_message(host),
            doing,
            logs: own()
                .map(|task| LogLink {
                    url: format!("/tasks/{}/log", task.key().task),
                    text: match task.attempt {
                        1 => "Log".to_owned(),
                        attempt => format!("Log {attempt}"),
                    },
                })
                .collect(),
        })
    });
    hosts.collect()
}

/// How many hosts are in each state, in the order of first appearance.
fn legend(hosts: &[HostCell]) -> Vec<(Mark, usize)> {
    let mut counts: Vec<(Mark, usize)> = Vec::new();
    for host in hosts {
        match counts.iter_mut().find(|(mark, _)| *mark == host.mark) {
            Some((_, count)) => *count += 1,
            None => counts.push((host.mark.clone(), 1)),
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    #[test]
    fn hosts_stand_in_plan_order_and_are_counted_by_state() {
        let row = sample::deployment();
        let view = View::new(&row, &[], &[], sample::NOW, &sample::person(Role::Operator));
        let names: Vec<&str> = view.hosts.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["host-1", "host-2", "host-3"]);
        assert_eq!(view.hosts[0].serves, "4f2c91e Fix");
        assert_eq!(view.hosts[1].serves, "a11ce00 First → 4f2c91e Fix");
        assert_eq!(view.hosts[1].doing.as_deref(), Some("12 s"));
        let counts: Vec<(&str, usize)> =
            view.legend.iter().map(|(mark, count)| (mark.word.as_str(), *count)).collect();
        assert_eq!(counts, [("updated", 1), ("updating", 2)]);
        assert_eq!(view.whys[0].text, "host-2 is running its update, for 12 s");
        assert!(view.steering.is_some());
        let viewer = sample::person(Role::Viewer);
        assert!(View::new(&row, &[], &[], sample::NOW, &viewer).steering.is_none());
    }
}
