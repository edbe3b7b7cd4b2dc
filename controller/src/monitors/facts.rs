//! What the engine may know of monitors and judges when it decides.

use super::judge::trial;
use anyhow::Result;
use pipelines::deploy::event::{MonitorFact, MonitorState, StepVerdict, Verdict};
use pipelines::deploy::{Facts, Phase, Plan, State, Step, Unread};
use pipelines::monitor::{Override, Sample, fact, fresh_for};
use pipelines::spec::group::Monitor;
use pipelines::time::{Millis, Timestamp};
use std::collections::BTreeMap;
use store::deployments::Row;
use store::{PgConnection, groups, monitors};

/// A verdict is believed for so much longer than the time between two looks.
const VERDICT_SLACK: Millis = Millis::from_secs(60);

/// Fills in what is known; for one that is about to start, also that something is not known yet.
pub(crate) async fn fill(
    conn: &mut PgConnection,
    (group, row): (&groups::Row, &Row),
    (plan, state): (&Plan, &State),
    now: Timestamp,
    facts: &mut Facts,
) -> Result<()> {
    if !plan.monitors.is_empty() {
        let samples = monitors::samples(conn, row.id()).await?;
        let overrides = monitors::overrides(conn, group.id).await?;
        let known = Known { monitors: &group.spec.monitors, samples, overrides, now };
        facts.monitors = plan.monitors.iter().map(|name| known.fact(group, name)).collect();
        let free = facts.held_by.is_none() && facts.closed.is_none() && facts.unread.is_none();
        if state.phase == Phase::Queued && free {
            facts.unread = known.unread(&plan.monitors, Timestamp(row.created_at));
        }
    }
    let judged = matches!(plan.steps.get(state.step), Some(Step::Hold { judge: Some(_), .. }));
    if judged && state.phase == Phase::Running {
        facts.verdict = verdict(conn, group, row, state.step, now).await?;
    }
    Ok(())
}

struct Known<'a> {
    monitors: &'a [Monitor],
    samples: BTreeMap<String, Vec<Sample>>,
    overrides: BTreeMap<String, Override>,
    now: Timestamp,
}

impl Known<'_> {
    fn monitor(&self, name: &str) -> Option<&Monitor> {
        self.monitors.iter().find(|monitor| monitor.name == name)
    }

    fn fact(&self, group: &groups::Row, name: &str) -> MonitorFact {
        if let Some(monitor) = self.monitor(name) {
            let samples = self.samples.get(name).map_or(&[][..], Vec::as_slice);
            return fact(monitor, samples, self.overrides.get(name), self.now);
        }
        let reason = format!(
            "the group lost this monitor while it was deployed to; add it again, or abort: {} has it no \
             more",
            group.name
        );
        let (state, looked_at) = (MonitorState::NoData, Timestamp(i64::MIN));
        MonitorFact { name: name.to_owned(), state, reason, looked_at }
    }

    /// Monitors nobody looked at lately. A look that found nothing is one.
    fn unread(&self, names: &[String], since: Timestamp) -> Option<Unread> {
        let looked = |name: &&String| {
            let newest = self.samples.get(*name).and_then(|samples| samples.last());
            let fresh = self
                .monitor(name)
                .zip(newest)
                .is_some_and(|(monitor, newest)| self.now <= newest.at + fresh_for(monitor));
            fresh || self.overrides.contains_key(*name)
        };
        let missing: Vec<&str> =
            names.iter().filter(|name| !looked(name)).map(String::as_str).collect();
        let what = "a first look at the monitors".to_owned();
        (!missing.is_empty()).then(|| Unread { what, whom: missing.join(", "), since })
    }
}

/// What the judge said last, while that is not long ago.
async fn verdict(
    conn: &mut PgConnection,
    group: &groups::Row,
    row: &Row,
    step: usize,
    now: Timestamp,
) -> Result<Option<StepVerdict>> {
    let Some(judgement) = monitors::judgement(conn, row.id(), step).await? else {
        return Ok(None);
    };
    let Some((verdict, at)) = judgement.verdict.zip(judgement.looked_at) else { return Ok(None) };
    let every = group.spec.analysis.as_ref().map_or(Millis::ZERO, |rules| rules.every);
    let old = now > at + Millis(every.0.saturating_mul(2)) + VERDICT_SLACK;
    // The trial of an idle set is over when it succeeded.
    if verdict.verdict == Verdict::Pass && old && trial(&group.spec.0).is_none() {
        let reason = format!("inconclusive, the judge looked {} ago", now.since(at));
        return Ok(Some(StepVerdict { step, verdict: Verdict::Inconclusive, reason }));
    }
    Ok(Some(verdict))
}
