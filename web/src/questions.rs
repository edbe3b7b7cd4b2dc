//! Asking agents on a person's behalf. A question is a task whose answer is looked for here; whoever
//! does not answer in time is said to be silent, and all that is still open is withdrawn.

use crate::App;
use crate::error::{Error, Result};
use pipelines::ids::{AgentId, Digest, TaskId};
use pipelines::protocol::answer::Answer;
use pipelines::protocol::report::Outcome;
use pipelines::protocol::task::Work;
use pipelines::time::Millis;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use store::tasks::{self, New};

/// How long agents have, all together.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// At most so many are asked for one answer.
pub const ASKED_MAX: usize = 100;
/// How often answers are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub struct Question {
    pub agent: AgentId,
    pub work: Work,
    /// What it may download for it.
    pub needs: Vec<Digest>,
}

/// What an agent said.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Answered(Answer),
    /// It could not find out, in its own words.
    Failed(String),
    /// Nothing, in time.
    Silent,
}

/// Asks all of them at once; at most [`ASKED_MAX`] questions are to be given. Every agent asked is in the
/// result.
///
/// # Errors
/// When the database cannot be reached.
pub async fn ask(
    app: &App,
    questions: Vec<Question>,
    patience: Duration,
) -> Result<BTreeMap<AgentId, Reply>> {
    let app = app.clone();
    // A task of its own: questions are withdrawn also when the person has gone away.
    let asking = tokio::spawn(async move { ask_and_wait(&app, &questions, patience).await });
    asking.await.map_err(Error::internal)?
}

async fn ask_and_wait(
    app: &App,
    questions: &[Question],
    patience: Duration,
) -> Result<BTreeMap<AgentId, Reply>> {
    let until = Instant::now() + patience;
    let mut asked = BTreeMap::new();
    let mut tx = app.pool.begin().await?;
    let epoch = store::lease::epoch(&mut tx).await?;
    let timeout = Millis(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX));
    for Question { agent, work, needs } in questions {
        let new = New { work, needs: needs.clone(), generation: 0, epoch, timeout };
        asked.insert(tasks::ask(&mut tx, *agent, None, &new).await?, *agent);
    }
    tx.commit().await?;
    asked.values().for_each(|agent| app.wakes.agent(*agent));
    let mut replies = BTreeMap::new();
    let waited = collect(app, &mut asked, &mut replies, until).await;
    // Whatever went wrong: nobody looks for these any more.
    let mut conn = app.pool.acquire().await?;
    for (question, agent) in asked {
        tasks::withdraw(&mut conn, question).await?;
        app.wakes.agent(agent);
        replies.insert(agent, Reply::Silent);
    }
    waited.map(|()| replies)
}

/// Moves what is answered from `asked` to `replies` until nothing is left or the time is over.
async fn collect(
    app: &App,
    asked: &mut BTreeMap<TaskId, AgentId>,
    replies: &mut BTreeMap<AgentId, Reply>,
    until: Instant,
) -> Result<()> {
    while !asked.is_empty() {
        let ids: Vec<TaskId> = asked.keys().copied().collect();
        let mut conn = app.pool.acquire().await?;
        let answered = tasks::answers(&mut conn, &ids).await?;
        drop(conn);
        for (question, outcome) in answered {
            if let Some(agent) = asked.remove(&question) {
                replies.insert(agent, Reply::from(outcome));
            }
        }
        if Instant::now() >= until {
            return Ok(());
        }
        if !asked.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}

impl From<Outcome> for Reply {
    fn from(outcome: Outcome) -> Reply {
        match outcome {
            Outcome::Succeeded { answer: Some(answer), .. } => Reply::Answered(answer),
            Outcome::Succeeded { answer: None, .. } => {
                Reply::Failed("it answered something else; is its version the controller's?".into())
            }
            Outcome::Failed { error, .. } => Reply::Failed(error.message),
            Outcome::Cancelled { .. } => Reply::Silent,
        }
    }
}
