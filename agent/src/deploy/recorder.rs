//! The steps of a deployment as they happen: shown to people, and kept in the journal so that a
//! later life of the agent knows what was done and what must not be done again.

use super::fault::Fault;
use super::processes::Group;
use crate::context::TaskContext;
use pipelines::protocol::report::{Command, Step, StepStatus};
use pipelines::time::Millis;
use serde::{Deserialize, Serialize};
use std::io;

/// One journal entry: everything known at that moment. The last one counts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Note {
    steps: Vec<Step>,
    touched: bool,
    /// The script that is running, or was when the agent died.
    running: Option<Running>,
    /// Why the task fails, once that is certain and its last scripts are about to run.
    #[serde(default)]
    failure: Option<Failure>,
}

/// Where and why a task failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub step: String,
    pub fault: Fault,
}

/// A script that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    pub event: String,
    pub location: String,
    pub group: Group,
}

/// See the module text.
pub struct Recorder<'a> {
    ctx: &'a TaskContext,
    now: Note,
}

impl<'a> Recorder<'a> {
    /// Goes on from the journal; from nothing when there is none.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn open(ctx: &'a TaskContext) -> io::Result<Recorder<'a>> {
        let now: Note = ctx.journal.entries()?.pop().unwrap_or_default();
        ctx.progress.set(now.steps.clone());
        Ok(Recorder { ctx, now })
    }

    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        self.now.steps.clone()
    }

    #[must_use]
    pub fn touched(&self) -> bool {
        self.now.touched
    }

    /// The script that an earlier life of the agent began and did not see end.
    #[must_use]
    pub fn interrupted(&self) -> Option<Running> {
        self.now.running.clone()
    }

    /// Why the task had failed when the agent died.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.now.failure.clone()
    }

    /// Notes that the task fails, before anything else is done about it.
    ///
    /// # Errors
    /// See [`Recorder::keep`].
    pub async fn fails(&mut self, step: &str, fault: &Fault) -> Result<(), Fault> {
        self.now.failure = Some(Failure { step: step.to_owned(), fault: fault.clone() });
        self.keep().await
    }

    /// How long ago a step began, earlier lives of the agent included.
    #[must_use]
    pub fn since_begin(&self, step: &str) -> Millis {
        let started = self.step(step).map_or(Millis::ZERO, |step| step.started);
        Millis(self.ctx.since.elapsed().0.saturating_sub(started.0))
    }

    /// An earlier task of the same deployment changed the application.
    pub fn was_touched(&mut self) {
        self.now.touched = true;
    }

    #[must_use]
    pub fn is_done(&self, step: &str) -> bool {
        self.step(step).is_some_and(|s| s.status == StepStatus::Succeeded)
    }

    #[must_use]
    pub fn is_running(&self, step: &str) -> bool {
        self.step(step).is_some_and(|s| s.status == StepStatus::Running)
    }

    /// How many scripts of this event have run.
    #[must_use]
    pub fn scripts_done(&self, event: &str) -> usize {
        self.step(event).map_or(0, |step| step.commands.len())
    }

    /// A script of this event that ended, and not well.
    #[must_use]
    pub fn failed_script(&self, event: &str) -> Option<&Command> {
        self.step(event)?.commands.iter().find(|command| command.exit_code != Some(0))
    }

    fn step(&self, name: &str) -> Option<&Step> {
        self.now.steps.iter().find(|step| step.name == name)
    }

    fn step_mut(&mut self, name: &str) -> Option<&mut Step> {
        self.now.steps.iter_mut().find(|step| step.name == name)
    }

    fn shown(&self) {
        self.ctx.progress.set(self.now.steps.clone());
    }

    /// Puts everything known so far on the disk.
    ///
    /// # Errors
    /// When it may not be there; nothing with an effect may begin then.
    pub async fn keep(&self) -> Result<(), Fault> {
        let kept = self.ctx.journal.note(&self.now).await;
        kept.map_err(|e| Fault::disk("writing the journal", &e))
    }

    /// A step begins, or goes on after the agent was started anew.
    pub fn begin(&mut self, name: &str) {
        if let Some(step) = self.step_mut(name) {
            step.status = StepStatus::Running;
        } else {
            self.now.steps.push(Step {
                name: name.to_owned(),
                status: StepStatus::Running,
                started: self.ctx.since.elapsed(),
                took: None,
                log_offset: self.ctx.log.size(),
                commands: Vec::new(),
                message: None,
            });
        }
        self.shown();
    }

    pub fn end(&mut self, name: &str, status: StepStatus, message: Option<String>) {
        let now = self.ctx.since.elapsed();
        if let Some(step) = self.step_mut(name) {
            step.status = status;
            step.took = Some(Millis(now.0.saturating_sub(step.started.0)));
            step.message = message;
        }
        self.shown();
    }

    /// Steps that will not run any more, after one failed.
    pub fn skip(&mut self, name: &str, why: &str) {
        if self.step(name).is_none() {
            self.begin(name);
            self.end(name, StepStatus::Skipped, Some(why.to_owned()));
        }
    }

    /// From here on the application of this host may be another than before.
    ///
    /// # Errors
    /// See [`Recorder::keep`].
    pub async fn touch(&mut self) -> Result<(), Fault> {
        if !self.now.touched {
            self.now.touched = true;
            self.keep().await?;
        }
        Ok(())
    }

    /// Notes a script that is about to run, in this process group.
    ///
    /// # Errors
    /// When it may not be on the disk; the script must not run then.
    pub async fn script_begins(
        &mut self,
        event: &str,
        location: &str,
        group: Group,
    ) -> io::Result<()> {
        let log_offset = self.ctx.log.size();
        if let Some(step) = self.step_mut(event) {
            let text = location.to_owned();
            step.commands.push(Command { text, exit_code: None, took: None, log_offset });
        }
        self.now.touched = true;
        let (event, location) = (event.to_owned(), location.to_owned());
        self.now.running = Some(Running { event, location, group });
        self.shown();
        self.ctx.journal.note(&self.now).await
    }

    /// The script that an earlier life began has been dealt with.
    ///
    /// # Errors
    /// See [`Recorder::keep`].
    pub async fn leftover_ended(&mut self) -> Result<(), Fault> {
        self.now.running = None;
        self.keep().await
    }

    /// Notes how the script that was running ended.
    ///
    /// # Errors
    /// See [`Recorder::keep`].
    pub async fn script_ended(
        &mut self,
        event: &str,
        exit_code: Option<i32>,
        took: Millis,
    ) -> Result<(), Fault> {
        self.now.running = None;
        if let Some(command) = self.step_mut(event).and_then(|step| step.commands.last_mut()) {
            command.exit_code = exit_code;
            command.took = Some(took);
        }
        self.shown();
        self.keep().await
    }
}
