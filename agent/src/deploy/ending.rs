//! How a task ends: what is noted about the host, what is run on a failure, what is reported.

use super::engine::{Job, blocking};
use super::environment::about_failure;
use super::events::Scripts;
use super::fault::{Fault, Stop};
use super::group::Failed;
use super::recorder::{Failure, Recorder, Running};
use super::release;
use super::sources::Source;
use super::steps::{ON_FAILURE, Work};
use crate::context::{Cancel, Reason};
use pipelines::deploy::retention::Keep;
use pipelines::protocol::report::{ErrorCode, Outcome, Step, StepStatus, TaskError};
use pipelines::protocol::task::Purpose;
use pipelines::time::Millis;

/// For `OnFailure` once the task's own time is over; the controller waits a little longer than that.
const AFTER_TIME: Millis = Millis::from_secs(60);

impl Job<'_> {
    /// Ends what an interrupted script left running. It is not run again: nobody knows how far it
    /// got.
    pub async fn interrupted(&self, record: &mut Recorder<'_>, running: &Running) -> Outcome {
        let (event, location) = (&running.event, &running.location);
        let message = self.end_leftover(record, running).await;
        let fault = Fault::of_script(ErrorCode::Interrupted, location, message);
        self.ended_early(fault.into(), event, record).await
    }

    async fn end_leftover(&self, record: &mut Recorder<'_>, running: &Running) -> String {
        let (event, location) = (&running.event, &running.location);
        let (mark, group) = (self.mark(), running.group.clone());
        let was_there = blocking(move || group.end_leftover(&mark)).await.unwrap_or(false);
        let rest = if was_there { "; what was left of it was ended" } else { "" };
        let message = format!(
            "the agent died while script '{location}' of {event} ran; it is not run again{rest}"
        );
        self.say(event, &message).await;
        if let Err(fault) = record.leftover_ended().await {
            self.say(event, &fault.message).await;
        }
        message
    }

    /// The agent died after the task had failed, while it ran the scripts for that. They are not
    /// begun anew.
    pub async fn had_failed(&self, record: &mut Recorder<'_>, failure: Failure) -> Outcome {
        let message = match record.interrupted() {
            Some(running) => self.end_leftover(record, &running).await,
            None => "the agent died before it knew how this ended".to_owned(),
        };
        if record.is_running(ON_FAILURE) {
            record.end(ON_FAILURE, StepStatus::Failed, Some(message));
        }
        failed(failure.fault, Some(&failure.step), record.steps(), record.touched())
    }

    /// The task does not go on after the step `name`.
    pub async fn ended_early(&self, stop: Stop, name: &str, record: &mut Recorder<'_>) -> Outcome {
        let why = match &stop {
            Stop::Fault(fault) => fault.message.clone(),
            Stop::Told => "the task was told to stop".to_owned(),
        };
        record.end(name, StepStatus::Failed, Some(why));
        for work in &self.steps {
            record.skip(work.name(), &format!("{name} did not succeed"));
        }
        let failure = match (&stop, self.ctx.cancel.reason()) {
            (Stop::Fault(fault), _) => Some(fault.clone()),
            (Stop::Told, Some(Reason::TimedOut)) => {
                Some(Fault::new(ErrorCode::TimedOut, "the task ran into its time limit"))
            }
            // Somebody wants it to end now, or the agent itself has to.
            (Stop::Told, _) => None,
        };
        if let Some(fault) = failure.filter(|_| record.touched()) {
            self.note_failure(name, &fault).await;
            self.on_failure(name, &fault, record).await;
        }
        let touched = record.touched();
        match stop {
            Stop::Told => self.ctx.stopped(record.steps(), Some(name.to_owned()), touched),
            Stop::Fault(fault) => failed(fault, Some(name), record.steps(), touched),
        }
    }

    /// For a rollback's scripts. A rollback that fails is not what one would roll back from.
    async fn note_failure(&self, step: &str, fault: &Fault) {
        if self.deploy.purpose == Purpose::Rollback {
            return;
        }
        let failed = Failed {
            stand: self.stand(),
            event: step.to_owned(),
            script: fault.script.clone(),
            code: fault.code,
        };
        let home = self.home.clone();
        let noted = blocking(move || {
            let mut standing = home.standing()?;
            standing.failed = Some(failed);
            home.set_standing(&standing)
        });
        if let Ok(Err(e)) = noted.await {
            tracing::warn!("a rollback's scripts will not know what failed: {e}");
        }
    }

    /// Runs the scripts that the revision has for this, once. Whatever becomes of them, the task
    /// failed for the reason it failed for.
    async fn on_failure(&self, step: &str, fault: &Fault, record: &mut Recorder<'_>) {
        let Ok(target) = self.read_target(false).await else { return };
        let hooks = target.appspec.hooks.get(ON_FAILURE).cloned().unwrap_or_default();
        if hooks.is_empty() {
            return;
        }
        if let Err(fault) = record.fails(step, fault).await {
            return self.say(ON_FAILURE, &format!("not run: {}", fault.message)).await;
        }
        record.begin(ON_FAILURE);
        let fresh = Cancel::default();
        let policy = self.deploy.hooks.timeout;
        let (cancel, limit) = match self.ctx.cancel.is_cancelled() {
            false => (&self.ctx.cancel, policy),
            true => (&fresh, policy.min(AFTER_TIME)),
        };
        let mut env = match self.standing() {
            Ok(standing) => self.environment(ON_FAILURE, &standing),
            Err(_) => self.environment(ON_FAILURE, &super::group::Standing::default()),
        };
        env.extend(about_failure(step, fault));
        let source = Source { path: target.path.clone(), hooks };
        let scripts = Scripts { event: ON_FAILURE, source, env, limit, cancel };
        let (status, message) = match self.scripts(&scripts, record).await {
            Ok(()) => (StepStatus::Succeeded, None),
            Err(Stop::Fault(fault)) => (StepStatus::Failed, Some(fault.message)),
            Err(Stop::Told) => (StepStatus::Failed, Some("the task was told to stop".to_owned())),
        };
        record.end(ON_FAILURE, status, message);
    }

    /// Notes what the host is now, after all steps succeeded. Only with an installation is there a
    /// revision to come back to.
    pub async fn conclude(&self, record: &Recorder<'_>) -> Result<(), Fault> {
        let stand = self.stand();
        if !self.steps.contains(&Work::Install) {
            return self.remember_touch(record.touched()).await;
        }
        let home = self.home.clone();
        let (keep, pinned) = (self.deploy.keep_releases, self.deploy.pinned.clone());
        let bytes = self.deploy.keep_bytes;
        let removed = blocking(move || {
            let mut standing = home.standing()?;
            standing.history.retain(|digest| *digest != stand.digest);
            standing.history.push(stand.digest.clone());
            standing.good = Some(stand.clone());
            (standing.touched, standing.failed) = (None, None);
            // Long histories help nobody; the controller has them.
            let old = standing.history.len().saturating_sub(100);
            standing.history.drain(..old);
            home.set_standing(&standing)?;
            let installed = home.manifest()?.map(|manifest| manifest.stand.digest);
            let wanted: Vec<_> = pinned.into_iter().chain(installed).collect();
            let keep = Keep { number: keep.saturating_add(1), bytes };
            Ok(release::prune(&home, &standing, keep, &wanted))
        });
        let removed: std::io::Result<Vec<String>> = removed.await?;
        let removed = removed.map_err(|e| Fault::disk("noting the success", &e))?;
        if !removed.is_empty() {
            let names: Vec<&str> = removed.iter().map(|n| &n[..n.len().min(12)]).collect();
            self.ctx.log.say(&format!("old releases removed: {}", names.join(", "))).await;
        }
        Ok(())
    }

    /// A later task of this deployment must not call the application untouched.
    async fn remember_touch(&self, touched: bool) -> Result<(), Fault> {
        let stand = self.stand();
        if !touched || self.standing()?.touched.as_ref() == Some(&stand) {
            return Ok(());
        }
        let home = self.home.clone();
        let noted = blocking(move || {
            let mut standing = home.standing()?;
            standing.touched = Some(stand);
            home.set_standing(&standing)
        });
        noted.await?.map_err(|e| Fault::disk("noting what was done", &e))
    }

    /// Whether an earlier task of the same deployment changed something here.
    pub fn touched_before(&self) -> Result<bool, Fault> {
        let stand = self.stand();
        let manifest = self.home.manifest();
        let manifest = manifest.map_err(|e| Fault::disk("reading what is installed", &e))?;
        let installed = manifest.is_some_and(|manifest| manifest.stand == stand);
        Ok(installed || self.standing()?.touched == Some(stand))
    }
}

/// A failure, as the controller is told.
pub fn failed(fault: Fault, step: Option<&str>, steps: Vec<Step>, touched: bool) -> Outcome {
    let error = TaskError {
        code: fault.code,
        message: fault.message,
        step: step.map(str::to_owned),
        command: fault.script,
        touched,
    };
    Outcome::Failed { steps, error, artifacts: Vec::new() }
}
