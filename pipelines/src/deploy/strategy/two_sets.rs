//! Blue/green on two fixed sets: the idle one is brought to the revision, then traffic switches.

use super::scene::{Outline, Scene, hold, install};
use super::{Member, PlanError};
use crate::deploy::host::Lane;
use crate::deploy::plan::{Enter, Inconclusive, Judge, Share, Step};
use crate::ids::AgentId;
use crate::spec::group::Selector;
use crate::time::Millis;

/// The name under which the trial of the idle set is watched.
pub const TEST_MONITOR: &str = "test";

/// How long a person may take to decide about the switch.
const APPROVAL: Millis = Millis::from_minutes(7 * 24 * 60);
/// How long the trial of the idle set may take to succeed.
const TEST: Millis = Millis::from_minutes(10);

/// What has to happen before the switch.
pub(super) struct Gate {
    pub test: bool,
    pub approve: bool,
    pub promote_after: Option<Millis>,
}

impl Gate {
    pub fn steps(&self, steps: &mut Vec<Step>) {
        if self.test {
            let judge = Judge {
                monitors: vec![TEST_MONITOR.to_owned()],
                min_samples: 1,
                until: TEST,
                inconclusive: Inconclusive::Rollback,
            };
            steps.push(Step::Hold { time: Millis::ZERO, judge: Some(judge) });
        }
        match (self.approve, self.promote_after) {
            (true, after) => steps.push(Step::Approve { timeout: APPROVAL, promote_after: after }),
            (false, Some(after)) => steps.push(hold(after)),
            (false, None) => {}
        }
    }
}

pub(super) fn fixed(
    scene: &Scene<'_>,
    (blue, green): (&Selector, &Selector),
    gate: &Gate,
    (bake, keep_old): (Millis, Millis),
) -> Result<Outline, PlanError> {
    if !scene.has_router {
        let text = "blue/green switches traffic, and the group names no `router` to do it";
        return Err(PlanError(text.to_owned()));
    }
    let of = |selector: &Selector| -> Vec<&Member> {
        let all = scene.members.iter().copied();
        all.filter(|member| selector.matches(&member.tags)).collect()
    };
    let (blue, green) = (of(blue), of(green));
    if let Some(both) = blue.iter().find(|member| green.iter().any(|other| other.id == member.id)) {
        return Err(PlanError(format!("{} is in both sets; let the selectors differ", both.name)));
    }
    for (set, name) in [(&blue, "blue"), (&green, "green")] {
        if set.is_empty() {
            return Err(PlanError(format!("no host is {name}; tag some, or mend the selector")));
        }
    }
    let (live, idle, name) =
        if is_live(&green, &blue) { (green, blue, "blue") } else { (blue, green, "green") };
    let ids = |set: &[&Member]| -> Vec<AgentId> { set.iter().map(|member| member.id).collect() };
    let total = u32::try_from(idle.len()).unwrap_or(u32::MAX);
    let mut steps = Vec::new();
    let ready = idle.iter().all(|member| scene.serves_it(member));
    if !ready {
        steps.push(install(&ids(&idle), total, Enter::Wait));
    }
    if !scene.again {
        gate.steps(&mut steps);
    }
    steps.push(Step::Shift { share: Share::Percent(100), cohort: false });
    if !scene.again {
        steps.push(hold(bake));
        steps.push(Step::Retire { hosts: ids(&live), keep: keep_old });
    }
    let words = format!("blue/green, {total} hosts to {name}");
    Ok(Outline { steps, width: total, extra: total, whole_zones: true, words })
}

/// Whether `set` has the traffic: as the router says, or else as far as anything is served there and
/// not in the other. Blue at the very beginning.
fn is_live(set: &[&Member], other: &[&Member]) -> bool {
    let routed = |set: &[&Member]| {
        set.iter().filter(|member| matches!(member.lane, Lane::In { .. })).count()
    };
    let serving = |set: &[&Member]| set.iter().filter(|member| member.serving.is_some()).count();
    (routed(set), serving(set)) > (routed(other), serving(other))
}
