//! Rolling: a first batch that proves the revision, then batches of one size, or of growing ones.

use super::scene::{Outline, Scene, hold, install};
use crate::deploy::plan::{Enter, Step};
use crate::ids::AgentId;
use crate::spec::group::{Amount, Batch, Zones};
use crate::time::Millis;

pub(super) struct Pace<'a> {
    pub batch: &'a Batch,
    pub first: Option<Amount>,
    /// A batch has to be done before the next starts; otherwise hosts move up singly.
    pub barrier: bool,
    pub hold: Option<Millis>,
}

pub(super) fn outline(scene: &Scene<'_>, pace: &Pace<'_>, bake: Millis) -> Outline {
    let width = scene.batch(pace.batch.last());
    let mut outline =
        Outline { steps: Vec::new(), width, extra: 0, whole_zones: false, words: String::new() };
    if scene.again {
        // A revision that proved itself once needs no probe host again.
        outline.width = width.saturating_mul(2).min(scene.total.max(1));
        outline.steps.push(install(&scene.ids, outline.width, Enter::Serve));
        outline.words = format!("rolling back, {} at a time", outline.width);
        return outline;
    }
    let one_zone = scene.group.zones.as_ref().filter(|zones| zones.one_at_a_time);
    match one_zone {
        Some(zones) => outline.steps = zone_by_zone(scene, pace, zones),
        None => outline.steps = batches(scene, pace, &scene.ids, true),
    }
    outline.words = words(scene, pace);
    if one_zone.is_some() {
        outline.words.push_str(", zone by zone");
    }
    if bake > Millis::ZERO {
        outline.steps.push(hold(bake));
    }
    outline
}

fn words(scene: &Scene<'_>, pace: &Pace<'_>) -> String {
    let (first, last) = (first(scene, pace), scene.batch(pace.batch.last()));
    let sizes = pace.batch.sizes();
    if sizes.len() > 1 {
        let sizes: Vec<String> = sizes.iter().map(|size| scene.batch(*size).to_string()).collect();
        format!("rolling, {} at a time", sizes.join(", then "))
    } else if first == last {
        format!("rolling, {last} at a time")
    } else {
        format!("rolling, first {first}, then {last} at a time")
    }
}

/// One host where nothing else is said: a broken build touches no more than that.
fn first(scene: &Scene<'_>, pace: &Pace<'_>) -> u32 {
    match pace.first {
        Some(amount) => scene.batch(amount),
        None if pace.batch.sizes().len() > 1 => scene.batch(pace.batch.nth(0)),
        None => 1,
    }
}

/// The steps for these hosts; `probe`: whether the first batch is the one that proves the revision.
pub(super) fn batches(
    scene: &Scene<'_>,
    pace: &Pace<'_>,
    hosts: &[AgentId],
    probe: bool,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = hosts;
    let mut index = 0;
    // Hosts move up singly only where every batch is alike and nothing happens in between.
    let sliding = !pace.barrier && pace.hold.is_none() && pace.batch.sizes().len() == 1;
    while !rest.is_empty() {
        let probes = index == 0 && probe;
        let size = if probes { first(scene, pace) } else { scene.batch(pace.batch.nth(index)) };
        let take = if sliding && !probes { rest.len() } else { rest.len().min(size as usize) };
        let (batch, after) = rest.split_at(take);
        steps.push(install(batch, size, Enter::Serve));
        if let Some(time) = pace.hold.filter(|_| !after.is_empty()) {
            steps.push(hold(time));
        }
        rest = after;
        index += 1;
    }
    steps
}

fn zone_by_zone(scene: &Scene<'_>, pace: &Pace<'_>, zones: &Zones) -> Vec<Step> {
    let mut names: Vec<Option<String>> = Vec::new();
    for member in &scene.members {
        let zone = scene.zone_of(member);
        if !names.contains(&zone) {
            names.push(zone);
        }
    }
    let mut steps = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let of_zone = scene.members.iter().filter(|member| scene.zone_of(member) == *name);
        let ids: Vec<AgentId> = of_zone.map(|member| member.id).collect();
        steps.extend(batches(scene, pace, &ids, index == 0));
        let time = if index == 0 { zones.first_hold } else { zones.hold };
        if time > Millis::ZERO && index + 1 < names.len() {
            steps.push(hold(time));
        }
    }
    steps
}
