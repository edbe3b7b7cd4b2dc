//! What people see of a build while it runs: its phases and commands with times, exit codes and
//! places in the log.

use crate::context::ProgressSender;
use pipelines::protocol::report::{Command, Step, StepStatus};
use pipelines::time::Millis;

/// The steps so far. Every change is published as a whole.
#[derive(Debug)]
pub struct Steps {
    steps: Vec<Step>,
    progress: ProgressSender,
    /// When the open command of a step began.
    command_since: Millis,
}

impl Steps {
    #[must_use]
    pub fn new(progress: ProgressSender, steps: Vec<Step>) -> Steps {
        Steps { steps, progress, command_since: Millis::ZERO }
    }

    #[must_use]
    pub fn all(&self) -> &[Step] {
        &self.steps
    }

    #[must_use]
    pub fn into_all(self) -> Vec<Step> {
        self.steps
    }

    pub fn begin(&mut self, name: &str, at: Millis, log_offset: u64) {
        self.steps.push(Step {
            name: name.to_owned(),
            status: StepStatus::Running,
            started: at,
            took: None,
            log_offset,
            commands: Vec::new(),
            message: None,
        });
        self.publish();
    }

    /// A step that does not happen, and why.
    pub fn skip(&mut self, name: &str, at: Millis, log_offset: u64, why: &str) {
        self.begin(name, at, log_offset);
        self.end(name, StepStatus::Skipped, at, Some(why.to_owned()));
    }

    /// Ends the newest step of that name, if it runs.
    pub fn end(&mut self, name: &str, status: StepStatus, at: Millis, message: Option<String>) {
        if let Some(step) = self.running(name) {
            step.status = status;
            step.took = Some(since(at, step.started));
            step.message = message.or(step.message.take());
            self.publish();
        }
    }

    /// What a running step is at: `pulling the image`.
    pub fn say(&mut self, name: &str, message: &str) {
        if let Some(step) = self.running(name) {
            step.message = Some(message.to_owned());
            self.publish();
        }
    }

    pub fn begin_command(&mut self, name: &str, text: &str, at: Millis, log_offset: u64) {
        self.command_since = at;
        if let Some(step) = self.running(name) {
            let text = text.to_owned();
            step.commands.push(Command { text, exit_code: None, took: None, log_offset });
            self.publish();
        }
    }

    pub fn end_command(&mut self, name: &str, exit_code: Option<i32>, at: Millis) {
        let took = since(at, self.command_since);
        let open = self.running(name).and_then(|step| step.commands.last_mut());
        if let Some(command) = open.filter(|command| command.took.is_none()) {
            command.exit_code = exit_code;
            command.took = Some(took);
            self.publish();
        }
    }

    /// The build ended in the middle: whatever runs has failed.
    pub fn cut(&mut self, at: Millis, why: &str) {
        for step in self.steps.iter_mut().filter(|step| step.status == StepStatus::Running) {
            step.status = StepStatus::Failed;
            step.took = Some(since(at, step.started));
            step.message = Some(why.to_owned());
            let open = step.commands.last_mut().filter(|command| command.took.is_none());
            if let Some(command) = open {
                command.took = Some(since(at, self.command_since));
            }
        }
        self.publish();
    }

    fn running(&mut self, name: &str) -> Option<&mut Step> {
        let runs = |step: &&mut Step| step.name == name && step.status == StepStatus::Running;
        self.steps.iter_mut().rev().find(runs)
    }

    fn publish(&self) {
        self.progress.set(self.steps.clone());
    }
}

fn since(at: Millis, earlier: Millis) -> Millis {
    Millis(at.0.saturating_sub(earlier.0))
}
