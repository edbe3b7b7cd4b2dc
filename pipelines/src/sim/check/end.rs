//! When it is over: what is really there, against what the engine believes.

use super::Found;
use crate::deploy::{App, Fault, Host, Lane, Phase, Plan, PlanHost, Step};
use crate::ids::AgentId;
use crate::sim::Violation;
use crate::sim::fleet::{Real, index_of};
use crate::sim::play::Play;
use crate::sim::scenario::version_of;

/// When it is over: what is really there.
pub fn the_end(play: &mut Play<'_>) -> Vec<Violation> {
    let mut found = Found::default();
    let (plan, state) = (&play.plan, &play.state);
    let new = version_of(&plan.revision);
    for planned in &plan.hosts {
        let (host, real) = (&state.hosts[&planned.id], &play.hosts[index_of(planned.id)]);
        if host.attempt == 0 {
            let changed = real.version == new && new != prior(planned) && real.exists;
            found.must(!changed || planned.current, "I8", "an untouched host was worked on");
        }
        let out_of_reach = !real.connected || real.lost_for_good || host.excluded.is_some();
        if out_of_reach || matches!(host.fault, Some(Fault::Stuck { .. })) {
            continue;
        }
        if state.phase == Phase::RolledBack {
            rolled_back(planned, host, real, &mut found);
        }
        if state.phase == Phase::Succeeded && host.fault.is_none() && host.app == App::New {
            found.must(
                real.version == new && real.sound,
                "I10",
                "success, but a host does not run it",
            );
            let routed = plan.router.is_none() || real.weight.is_some();
            found.must(
                routed || retired(plan, planned.id),
                "I10",
                "success, but a host gets no traffic",
            );
            let own = planned.weight.is_none() || real.weight == planned.weight;
            found.must(
                own || !routed || plan.router.is_none(),
                "I7",
                "success, but a host has not the weight it had",
            );
        }
        if matches!(state.phase, Phase::Succeeded | Phase::RolledBack) && host.fault.is_none() {
            found.must(!real.cohort, "cohort", "it is over, and a cohort is still told apart");
        }
        if plan.router.is_some() && matches!(host.lane, Lane::In { .. } | Lane::Out) {
            let known = host.lane == lane_of(real);
            found.must(known, "I5", "the balancer does something else than was noted");
        }
    }
    found.list
}

fn lane_of(real: &Real) -> Lane {
    real.weight.map_or(Lane::Out, |weight| Lane::In { weight })
}

fn prior(planned: &PlanHost) -> u8 {
    planned.prior.as_ref().map_or(0, version_of)
}

fn retired(plan: &Plan, id: AgentId) -> bool {
    let gone = |step: &Step| matches!(step, Step::Retire { hosts, .. } if hosts.contains(&id));
    plan.steps.iter().any(gone)
}

/// I7.
fn rolled_back(planned: &PlanHost, host: &Host, real: &Real, found: &mut Found) {
    if planned.provisioned {
        found.must(!real.exists, "I7", "an instance of a failed deployment is still there");
        return;
    }
    if host.touched && host.app == App::Restored {
        let back = real.version == prior(planned) && real.sound;
        found.must(back, "I7", "rolled back, but a host does not run what it ran");
    }
    if let (Lane::In { weight }, true) = (planned.lane, planned.serving) {
        let back = real.weight == Some(weight);
        found.must(back, "I7", "rolled back, but a host does not have the traffic it had");
    }
}
