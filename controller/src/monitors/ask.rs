//! Questions to agents: what the balancer counts, what a command prints.

use super::note;
use super::watched::Watched;
use crate::engine::Engine;
use anyhow::Result;
use pipelines::ids::{AgentId, DeploymentId, TaskId};
use pipelines::monitor::{Look, Sample, router_look};
use pipelines::protocol::answer::{Answer, Counters, Measured};
use pipelines::protocol::report::Outcome;
use pipelines::protocol::route::Observe;
use pipelines::protocol::task::{Measure, Work};
use pipelines::spec::group::{Monitor, Router, RouterMetric};
use pipelines::time::{Millis, Timestamp};
use store::tasks::{self, New};
use store::{PgConnection, agents};

/// How long a balancer may take to say what it counted.
const OBSERVE: Millis = Millis::from_secs(10);
/// What a question may take on top of its own time: the way there and back.
const WAY: Millis = Millis::from_secs(15);

/// A question to an agent by name.
pub(super) struct Question {
    pub agent: String,
    pub work: Work,
    pub timeout: Millis,
}

/// Where a question stands.
pub(super) enum Reply {
    /// Asked just now, or before and not answered yet.
    Waits,
    Came(Answer),
    /// There is none, in words.
    None(String),
}

pub(super) fn command(agent: &str, run: &str, timeout: Millis) -> Question {
    let work = Work::Measure(Measure { run: run.to_owned(), timeout });
    // Its own end comes first, and says more.
    let timeout = Millis(timeout.0.saturating_add(5_000));
    Question { agent: agent.to_owned(), work, timeout }
}

pub(super) fn observe(router: &Router, servers: Vec<String>) -> Question {
    let work = Work::Observe(Observe { router: router.clone(), servers });
    Question { agent: router.balancer.agent().to_owned(), work, timeout: OBSERVE }
}

impl Question {
    /// What became of it, asked at `asked` (None: not yet).
    pub async fn reply(
        &self,
        conn: &mut PgConnection,
        asked: Option<(TaskId, Timestamp)>,
        now: Timestamp,
    ) -> Result<Option<Reply>> {
        let Some((task, since)) = asked else { return Ok(None) };
        let reply = match tasks::answer(conn, task).await? {
            None if now < since + self.timeout + WAY => Reply::Waits,
            None => {
                tasks::withdraw(conn, task).await?;
                Reply::None(format!("the agent {} did not answer in time", self.agent))
            }
            Some(Outcome::Succeeded { answer: Some(answer), .. }) => Reply::Came(answer),
            Some(Outcome::Failed { error, .. }) => {
                Reply::None(format!("the agent {}: {}", self.agent, error.message))
            }
            Some(Outcome::Succeeded { .. } | Outcome::Cancelled { .. }) => {
                Reply::None(format!("the agent {} gave no answer", self.agent))
            }
        };
        Ok(Some(reply))
    }

    /// Puts it to its agent. `noted` writes down which task it is, in the same transaction.
    pub async fn put(
        &self,
        engine: &Engine,
        deployment: DeploymentId,
        noted: impl AsyncFnOnce(&mut PgConnection, TaskId) -> store::Result<()>,
    ) -> Result<Reply> {
        let mut tx = engine.pool.begin().await?;
        if !store::lease::holds(&mut tx, engine.epoch).await? {
            return Ok(Reply::Waits);
        }
        let silence = engine.grace.silence(&mut tx).await?;
        let agent: AgentId = match agents::by_name(&mut tx, &self.agent, silence).await? {
            Some((agent, true, _)) => agent,
            Some(_) => return Ok(Reply::None(format!("the agent {} is silent", self.agent))),
            None => return Ok(Reply::None(format!("there is no agent {}", self.agent))),
        };
        let epoch = engine.epoch;
        let (needs, timeout) = (Vec::new(), self.timeout);
        let new = New { work: &self.work, needs, generation: 0, epoch, timeout };
        let task = tasks::ask(&mut tx, agent, Some(deployment), &new).await?;
        noted(&mut tx, task).await?;
        tx.commit().await?;
        engine.wakes.agent(agent);
        Ok(Reply::Waits)
    }
}

/// Where a monitor's question stands; it is put to its agent where it was not yet.
async fn reply(
    engine: &Engine,
    conn: &mut PgConnection,
    watched: &Watched,
    monitor: &Monitor,
    question: &Question,
) -> Result<Reply> {
    let (id, name) = (watched.row.id(), monitor.name.as_str());
    let asked = watched.watches.get(name).and_then(|watch| watch.asked);
    if let Some(reply) = question.reply(conn, asked, watched.now).await? {
        return Ok(reply);
    }
    let noted =
        async |conn: &mut PgConnection, task| store::monitors::asked(conn, id, name, task).await;
    question.put(engine, id, noted).await
}

/// A command on an agent's host.
pub(super) async fn measure(
    engine: &Engine,
    conn: &mut PgConnection,
    watched: &Watched,
    monitor: &Monitor,
    question: Question,
) -> Result<()> {
    let look = match reply(engine, conn, watched, monitor, &question).await? {
        Reply::Waits => return Ok(()),
        Reply::Came(Answer::Measured(measured)) => measured_look(monitor, &measured),
        Reply::Came(_) => Look::missing("the agent answered something else"),
        Reply::None(why) => Look::Missing { why },
    };
    note(engine, watched, monitor, look, None).await
}

async fn note(
    engine: &Engine,
    watched: &Watched,
    monitor: &Monitor,
    look: Look,
    counters: Option<&Counters>,
) -> Result<()> {
    let asked = watched.watches.get(&monitor.name).and_then(|watch| watch.asked);
    let sample = Sample { at: asked.map_or(watched.now, |(_, at)| at), look };
    note::look(engine, watched.row.id(), monitor, &sample, counters).await
}

/// With bounds the number it printed; without, whether it ended well.
pub(super) fn measured_look(monitor: &Monitor, measured: &Measured) -> Look {
    let ended = match measured.exit_code {
        Some(code) => format!("exit code {code}"),
        None => "ended by a signal".to_owned(),
    };
    let well = measured.exit_code == Some(0);
    if monitor.fail_above.is_none() && monitor.fail_below.is_none() {
        return if well { Look::Good } else { Look::Bad { why: ended } };
    }
    if !well {
        return Look::Missing { why: ended };
    }
    let printed = measured.output.trim();
    match printed.parse() {
        Ok(value) => Look::value(value),
        Err(_) => {
            let begin: String = printed.chars().take(40).collect();
            Look::Missing { why: format!("it printed '{begin}', which is no number") }
        }
    }
}

/// What the router counts about the new hosts.
pub(super) async fn router(
    engine: &Engine,
    conn: &mut PgConnection,
    watched: &Watched,
    monitor: &Monitor,
    metric: RouterMetric,
) -> Result<()> {
    let Some(router) = &watched.group.spec.router else {
        let look = Look::missing("the group has no router any more");
        return note(engine, watched, monitor, look, None).await;
    };
    let servers = watched.new_servers();
    let look = |before: Option<&Counters>, after: &Counters| {
        router_look(metric, monitor.min_samples, (before, after), &servers)
    };
    // Nobody need be asked about nobody.
    if servers.is_empty() {
        return note(engine, watched, monitor, look(None, &Counters::default()), None).await;
    }
    let question = observe(router, servers.clone());
    let (look, counters) = match reply(engine, conn, watched, monitor, &question).await? {
        Reply::Waits => return Ok(()),
        Reply::Came(Answer::Counters(counters)) => {
            let watch = watched.watches.get(&monitor.name);
            let before = watch.and_then(|watch| watch.counters.as_ref());
            (look(before, &counters), Some(counters))
        }
        Reply::Came(_) => (Look::missing("the agent answered something else"), None),
        Reply::None(why) => (Look::Missing { why }, None),
    };
    note(engine, watched, monitor, look, counters.as_ref()).await
}
