//! Strategies on hosts made for the purpose: rolling with extra hosts, immutable, blue/green on
//! instances.

use super::PlanError;
use super::rolling::{Pace, batches};
use super::scene::{Outline, Scene, hold, install};
use super::two_sets::Gate;
use crate::deploy::host::Lane;
use crate::deploy::plan::{Enter, Share, Step};
use crate::ids::AgentId;
use crate::spec::group::Amount;
use crate::time::Millis;

fn need_instances(scene: &Scene<'_>, what: &str) -> Result<(), PlanError> {
    if scene.new.is_empty() {
        let text =
            format!("{what} needs new hosts, and the group names no `instances` to make them");
        return Err(PlanError(text));
    }
    Ok(())
}

/// Extra hosts serve first, so that the fleet's own can leave without anybody missing them.
pub(super) fn rolling_extra(
    scene: &Scene<'_>,
    batch: Amount,
    pause: Option<Millis>,
    bake: Millis,
) -> Result<Outline, PlanError> {
    need_instances(scene, "rolling-extra")?;
    let width = scene.batch(batch);
    let extra = u32::try_from(scene.new.len()).unwrap_or(u32::MAX);
    let new = scene.new.clone();
    let mut steps =
        vec![Step::Provision { hosts: new.clone() }, install(&new, extra, Enter::Serve)];
    let words = if scene.ids.is_empty() {
        format!("the first {extra} hosts")
    } else {
        let sizes = batch.into();
        let pace = Pace { batch: &sizes, first: Some(batch), barrier: false, hold: pause };
        steps.extend(batches(scene, &pace, &scene.ids, false));
        if bake > Millis::ZERO {
            steps.push(hold(bake));
        }
        steps.push(Step::Retire { hosts: new, keep: Millis::ZERO });
        format!("rolling, {width} at a time, with {extra} extra")
    };
    Ok(Outline { steps, width, extra, whole_zones: false, words })
}

/// A whole new set: one host proves the revision, then the rest; the old set is never touched.
pub(super) fn immutable(
    scene: &Scene<'_>,
    first: Amount,
    bake: Millis,
    keep_old: Millis,
) -> Result<Outline, PlanError> {
    need_instances(scene, "immutable")?;
    can_be_replaced(scene, "immutable")?;
    let total = u32::try_from(scene.new.len()).unwrap_or(u32::MAX);
    let probe = first.round_up(total).clamp(1, total) as usize;
    let (probe, rest) = scene.new.split_at(probe);
    let mut steps =
        vec![Step::Provision { hosts: probe.to_vec() }, install(probe, total, Enter::Wait)];
    if !rest.is_empty() {
        steps.push(Step::Provision { hosts: rest.to_vec() });
        steps.push(install(rest, total, Enter::Wait));
    }
    switch(scene, &mut steps, bake, keep_old);
    let words = format!("immutable, {total} new hosts, first {}", probe.len());
    Ok(Outline { steps, width: total, extra: total, whole_zones: true, words })
}

/// Blue/green where the second set is made anew each time.
pub(super) fn blue_green(
    scene: &Scene<'_>,
    gate: &Gate,
    bake: Millis,
    keep_old: Millis,
) -> Result<Outline, PlanError> {
    need_instances(scene, "blue-green without fixed sets")?;
    can_be_replaced(scene, "blue-green")?;
    let total = u32::try_from(scene.new.len()).unwrap_or(u32::MAX);
    let mut steps =
        vec![Step::Provision { hosts: scene.new.clone() }, install(&scene.new, total, Enter::Wait)];
    gate.steps(&mut steps);
    switch(scene, &mut steps, bake, keep_old);
    let words = format!("blue/green, {total} new hosts");
    Ok(Outline { steps, width: total, extra: total, whole_zones: true, words })
}

/// Back to a revision that proved itself: on the hosts that serve, without new ones.
pub(super) fn again(scene: &Scene<'_>) -> Outline {
    let serve = scene.members.iter().filter(|member| {
        !scene.has_router || matches!(member.lane, Lane::In { .. } | Lane::Unknown)
    });
    let mut hosts: Vec<AgentId> = serve.map(|member| member.id).collect();
    if hosts.is_empty() {
        hosts.clone_from(&scene.ids);
    }
    let width = scene.batch(Amount::Percent(25));
    let steps = hosts.chunks(width as usize).map(|some| install(some, width, Enter::Serve));
    let words = format!("rolling, {width} at a time, on the hosts that serve");
    Outline { steps: steps.collect(), width, extra: 0, whole_zones: false, words }
}

/// Without a router, a host serves as long as it runs: one that nobody made cannot make room for the new
/// set, and would run the old revision beside it for ever.
fn can_be_replaced(scene: &Scene<'_>, what: &str) -> Result<(), PlanError> {
    let fixed = scene.members.iter().find(|member| !member.instance);
    let Some(fixed) = fixed.filter(|_| !scene.has_router) else { return Ok(()) };
    Err(PlanError(format!(
        "{what} takes hosts out of service, and {} was not made by the group: without a `router` it would \
         go on serving the old revision; add a `router`, or let `hosts` select instances only",
        fixed.name
    )))
}

fn switch(scene: &Scene<'_>, steps: &mut Vec<Step>, bake: Millis, keep_old: Millis) {
    if scene.has_router {
        steps.push(Step::Shift { share: Share::Percent(100), cohort: false });
    }
    steps.push(hold(bake));
    if !scene.ids.is_empty() {
        steps.push(Step::Retire { hosts: scene.ids.clone(), keep: keep_old });
    }
}
