//! Canary and linear: growing shares of the traffic, then the rest.
//!
//! Behind a router the share is made by weights, and hosts are validated before they get any. Without
//! one the share of hosts is the share of traffic.

use super::PlanError;
use super::scene::{Outline, Scene, hold, install};
use crate::deploy::host::Lane;
use crate::deploy::plan::{Enter, Inconclusive, Judge, Share, Step};
use crate::spec::group::{Amount, CanaryStep, Inconclusive as Written};
use crate::time::Millis;

/// How long a person may take to decide about the next step.
const APPROVAL: Millis = Millis::from_minutes(7 * 24 * 60);

/// Equal shares at equal intervals, as a canary's steps.
pub(super) fn linear(step: u32, every: Millis) -> Vec<CanaryStep> {
    let shares = (1..).map(|index| index * step.max(1)).take_while(|share| *share < 100);
    shares
        .map(|weight| CanaryStep {
            weight,
            hosts: None,
            hold: every,
            min_samples: None,
            analyse: Vec::new(),
            approve: false,
        })
        .collect()
}

pub(super) fn outline(
    scene: &Scene<'_>,
    steps: &[CanaryStep],
    bake: Millis,
) -> Result<Outline, PlanError> {
    if scene.again {
        let (batch, first) = (Amount::Percent(25).into(), None);
        let pace = super::rolling::Pace { batch: &batch, first, barrier: false, hold: None };
        return Ok(super::rolling::outline(scene, &pace, Millis::ZERO));
    }
    let mut plan = Vec::new();
    let (mut done, mut width, mut tried) = (0, 1, false);
    for step in steps.iter().filter(|step| step.weight < 100) {
        let needed = Amount::Percent(step.weight).round_up(scene.total);
        let wanted = step.hosts.map_or(needed, |hosts| hosts.round_up(scene.total)).max(1);
        if wanted < needed {
            return Err(PlanError(format!(
                "{} % of the traffic on {wanted} of {} hosts is more than they carry; the step needs \
                 {needed} hosts",
                step.weight, scene.total
            )));
        }
        if scene.has_router && needed >= scene.total {
            // Nobody would be left to have the rest of the traffic.
            break;
        }
        let wanted = if scene.has_router { wanted.min(scene.total - 1) } else { wanted };
        let until = wanted.min(scene.total).max(done);
        let grow = &scene.ids[done as usize..until as usize];
        let enter = if scene.has_router { Enter::Wait } else { Enter::Serve };
        if !grow.is_empty() {
            plan.push(install(grow, scene.total, enter));
            width = width.max(until - done);
        }
        if scene.has_router {
            plan.push(Step::Shift {
                share: Share::Percent(step.weight),
                cohort: scene.has_cohorts,
            });
            tried |= scene.has_cohorts;
        }
        done = until;
        plan.push(Step::Hold { time: step.hold, judge: judge(scene, step) });
        if step.approve {
            plan.push(Step::Approve { timeout: APPROVAL, promote_after: None });
        }
    }
    if scene.has_router {
        plan.push(Step::Shift { share: Share::Equal, cohort: tried });
    }
    let rest = &scene.ids[done as usize..];
    if !rest.is_empty() {
        plan.push(install(rest, width, Enter::Serve));
    }
    if tried {
        // Everybody gets the new revision, so nobody has to be told apart any more.
        plan.push(Step::Shift { share: Share::Equal, cohort: false });
    }
    if bake > Millis::ZERO {
        plan.push(hold(bake));
    }
    let words = words(scene, steps);
    Ok(Outline { steps: plan, width, extra: 0, whole_zones: false, words })
}

fn words(scene: &Scene<'_>, steps: &[CanaryStep]) -> String {
    let shares: Vec<String> = steps.iter().map(|step| format!("{} %", step.weight)).collect();
    let mut words = match shares.len() {
        0..=5 => format!("canary, {}", shares.join(", then ")),
        _ => format!("linear, from {} to {}", shares[0], shares[shares.len() - 1]),
    };
    if analysed(scene) && !has_baseline(scene) {
        words.push_str("; not analysed: no host serves anything yet to compare it with");
    }
    words
}

/// Without a router nobody counts requests.
fn analysed(scene: &Scene<'_>) -> bool {
    scene.has_router && scene.group.analysis.as_ref().is_some_and(|analysis| !analysis.dry_run)
}

/// Whether there is anybody to compare new hosts with. A first deployment has nobody, and an analysis that
/// cannot ever decide would only take it back: its monitors have to do.
fn has_baseline(scene: &Scene<'_>) -> bool {
    scene.members.iter().any(|member| {
        let serves = member.serving.is_some() || member.answers;
        let routed = matches!(member.lane, Lane::In { .. } | Lane::Unknown);
        serves && routed && member.alive
    })
}

fn judge(scene: &Scene<'_>, step: &CanaryStep) -> Option<Judge> {
    let analysis = scene.group.analysis.as_ref()?;
    (analysed(scene) && has_baseline(scene)).then(|| Judge {
        monitors: step.analyse.clone(),
        min_samples: step.min_samples.unwrap_or(analysis.min_samples),
        until: Millis(step.hold.0 + analysis.max_hold.0),
        inconclusive: match analysis.inconclusive {
            Written::Rollback => Inconclusive::Rollback,
            Written::Pause => Inconclusive::Pause,
            Written::Promote => Inconclusive::Promote,
        },
    })
}
