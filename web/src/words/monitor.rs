//! Monitors and the judge of a deployment, in words.

use super::status::{Mark, Status};
use pipelines::deploy::event::{MonitorState, StepVerdict, Verdict};
use pipelines::monitor::{Override, Sample, fact};
use pipelines::spec::group::Monitor;
use pipelines::time::Timestamp;
use std::collections::BTreeMap;
use store::{PgConnection, deployments, groups, monitors};

/// What is known of a deployment's monitors and of its judge.
#[derive(Debug, Default)]
pub struct Watch {
    pub monitors: Vec<Line>,
    pub verdict: Option<VerdictLine>,
}

/// A monitor.
#[derive(Debug)]
pub struct Line {
    pub name: String,
    pub state: MonitorState,
    /// Value and bound, or who set it.
    pub reason: String,
    pub looked_at: Option<Timestamp>,
    /// It only reports.
    pub dry_run: bool,
    pub set: Option<Override>,
}

/// What the judge said last.
#[derive(Debug)]
pub struct VerdictLine {
    pub verdict: StepVerdict,
    pub looked_at: Timestamp,
    /// It only reports.
    pub dry_run: bool,
}

impl Watch {
    /// As it is now, or as it was when the deployment ended.
    pub async fn of(
        conn: &mut PgConnection,
        row: &deployments::Row,
        now: Timestamp,
    ) -> store::Result<Watch> {
        let Some(group) = groups::by_id(conn, row.group_id).await? else {
            return Ok(Watch::default());
        };
        let samples = monitors::samples(conn, row.id()).await?;
        let overrides = monitors::overrides(conn, row.group_id).await?;
        let verdict = monitors::last_verdict(conn, row.id()).await?;
        let now = row.finished_at.map_or(now, Timestamp);
        let is_over = row.finished_at.is_some();
        let watched = group.spec.monitors.iter();
        // One that is over was watched by what was looked at then.
        let watched = watched.filter(|monitor| !is_over || samples.contains_key(&monitor.name));
        let overrides = if is_over { BTreeMap::new() } else { overrides };
        let lines = watched.map(|monitor| {
            let samples = samples.get(&monitor.name).map_or(&[][..], Vec::as_slice);
            Line::new(monitor, samples, overrides.get(&monitor.name), now)
        });
        let dry_run = group.spec.analysis.as_ref().is_some_and(|analysis| analysis.dry_run);
        let verdict =
            verdict.map(|(verdict, looked_at)| VerdictLine { verdict, looked_at, dry_run });
        Ok(Watch { monitors: lines.collect(), verdict })
    }
}

impl Line {
    pub fn new(
        monitor: &Monitor,
        samples: &[Sample],
        set: Option<&Override>,
        now: Timestamp,
    ) -> Line {
        let fact = fact(monitor, samples, set, now);
        Line {
            name: fact.name,
            state: fact.state,
            reason: fact.reason,
            looked_at: samples.last().map(|sample| sample.at),
            dry_run: monitor.dry_run,
            set: set.cloned(),
        }
    }

    pub fn mark(&self) -> Mark {
        let status = match self.state {
            MonitorState::Ok => Status::Done,
            MonitorState::Fail => Status::Failed,
            MonitorState::NoData => Status::Waiting,
        };
        Mark { status, word: state(self.state).replace('-', " ") }
    }
}

impl VerdictLine {
    pub fn mark(&self) -> Mark {
        let (status, word) = match self.verdict.verdict {
            Verdict::Pass => (Status::Done, "pass"),
            Verdict::Fail => (Status::Failed, "fail"),
            Verdict::Inconclusive => (Status::Waiting, "inconclusive"),
        };
        Mark { status, word: word.to_owned() }
    }
}

/// The word used everywhere: JSON, pages, command line.
pub fn state(state: MonitorState) -> &'static str {
    match state {
        MonitorState::Ok => "ok",
        MonitorState::Fail => "alarm",
        MonitorState::NoData => "no-data",
    }
}

pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
    }
}
