//! What a build's output means: phases and commands begin and end, something failed, something is
//! asked. Pure but for the log it writes; fed again from the start, it comes to the same end.

use super::job::Job;
use super::marks::{Mark, PhaseEnd, Piece, Scanner};
use super::output::Output;
use super::plan::{Part, Phase};
use super::retry::Tail;
use super::steps::Steps;
use crate::context::LogWriter;
use crate::mask::Masks;
use pipelines::protocol::report::StepStatus;
use pipelines::time::Millis;

/// Longest text of a command that is reported.
const COMMAND_TEXT_MAX: usize = 200;

/// How the driver ended, by its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The image cannot run this build.
    Refused(String),
    Finished {
        succeeded: bool,
        upload: bool,
    },
}

/// The first failure that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandFailure {
    pub phase: &'static str,
    pub command: String,
    pub status: i32,
    pub out_of_memory: bool,
}

impl CommandFailure {
    /// CodeBuild's words.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { command, status, .. } = self;
        let why = match (self.out_of_memory, status) {
            (true, _) => " (the build ran out of memory)",
            (false, 126) => " (not executable)",
            (false, 127) => " (not found)",
            (false, 137) => " (killed; often for want of memory)",
            (false, _) => "",
        };
        format!("Error while executing command: {command}. Reason: exit status {status}{why}")
    }
}

/// The answer to a driver's question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub phase: usize,
    pub attempt: u32,
    pub retry: bool,
}

/// What runs in the container, as far as its output tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Running {
    pub part: Option<Part>,
    /// Rises with every command that ended.
    pub ended: u64,
}

pub struct Session<'j> {
    job: &'j Job,
    masks: &'j Masks,
    scanner: Scanner,
    output: Output<'j>,
    pub steps: Steps,
    phase: Option<usize>,
    attempt: u32,
    /// The text of the command that runs.
    command: String,
    tail: Tail,
    /// Of the attempt that runs, and of the build.
    attempt_failure: Option<CommandFailure>,
    failure: Option<CommandFailure>,
    running: Running,
    answers: Vec<Answer>,
    end: Option<End>,
    at: Millis,
}

/// What a session begins with.
pub struct Begin<'j> {
    pub job: &'j Job,
    pub masks: &'j Masks,
    pub nonce: &'j str,
    pub log: LogWriter,
    /// Where the container's output begins in the log.
    pub log_base: u64,
    pub log_bytes_max: u64,
    pub steps: Steps,
    pub at: Millis,
}

impl<'j> Session<'j> {
    #[must_use]
    pub fn new(begin: Begin<'j>) -> Session<'j> {
        let output = Output::new(begin.log, begin.masks, begin.log_base, begin.log_bytes_max);
        Session {
            job: begin.job,
            masks: begin.masks,
            scanner: Scanner::new(begin.nonce),
            output,
            steps: begin.steps,
            phase: None,
            attempt: 0,
            command: String::new(),
            tail: Tail::default(),
            attempt_failure: None,
            failure: None,
            running: Running::default(),
            answers: Vec::new(),
            end: None,
            at: begin.at,
        }
    }

    /// Takes a piece of the container's output that the engine got at `at`.
    pub fn push(&mut self, bytes: &[u8], at: Millis) {
        self.at = self.at.max(at);
        // The scanner lends pieces of what it holds, so it cannot stay in `self` meanwhile.
        let mut scanner = std::mem::replace(&mut self.scanner, Scanner::new(""));
        scanner.push(bytes, |piece| self.piece(piece));
        self.scanner = scanner;
    }

    /// Hands what has gathered to the log.
    pub async fn write(&mut self) {
        self.output.write().await;
    }

    /// The container's output has ended.
    pub async fn finish(&mut self) {
        let mut scanner = std::mem::replace(&mut self.scanner, Scanner::new(""));
        scanner.finish(|piece| self.piece(piece));
        self.scanner = scanner;
        self.output.settle();
        self.output.write().await;
    }

    #[must_use]
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    #[must_use]
    pub fn failure(&self) -> Option<&CommandFailure> {
        self.failure.as_ref().or(self.attempt_failure.as_ref())
    }

    #[must_use]
    pub fn running(&self) -> Running {
        self.running
    }

    /// Time of the newest output.
    #[must_use]
    pub fn at(&self) -> Millis {
        self.at
    }

    /// Name of the phase that runs, or ran last.
    #[must_use]
    pub fn phase(&self) -> Option<&'static str> {
        self.phase.and_then(|index| Some(self.job.plan.phases.get(index)?.name))
    }

    /// Questions that are to be answered.
    pub fn take_answers(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.answers)
    }

    fn piece(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Text(bytes) => {
                if self.wants_tail() {
                    self.tail.push(bytes);
                }
                self.output.text(bytes);
            }
            Piece::Mark(mark) => self.mark(mark),
        }
    }

    fn wants_tail(&self) -> bool {
        let retry = self.current().and_then(|phase| phase.retry.as_ref());
        retry.is_some_and(|retry| retry.pattern.is_some())
    }

    fn current(&self) -> Option<&'j Phase> {
        self.job.plan.phases.get(self.phase?)
    }

    fn mark(&mut self, mark: Mark) {
        if !matches!(mark, Mark::Refused(_)) {
            self.steps.end("PROVISIONING", StepStatus::Succeeded, self.at, None);
        }
        match mark {
            Mark::Refused(why) => {
                self.steps.end("PROVISIONING", StepStatus::Failed, self.at, Some(why.clone()));
                self.output.say(&why);
                self.end = Some(End::Refused(why));
            }
            Mark::PhaseStart { phase, attempt } => self.phase_start(phase, attempt),
            Mark::CommandStart { phase, part, item } => self.command_start(phase, part, item),
            Mark::CommandEnd { status, out_of_memory } => self.command_end(status, out_of_memory),
            Mark::PhaseEnd { phase, end } => self.phase_end(phase, end),
            Mark::Question { phase, attempt } => self.question(phase, attempt),
            Mark::Finished { succeeded, upload } => {
                self.skip_the_rest();
                self.end = Some(End::Finished { succeeded, upload });
            }
        }
    }

    fn phase_start(&mut self, index: usize, attempt: u32) {
        let Some(phase) = self.job.plan.phases.get(index) else { return };
        self.phase = Some(index);
        self.attempt = attempt;
        self.tail.clear();
        self.attempt_failure = None;
        let offset = self.output.fresh_line();
        if attempt == 0 {
            self.steps.begin(phase.name, self.at, offset);
            self.output.say(&format!("Entering phase {}", phase.name));
        } else {
            let attempts = phase.retry.as_ref().map_or(1, |retry| retry.count + 1);
            let which = format!("attempt {} of {attempts}", attempt + 1);
            self.steps.say(phase.name, &which);
            self.output.say(&format!("Entering phase {} again, {which}", phase.name));
        }
    }

    fn command_start(&mut self, index: usize, part: Part, item: usize) {
        let Some(phase) = self.current().filter(|_| self.phase == Some(index)) else { return };
        let Some(text) = phase.part(part).get(item) else { return };
        self.running.part = Some(part);
        self.command = self.shown(text);
        let offset = self.output.fresh_line();
        self.steps.begin_command(phase.name, &self.command, self.at, offset);
        self.output.say(&format!("Running command {}", self.command));
    }

    fn command_end(&mut self, status: i32, out_of_memory: bool) {
        self.output.settle();
        self.running.part = None;
        self.running.ended += 1;
        let Some(phase) = self.current() else { return };
        self.steps.end_command(phase.name, Some(status), self.at);
        if status == 0 {
            return;
        }
        let command = self.command.clone();
        let failure = CommandFailure { phase: phase.name, command, status, out_of_memory };
        self.output.say(&failure.sentence());
        self.attempt_failure.get_or_insert(failure);
    }

    fn phase_end(&mut self, index: usize, end: PhaseEnd) {
        let Some(phase) = self.current().filter(|_| self.phase == Some(index)) else { return };
        let name = phase.name;
        match end {
            PhaseEnd::Retry => {
                self.output.say(&format!("Phase {name} failed and is tried again"));
                self.attempt_failure = None;
            }
            PhaseEnd::Succeeded => {
                let message = match self.attempt {
                    0 => None,
                    attempt => Some(format!("succeeded in attempt {}", attempt + 1)),
                };
                self.steps.end(name, StepStatus::Succeeded, self.at, message);
                self.output.say(&format!("Phase complete: {name} State: SUCCEEDED"));
            }
            PhaseEnd::Failed => {
                let failure = self.attempt_failure.take();
                let message = failure.as_ref().map(CommandFailure::sentence);
                self.steps.end(name, StepStatus::Failed, self.at, message);
                self.output.say(&format!("Phase complete: {name} State: FAILED"));
                self.failure = self.failure.take().or(failure);
            }
        }
    }

    fn question(&mut self, phase: usize, attempt: u32) {
        let Some(pattern) = self
            .current()
            .filter(|_| self.phase == Some(phase) && self.attempt == attempt)
            .and_then(|phase| phase.retry.as_ref()?.pattern.as_deref())
        else {
            return;
        };
        let failure = self.attempt_failure.as_ref().map(CommandFailure::sentence);
        let retry = self.tail.matches(pattern, &failure.unwrap_or_default());
        if !retry {
            self.output.say(&format!("The failure does not match '{pattern}': no retry"));
        }
        self.answers.push(Answer { phase, attempt, retry });
    }

    /// Phases after one that ended the build.
    fn skip_the_rest(&mut self) {
        let next = self.phase.map_or(0, |index| index + 1);
        let offset = self.output.fresh_line();
        let why = match self.phase() {
            Some(name) => format!("{name} ended the build"),
            None => "the build was stopped".to_owned(),
        };
        for phase in self.job.plan.phases.iter().skip(next) {
            self.steps.skip(phase.name, self.at, offset, &why);
        }
    }

    /// The first line of a command, as people see it.
    fn shown(&self, text: &str) -> String {
        let masked = self.masks.text(text.trim());
        let mut lines = masked.lines();
        let first = lines.next().unwrap_or_default();
        let mut shown: String = first.chars().take(COMMAND_TEXT_MAX).collect();
        if lines.next().is_some() || shown.len() < first.len() {
            shown.push_str(" …");
        }
        shown
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
