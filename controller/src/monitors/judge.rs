//! The judge of the hold in progress: what it wants to know, and its looks at the balancer.

use super::ask::{Question, Reply, observe};
use super::note;
use super::watched::{Hold, Watched};
use crate::engine::Engine;
use anyhow::{Context as _, Result};
use pipelines::analysis::{Look, Tally};
use pipelines::deploy::event::Verdict;
use pipelines::deploy::strategy::TEST_MONITOR;
use pipelines::protocol::answer::{Answer, Counters};
use pipelines::spec::group::{Analysis, Group, Strategy};
use pipelines::time::Millis;
use store::PgConnection;
use store::monitors::Judgement;

/// What a hold is judged by.
pub(super) enum Wanted {
    /// An answer of the idle set.
    Trial { url: String, step: usize },
    /// The balancer's counts of both sides.
    Count { rules: Analysis, min_samples: u32, step: usize },
}

/// Where an idle set is tried before it gets the traffic.
pub(super) fn trial(group: &Group) -> Option<&str> {
    match &group.strategy {
        Strategy::BlueGreen { test, .. } => test.as_deref(),
        _ => None,
    }
}

pub(super) fn wanted(watched: &Watched) -> Option<Wanted> {
    let (hold, spec) = (watched.hold()?, &watched.group.spec.0);
    let step = hold.step;
    let Some(judge) = hold.judge else { return rehearsed(&hold, spec) };
    if matches!(spec.strategy, Strategy::BlueGreen { .. }) && judge.monitors == [TEST_MONITOR] {
        let url = trial(spec)?.to_owned();
        return Some(Wanted::Trial { url, step });
    }
    // A group that was changed meanwhile does not change what began.
    let rules = spec.analysis.clone().unwrap_or_default();
    Some(Wanted::Count { rules, min_samples: judge.min_samples, step })
}

/// An analysis that only reports has no judge in the plan, and is shown all the same.
fn rehearsed(hold: &Hold<'_>, spec: &Group) -> Option<Wanted> {
    let rules = spec.analysis.clone().filter(|rules| rules.dry_run)?;
    let canary = matches!(spec.strategy, Strategy::Canary { .. } | Strategy::Linear { .. });
    let compared = !hold.sides(&Default::default(), (Millis::ZERO, hold.since)).old.is_empty();
    let counts = spec.router.is_some() && canary && compared;
    let (min_samples, step) = (rules.min_samples, hold.step);
    counts.then_some(Wanted::Count { rules, min_samples, step })
}

pub(super) struct Judge<'a> {
    pub engine: &'a Engine,
    pub watched: &'a Watched,
    pub rules: Analysis,
    pub min_samples: u32,
    pub step: usize,
}

impl Judge<'_> {
    /// Asks when it is time, and counts what came.
    pub async fn look(&self, conn: &mut PgConnection) -> Result<()> {
        let (id, now) = (self.watched.row.id(), self.watched.now);
        let judgement = store::monitors::judgement(conn, id, self.step).await?.unwrap_or_default();
        let due = judgement.looked_at.is_none_or(|at| now >= at + self.rules.every);
        if judgement.asked.is_none() && !due {
            return Ok(());
        }
        let hold = self.watched.hold().context("the hold is over")?;
        let Some(router) = &self.watched.group.spec.router else {
            let why = "the group has no router any more, and nobody counts requests";
            return self.without(judgement, why).await;
        };
        let everybody = hold.plan.hosts.iter().map(|host| host.name.clone()).collect();
        let question = observe(router, everybody);
        match self.reply(conn, &judgement, &question).await? {
            Reply::Waits => Ok(()),
            Reply::Came(Answer::Counters(counters)) => {
                self.count(conn, judgement, &hold, counters).await
            }
            Reply::Came(_) => self.without(judgement, "the agent answered something else").await,
            Reply::None(why) => self.without(judgement, &why).await,
        }
    }

    async fn reply(
        &self,
        conn: &mut PgConnection,
        judgement: &Judgement,
        question: &Question,
    ) -> Result<Reply> {
        let (id, step) = (self.watched.row.id(), self.step);
        if let Some(reply) = question.reply(conn, judgement.asked, self.watched.now).await? {
            return Ok(reply);
        }
        let noted = async |conn: &mut PgConnection, task| {
            store::monitors::judge_asked(conn, id, step, task).await
        };
        question.put(self.engine, id, noted).await
    }

    async fn count(
        &self,
        conn: &mut PgConnection,
        judgement: Judgement,
        hold: &Hold<'_>,
        counters: Counters,
    ) -> Result<()> {
        let row = &self.watched.row;
        let ready = store::groups::serving_since(conn, row.group_id, row.id()).await?;
        let sides = hold.sides(&ready, (self.rules.warm_up, self.watched.now));
        let mut tally = judgement.tally.unwrap_or_default();
        let none_warm = sides.new.is_empty();
        tally.add(&self.rules, Look { counters, new: sides.new, old: sides.old });
        let (verdict, mut reason) = tally.verdict(&self.rules, self.min_samples);
        if none_warm {
            let warm_up = self.rules.warm_up;
            reason.push_str(&format!("; the new hosts are warming up for {warm_up}"));
        }
        note::verdict(self.engine, row.id(), self.step, Some(&tally), (verdict, reason)).await
    }

    /// The balancer could not be read: nothing is learned, and a failure stays one.
    async fn without(&self, judgement: Judgement, why: &str) -> Result<()> {
        let tally: Tally = judgement.tally.unwrap_or_default();
        let (verdict, reason) = match tally.verdict(&self.rules, self.min_samples) {
            (Verdict::Fail, reason) => (Verdict::Fail, reason),
            _ => (Verdict::Inconclusive, format!("inconclusive, the balancer was not read: {why}")),
        };
        let id = self.watched.row.id();
        note::verdict(self.engine, id, self.step, Some(&tally), (verdict, reason)).await
    }
}
