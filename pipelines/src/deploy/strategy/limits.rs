//! How many hosts may be out, and how many may fail: capacity in numbers, with reasons in words.

use super::PlanError;
use super::scene::{Outline, Scene};
use crate::deploy::plan::{Limits, ZoneLimit};
use crate::spec::group::Amount;

impl Limits {
    pub(super) fn none() -> Limits {
        Limits {
            min_healthy: 0,
            rollback_min_healthy: 0,
            rollback_width: 1,
            max_failures: 0,
            failures_per_batch: None,
            failures_in_a_row: None,
            zones: Vec::new(),
        }
    }
}

pub(super) fn limits(scene: &Scene<'_>, outline: &Outline) -> Result<Limits, PlanError> {
    let total = scene.total;
    let asked = floor(scene, outline)?;
    // What the strategy itself takes out, when nobody asks for more.
    let own = (total + outline.extra).saturating_sub(outline.width).min(total);
    let budget = &scene.group.max_failures;
    Ok(Limits {
        min_healthy: asked.unwrap_or(own),
        rollback_min_healthy: asked.unwrap_or(u32::from(total > 1)).min(total.saturating_sub(1)),
        rollback_width: outline.width.saturating_mul(2).max(1),
        max_failures: budget.total.round_down(total),
        failures_per_batch: budget.per_batch.map(|amount| amount.round_down(total)),
        failures_in_a_row: budget.in_a_row,
        zones: zones(scene, outline),
    })
}

/// The number of hosts the group asks to stay in service, if that leaves room to work at all.
fn floor(scene: &Scene<'_>, outline: &Outline) -> Result<Option<u32>, PlanError> {
    let (total, extra) = (scene.total, outline.extra);
    let Some(amount) = scene.group.min_healthy else { return Ok(None) };
    let floor = match amount {
        Amount::Count(count) => count,
        Amount::Percent(_) => amount.round_up(total),
    };
    if total > 0 && floor >= total + extra {
        return Err(PlanError(format!(
            "min-healthy asks for {floor} of {total} hosts in service, so no host could ever be taken \
             out; write at most {}, or add hosts",
            total.saturating_sub(1)
        )));
    }
    // With hosts of its own the strategy never takes one of the fleet's out before they serve.
    if total == 0 { Ok(Some(0)) } else { Ok(Some(floor)) }
}

/// Never a whole zone at once, unless the group says so.
fn zones(scene: &Scene<'_>, outline: &Outline) -> Vec<ZoneLimit> {
    let Some(zones) = &scene.group.zones else { return Vec::new() };
    let mut counts = std::collections::BTreeMap::<String, u32>::new();
    for member in &scene.members {
        if let Some(zone) = scene.zone_of(member) {
            *counts.entry(zone).or_default() += 1;
        }
    }
    let whole = zones.whole_zone || outline.whole_zones;
    let limits = counts.into_iter().map(|(zone, count)| {
        let own = u32::from(!whole && count > 1);
        let asked = zones.min_healthy.map_or(0, |amount| amount.round_up(count));
        ZoneLimit { zone, min_healthy: asked.max(own).min(count.saturating_sub(1)) }
    });
    limits.filter(|limit| limit.min_healthy > 0).collect()
}
