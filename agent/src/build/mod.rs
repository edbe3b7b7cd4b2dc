//! The build engine: one build in one fresh container, by a buildspec.
//!
//! A task becomes a [`job::Job`]; `launch` makes its workspace and container and starts it; inside,
//! `driver.sh` runs the phases; `watch` reads the container's log to its end; `conclude` takes what
//! the build left and tells how it went. Nothing here knows the controller, so `pipectl` calls the
//! same [`run_job`]. After a crash of the agent the container is found again by its name, and its
//! log is read from the beginning.

pub mod artifacts;
pub mod beneath;
pub mod clock;
mod conclude;
pub mod docker;
pub mod driver;
pub mod env;
pub mod job;
mod launch;
pub mod local;
pub mod marks;
pub mod output;
pub mod plan;
pub mod policy;
pub mod retry;
pub mod session;
pub mod steps;
mod watch;

use crate::context::{Settings, TaskContext};
use crate::mask::Masks;
use clock::Clock;
use docker::{Engine, State};
use job::Job;
use pipelines::protocol::report::{ErrorCode, Outcome, Step, TaskError};
use pipelines::protocol::task::{Build, Task, TaskKey};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;
use steps::Steps;

/// Runs one build to its end. `resume`: the agent was started again while the build ran.
pub async fn run(task: &Task, build: &Build, ctx: &TaskContext, resume: bool) -> Outcome {
    match Job::of(task.key, build) {
        Ok(job) => run_job(&job, ctx, resume).await,
        Err(bad) => {
            ctx.log.say(&format!("[pipeyard] {bad}")).await;
            failed(Vec::new(), error(ErrorCode::BuildspecInvalid, bad.to_string(), None))
        }
    }
}

/// Runs a job to its end; no container of it is left, whatever happens.
pub async fn run_job(job: &Job, ctx: &TaskContext, resume: bool) -> Outcome {
    let secrets = job.secrets.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let run = Run {
        job,
        ctx,
        masks: Masks::new(secrets),
        container: container_name(&ctx.settings.agent_name, job.key),
        root: ctx.dirs.work.join("build"),
    };
    let outcome = run.whole(resume).await;
    run.clean_up().await;
    outcome
}

/// Removes the containers an earlier life of this agent left, but for those of the tasks it holds.
/// `held` is asked after Docker was, so that no container of a task that has just come is taken for
/// left over.
///
/// # Errors
/// When Docker does not answer, or it cannot be told what is held.
pub async fn sweep(
    settings: &Settings,
    held: impl FnOnce() -> std::io::Result<Vec<TaskKey>>,
) -> anyhow::Result<usize> {
    let engine = Engine::at(settings.docker_host.as_deref()).await?;
    let found = engine.of_agent(&settings.agent_name).await?;
    let keep: Vec<String> =
        held()?.iter().map(|key| container_name(&settings.agent_name, *key)).collect();
    let mut removed = 0;
    for name in found {
        if !keep.contains(&name) {
            engine.remove(&name).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// How long the removal of a workspace may hold up a build's outcome.
const REMOVAL_MAX: Duration = Duration::from_millis(500);

/// What the journal holds of a build.
#[derive(Debug, Serialize, Deserialize)]
enum Entry {
    /// Written before the container starts: from here on, something may have run.
    Starting(Box<Record>),
    /// Written before the container is removed.
    Ended(Box<Outcome>),
}

/// Everything needed to read the container's log again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    nonce: String,
    clock: Clock,
    /// Where the container's output begins in the task's log.
    log_base: u64,
    steps: Vec<Step>,
}

/// One build being run.
struct Run<'r> {
    job: &'r Job,
    ctx: &'r TaskContext,
    masks: Masks,
    container: String,
    /// Holds the workspace and the driver.
    root: PathBuf,
}

impl Run<'_> {
    async fn whole(&self, resume: bool) -> Outcome {
        let engine = match self.engine_for(resume).await {
            Ok(engine) => engine,
            Err(_) if resume && self.ctx.cancel.is_cancelled() => {
                return self.ctx.stopped(Vec::new(), None, false);
            }
            Err(error) => return failed(Vec::new(), error),
        };
        let record = match self.begun(&engine, resume).await {
            Begun::Not => match self.launch(&engine).await {
                Ok(record) => record,
                Err(outcome) => return *outcome,
            },
            Begun::Runs(record) => record,
            Begun::Over(outcome) => return *outcome,
        };
        let watched = self.watch(&engine, &record).await;
        let outcome = self.conclude(watched).await;
        let entry = Entry::Ended(Box::new(outcome.clone()));
        if let Err(error) = self.ctx.journal.note(&entry).await {
            // Only a crash before the report is sent would find this missing.
            tracing::warn!(task = %self.job.key.task, %error, "noting the end of a build");
        }
        outcome
    }

    async fn engine(&self) -> Result<Engine, TaskError> {
        let connect = Engine::at(self.ctx.settings.docker_host.as_deref());
        connect.await.map_err(|error| docker_error("reaching Docker", &error, "PROVISIONING"))
    }

    /// A build that was begun is waited for while Docker starts again, like one that is watched.
    async fn engine_for(&self, resume: bool) -> Result<Engine, TaskError> {
        let wait = async {
            loop {
                match self.engine().await {
                    Err(_) if resume => tokio::time::sleep(watch::PAUSE).await,
                    result => return result,
                }
            }
        };
        tokio::select! {
            biased;
            found = tokio::time::timeout(watch::DOCKER_AWAY_MAX, wait) => match found {
                Ok(result) => result,
                Err(_) => self.engine().await,
            },
            () = self.stopped_for_a_while(), if resume => self.engine().await,
        }
    }

    /// Resolves when the build was told to stop, and Docker had time for one more word.
    async fn stopped_for_a_while(&self) {
        self.ctx.cancel.cancelled().await;
        tokio::time::sleep(watch::WORD_MAX).await;
    }

    /// What an earlier life of the agent did of this build.
    async fn begun(&self, engine: &Engine, resume: bool) -> Begun {
        if !resume {
            return Begun::Not;
        }
        let entries = self.ctx.journal.entries::<Entry>().unwrap_or_default();
        let record = match entries.into_iter().next_back() {
            None => return Begun::Not,
            Some(Entry::Ended(outcome)) => return Begun::Over(outcome),
            Some(Entry::Starting(record)) => *record,
        };
        let over = |code, message: &str| {
            let mut steps = Steps::new(self.ctx.progress.clone(), record.steps.clone());
            steps.cut(self.ctx.since.elapsed(), message);
            let error = error(code, message.to_owned(), None);
            Begun::Over(Box::new(failed(steps.into_all(), error)))
        };
        let state = tokio::select! {
            biased;
            state = self.ask(engine, false) => state,
            () = self.stopped_for_a_while() => {
                let mut steps = Steps::new(self.ctx.progress.clone(), record.steps.clone());
                steps.cut(self.ctx.since.elapsed(), "stopped");
                let outcome = self.ctx.stopped(steps.into_all(), None, false);
                return Begun::Over(Box::new(outcome));
            }
        };
        match state {
            Ok(Some(State::Running | State::Ended { .. })) => {
                tracing::info!(task = %self.job.key.task, "going on with a build found running");
                Begun::Runs(record)
            }
            // The word to start has not reached Docker, or is on its way: who comes second there,
            // the start or this removal, is told so.
            Ok(Some(State::Created)) => match engine.remove_unstarted(&self.container).await {
                Ok(true) => Begun::Not,
                Ok(false) => Begun::Runs(record),
                Err(error) => over(ErrorCode::AgentError, &format!("asking Docker: {error}")),
            },
            Ok(None) => over(
                ErrorCode::Interrupted,
                "the build's container is gone; it was removed while the agent was away",
            ),
            Err(error) => over(ErrorCode::AgentError, &format!("asking Docker: {error}")),
        }
    }

    async fn clean_up(&self) {
        if let Ok(engine) = self.engine().await
            && let Err(error) = engine.remove(&self.container).await
        {
            tracing::warn!(container = self.container, %error, "removing a build's container");
        }
        // The driver's directory holds secrets and is small. A large workspace is not waited for.
        remove(self.root.join("control")).await;
        let rest = tokio::spawn(remove(self.root.clone()));
        let _ = tokio::time::timeout(REMOVAL_MAX, rest).await;
    }

    fn control(&self) -> PathBuf {
        self.root.join("control")
    }

    fn workspace(&self) -> PathBuf {
        self.root.join("workspace")
    }
}

enum Begun {
    Not,
    Runs(Record),
    Over(Box<Outcome>),
}

async fn remove(directory: PathBuf) {
    let path: &Path = &directory;
    match tokio::fs::remove_dir_all(path).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "removing a build's directory");
        }
        _ => {}
    }
}

/// The same for one attempt of one task, always: that is how it is found again.
fn container_name(agent: &str, key: TaskKey) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let agent: String = agent.chars().filter(|c| fits(*c)).collect();
    format!("pipeyard-{agent}-{}-{}", key.task, key.attempt)
}

fn error(code: ErrorCode, message: String, step: Option<&str>) -> TaskError {
    TaskError { code, message, step: step.map(str::to_owned), command: None, touched: false }
}

fn docker_error(doing: &str, cause: &bollard::errors::Error, step: &str) -> TaskError {
    error(ErrorCode::AgentError, format!("{doing}: {cause}"), Some(step))
}

fn failed(steps: Vec<Step>, error: TaskError) -> Outcome {
    Outcome::Failed { steps, error, artifacts: Vec::new() }
}
