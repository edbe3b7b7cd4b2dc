//! What must hold at every step, checked on every decision, in production, in tests and in the
//! simulator. Numbers are those of the delivery rules (I1 to I30) where one applies.

use super::event::Facts;
use super::host::{App, Fault, Host, Lane};
use super::people;
use super::plan::{Plan, PlanHost};
use super::state::{Phase, State};
use super::turn::available;
use crate::command::Command;
use crate::ids::AgentId;
use crate::protocol::route::Traffic;
use crate::protocol::task::{Part, Purpose};

/// Everything the step from `before` to `after` breaks; empty when all is well.
#[must_use]
pub fn check(
    plan: &Plan,
    before: &State,
    after: &State,
    facts: &Facts,
    commands: &[Command],
) -> Vec<String> {
    let mut check = Check { plan, before, after, facts, broken: Vec::new() };
    check.must(after.generation >= before.generation, "I4: the generation fell");
    if before.phase.is_final() {
        check.must(after.phase == before.phase, "a final phase changed");
        check.must(commands.is_empty(), "a finished deployment did something");
    }
    if after.phase.is_final() && !before.phase.is_final() {
        check.the_end();
    }
    if before.phase == Phase::Queued && after.started_at.is_some() {
        let closed = people::closed(plan, after, facts).is_some();
        check.must(!closed, "calendar: it started although the group is closed");
    }
    for command in commands {
        check.command(command);
    }
    check.broken
}

struct Check<'a> {
    plan: &'a Plan,
    before: &'a State,
    after: &'a State,
    facts: &'a Facts,
    broken: Vec<String>,
}

impl Check<'_> {
    fn must(&mut self, holds: bool, text: &str) {
        if !holds {
            self.broken.push(text.to_owned());
        }
    }

    fn the_end(&mut self) {
        let plan = self.plan;
        for planned in &plan.hosts {
            let Some(host) = self.after.hosts.get(&planned.id) else { continue };
            let installs = plan.steps.iter().any(|step| step.hosts().contains(&planned.id))
                && !retires(plan, planned.id);
            let left_out = host.excluded.is_some() || host.fault.is_some();
            match self.after.phase {
                Phase::Succeeded if installs => {
                    self.must(host.app == App::New || left_out, "I10: success without every host");
                }
                Phase::RolledBack => {
                    self.must(is_back(planned, host), "I7: rolled back, but a host is not");
                }
                _ => {}
            }
            self.must(host.work.is_none(), "it ended while a host was worked on");
        }
        self.must(self.after.routes.is_empty(), "it ended while traffic was changing");
        if self.after.phase == Phase::Succeeded {
            let tried = |host: &Host| host.cohort && host.is_in() && host.fault.is_none();
            let tried = self.after.hosts.values().any(tried);
            self.must(!tried, "cohort: still told apart when everybody has the new revision");
        }
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::StartHost { host, purpose, generation, parts, .. } => {
                self.work(*host, *purpose, *generation, parts);
            }
            Command::Route { generation, orders, cohort, .. } => {
                self.route(*generation, orders);
                self.cohort(orders, cohort);
            }
            Command::RecordGood { hosts } => {
                self.must(self.after.phase == Phase::Succeeded, "I11: a failed base revision");
                let new =
                    |id: &AgentId| self.after.hosts.get(id).is_some_and(|h| h.app == App::New);
                let all = hosts.iter().all(new);
                self.must(all, "I11: good where it was never validated");
            }
            Command::Finished => self.must(self.after.phase.is_final(), "finished, but not final"),
            Command::Launch { host, .. } | Command::Dismiss { host, .. } => {
                let planned = self.plan.host(*host).is_some_and(|h| h.provisioned || h.instance);
                self.must(planned, "I8: a host that is no instance was made or taken away");
                if let Command::Dismiss { .. } = command {
                    let out = self.after.hosts.get(host).is_some_and(|h| !h.is_in());
                    self.must(out, "I16: an instance was taken away under traffic");
                }
            }
            Command::CancelHost { .. }
            | Command::CancelRoute { .. }
            | Command::RecordHost { .. }
            | Command::RecordTraffic { .. }
            | Command::WakeAt { .. } => {}
            Command::FetchSource { .. }
            | Command::StartBuild { .. }
            | Command::CancelBuild { .. }
            | Command::StartDeployment { .. }
            | Command::AbortDeployment { .. } => {
                self.must(false, "a run's command from a deployment");
            }
        }
    }

    fn work(&mut self, id: AgentId, purpose: Purpose, generation: u64, parts: &[Part]) {
        let (plan, before, after) = (self.plan, self.before, self.after);
        let Some(planned) = plan.host(id) else {
            return self.must(false, "I8: work for a host outside the plan");
        };
        let (Some(was), Some(host)) = (before.hosts.get(&id), after.hosts.get(&id)) else { return };
        self.must(generation == after.generation, "I4: a command of an old generation");
        self.must(self.facts.is_alive(id), "I9: work for a silent host");
        self.must(was.work.is_none() || was.attempt < host.attempt, "I6: two works on one host");
        let installs = parts.contains(&Part::Install);
        let traffic_only = !installs && !parts.contains(&Part::Fetch);
        match purpose {
            Purpose::Forward => {
                self.must(after.phase == Phase::Running, "forward work while not running");
                let goes_on = was.is_begun(planned) || was.unsettled || was.work.is_some();
                let settles =
                    parts.iter().all(|p| matches!(p, Part::AfterAllow | Part::AfterBlock));
                let paused = before.paused.is_some() && after.paused.is_some();
                let fresh = paused && !goes_on && !settles;
                self.must(!fresh, "I17: work while paused");
            }
            Purpose::Rollback => {
                let back = matches!(after.phase, Phase::RollingBack | Phase::Failing);
                self.must(back, "rollback work while not rolling back");
                self.must(
                    traffic_only || planned.prior.is_some(),
                    "I7: a rollback without a target",
                );
                self.must(traffic_only || host.touched, "I8: rollback of an untouched host");
            }
        }
        if installs {
            self.must(!host.is_in(), "I2: an application was changed under traffic");
        }
        if !traffic_only {
            self.leaves(planned, was, purpose);
        }
    }

    /// The floor may be undercut by faults, never by our own starts.
    fn leaves(&mut self, planned: &PlanHost, was: &Host, purpose: Purpose) {
        let serving = was.is_in_service(planned) && self.facts.is_alive(planned.id);
        let retiring = retires(self.plan, planned.id);
        if !serving || retiring || self.plan.is_weighted() && was.app == App::New {
            return;
        }
        let left = available(self.plan, self.after, self.facts);
        let floor = match purpose {
            Purpose::Forward => self.plan.limits.min_healthy,
            Purpose::Rollback => self.plan.limits.rollback_min_healthy,
        };
        let name = &planned.name;
        self.must(
            left >= floor,
            &format!("I1: {left} of at least {floor} hosts in service without {name}"),
        );
    }

    /// A cohort is sent to the new revision alone, where it was validated, and only while it is tried.
    fn cohort(&mut self, orders: &[(AgentId, Traffic)], cohort: &[AgentId]) {
        let running = self.after.phase == Phase::Running && self.plan.has_cohorts();
        self.must(running || cohort.is_empty(), "cohort: sent somewhere although nothing is tried");
        for id in cohort {
            let comes = |(of, traffic): &(AgentId, Traffic)| {
                of == id && matches!(traffic, Traffic::In { .. })
            };
            let comes = orders.iter().any(comes);
            let new = self.after.hosts.get(id).is_some_and(|host| host.app == App::New);
            self.must(comes && new, "cohort: sent to what is not the new revision in traffic");
        }
    }

    fn route(&mut self, generation: u64, orders: &[(AgentId, Traffic)]) {
        let plan = self.plan;
        self.must(generation == self.after.generation, "I4: a command of an old generation");
        self.must(plan.router.is_some(), "traffic without a router");
        let mut reached = 0;
        for planned in &plan.hosts {
            let Some(host) = self.after.hosts.get(&planned.id) else { continue };
            let order =
                orders.iter().find(|(id, _)| *id == planned.id).map(|(_, traffic)| *traffic);
            if let Some(Traffic::In { weight }) = order {
                let sound = host.is_sound(planned);
                self.must(sound, "I2: traffic for a host that was not validated");
                self.must((1..=256).contains(&weight), "a weight out of bounds");
                let back = matches!(self.after.phase, Phase::RollingBack | Phase::Failing);
                self.must(
                    !back || host.app != App::New,
                    "I13: traffic for the new revision after an abort",
                );
            }
            let stays = order.is_none() && host.is_in() && host.is_sound(planned);
            reached += usize::from(stays || matches!(order, Some(Traffic::In { .. })));
        }
        let all_out = orders.iter().all(|(_, traffic)| !matches!(traffic, Traffic::In { .. }));
        let was_reached = plan.hosts.iter().any(|planned| {
            self.before
                .hosts
                .get(&planned.id)
                .is_some_and(|host| host.is_in() && host.is_sound(planned))
        });
        // A first deployment that is undone leaves nothing, as there was nothing.
        let first = !plan.hosts.iter().any(PlanHost::had_traffic);
        let was_reached = was_reached && !first;
        let floor = plan.limits.min_healthy.min(plan.limits.rollback_min_healthy);
        self.must(
            reached > 0 || !all_out || !was_reached || floor == 0,
            "I15: nobody left to send traffic to",
        );
    }
}

fn retires(plan: &Plan, id: AgentId) -> bool {
    let retires = |step: &super::plan::Step| matches!(step, super::plan::Step::Retire { hosts, .. } if hosts.contains(&id));
    plan.steps.iter().any(retires)
}

/// As it was before, or idle as it was before, or let go by somebody's word.
fn is_back(planned: &PlanHost, host: &Host) -> bool {
    if host.excluded.is_some() || matches!(host.fault, Some(Fault::Stuck { .. })) {
        return host.excluded.is_some();
    }
    let lane = host.is_where_it_was(planned) || planned.lane == Lane::Unknown;
    let idle = !planned.serving && host.lane == Lane::Out && planned.lane == Lane::Out;
    match host.app {
        App::Absent => planned.provisioned,
        App::Before => lane && !planned.provisioned,
        App::Restored => lane,
        App::New | App::Broken | App::Unknown => idle && planned.prior.is_none(),
    }
}
