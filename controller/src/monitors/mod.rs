//! Looking at the monitors of deployments, and judging their steps, while this controller leads.
//!
//! Every round looks at what is due: networks are asked side by side and outside any transaction,
//! agents by questions whose answers a later round finds. What was found becomes a row, and whoever
//! waits for it hears `Tick`; what follows is decided by `pipelines::{monitor, analysis}` and the engine,
//! from the facts that `facts` makes of those rows. Due times are counted from the rows, so a new leader
//! goes on where the last one was.

mod ask;
pub(crate) mod facts;
mod http;
mod judge;
mod note;
mod prometheus;
#[cfg(test)]
mod tests;
mod watched;

use crate::destination::Policy;
use crate::engine::Engine;
use anyhow::Result;
use pipelines::deploy::event::Verdict;
use pipelines::ids::DeploymentId;
use pipelines::monitor::{Look, Sample, is_due};
use pipelines::spec::group::{Metric, Monitor};
use pipelines::time::Millis;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use store::PgConnection;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use watched::Watched;

/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(500);
/// A round that takes longer hangs on a connection that is dead.
const ROUND_MAX: Duration = Duration::from_secs(30);
/// Network questions at once.
const WIDTH: usize = 8;
/// Between two trials of an idle set.
const TRIAL_EVERY: Millis = Millis::from_secs(5);

/// What a question to the network is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum For {
    Monitor(DeploymentId, String),
    Trial(DeploymentId, usize),
}

/// The end of a question to the network.
enum Found {
    Look(DeploymentId, Box<Monitor>, Sample),
    Trial(DeploymentId, usize, (Verdict, String)),
}

/// One term's looking.
struct Looker {
    engine: Arc<Engine>,
    client: http::Client,
    width: Arc<Semaphore>,
    in_hand: BTreeSet<For>,
    questions: JoinSet<(For, Found)>,
}

pub(crate) async fn run(engine: Arc<Engine>, policy: Policy, stop: CancellationToken) {
    let client = match http::Client::new(policy) {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "no monitor can be asked over HTTP on this machine");
            return stop.cancelled().await;
        }
    };
    let (in_hand, questions) = (BTreeSet::new(), JoinSet::new());
    let width = Arc::new(Semaphore::new(WIDTH));
    let mut looker = Looker { engine, client, width, in_hand, questions };
    loop {
        let looked = tokio::time::timeout(ROUND_MAX, looker.round()).await;
        let looked = looked.unwrap_or_else(|_| Err(anyhow::anyhow!("the round took too long")));
        if let Err(error) = looked {
            tracing::warn!(error = %format!("{error:#}"), "cannot look at the monitors");
        }
        let pause = tokio::time::sleep(PAUSE);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                () = stop.cancelled() => return,
                Some(ended) = looker.questions.join_next() => looker.ended(ended).await,
            }
        }
    }
}

impl Looker {
    async fn round(&mut self) -> Result<()> {
        let mut conn = self.engine.pool.acquire().await?;
        for (deployment, group) in store::monitors::watched(&mut conn).await? {
            let Some(watched) = Watched::load(&mut conn, deployment, group).await? else {
                continue;
            };
            if let Err(error) = self.look(&mut conn, &watched).await {
                // One in trouble does not keep the others from being looked at.
                let error = format!("{error:#}");
                tracing::warn!(error, %deployment, "cannot look at a deployment's monitors");
            }
        }
        Ok(())
    }

    async fn look(&mut self, conn: &mut PgConnection, watched: &Watched) -> Result<()> {
        for monitor in &watched.group.spec.monitors {
            let newest = watched.samples(&monitor.name).last();
            let hold = watched.hold().map(|hold| hold.since);
            let asked = watched.watches.get(&monitor.name).and_then(|watch| watch.asked);
            if asked.is_none() && !is_due(monitor, newest, hold, watched.now) {
                continue;
            }
            match &monitor.metric {
                Metric::Http { .. } | Metric::Prometheus { .. } => self.ask(watched, monitor),
                Metric::Router(metric) => {
                    ask::router(&self.engine, conn, watched, monitor, *metric).await?;
                }
                Metric::Command { agent, run, timeout } => {
                    let question = ask::command(agent, run, *timeout);
                    ask::measure(&self.engine, conn, watched, monitor, question).await?;
                }
            }
        }
        match judge::wanted(watched) {
            Some(judge::Wanted::Trial { url, step }) => {
                self.try_out(conn, watched, url, step).await
            }
            Some(judge::Wanted::Count { rules, min_samples, step }) => {
                let judge =
                    judge::Judge { engine: &self.engine, watched, rules, min_samples, step };
                judge.look(conn).await
            }
            None => Ok(()),
        }
    }

    /// Asks the network for a monitor, unless it is being asked.
    fn ask(&mut self, watched: &Watched, monitor: &Monitor) {
        let id = watched.row.id();
        let what = For::Monitor(id, monitor.name.clone());
        if !self.in_hand.insert(what.clone()) {
            return;
        }
        let (client, width, monitor) =
            (self.client.clone(), self.width.clone(), Box::new(monitor.clone()));
        let now = watched.now;
        self.questions.spawn(async move {
            // Closed: the term is over, and so is this.
            let _place = width.acquire().await;
            let look = match &monitor.metric {
                Metric::Prometheus { url, query } => {
                    let stale = Millis(monitor.every.0.saturating_mul(2));
                    prometheus::look(&client, url, query, (now, stale)).await
                }
                Metric::Http { url, value, status, timeout } => {
                    client.look(url, value.as_deref(), *status, *timeout).await
                }
                Metric::Router(_) | Metric::Command { .. } => Look::missing("asked of an agent"),
            };
            (what, Found::Look(id, monitor, Sample { at: now, look }))
        });
    }

    /// Tries an idle set before it gets the traffic.
    async fn try_out(
        &mut self,
        conn: &mut PgConnection,
        watched: &Watched,
        url: String,
        step: usize,
    ) -> Result<()> {
        let id = watched.row.id();
        let judgement = store::monitors::judgement(conn, id, step).await?.unwrap_or_default();
        let passed = judgement.verdict.is_some_and(|verdict| verdict.verdict == Verdict::Pass);
        let fresh = judgement.looked_at.is_some_and(|at| watched.now < at + TRIAL_EVERY);
        let what = For::Trial(id, step);
        if passed || fresh || !self.in_hand.insert(what.clone()) {
            return Ok(());
        }
        let (client, width) = (self.client.clone(), self.width.clone());
        self.questions.spawn(async move {
            let _place = width.acquire().await;
            let verdict = client.trial(&url).await;
            (what, Found::Trial(id, step, verdict))
        });
        Ok(())
    }

    async fn ended(&mut self, ended: Result<(For, Found), tokio::task::JoinError>) {
        let (what, found) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                // Nobody knows whose it was: all are asked again.
                self.in_hand.clear();
                return tracing::error!(%error, "a question to the network ended badly");
            }
        };
        let engine = &self.engine;
        let noted = match found {
            Found::Look(deployment, monitor, sample) => {
                note::look(engine, deployment, &monitor, &sample, None).await
            }
            Found::Trial(deployment, step, verdict) => {
                note::verdict(engine, deployment, step, None, verdict).await
            }
        };
        if let Err(error) = noted {
            tracing::warn!(error = %format!("{error:#}"), "cannot write down what a monitor said");
        }
        self.in_hand.remove(&what);
    }
}
