//! What one build is going to do, in the engine's own words: the buildspec and the task, checked
//! and merged. Everything after this is mechanical.

use std::collections::BTreeMap;

/// A build, ready to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// `sh` or `bash`.
    pub shell: String,
    /// Version 0.2: exported variables and the directory go from one command to the next.
    pub carries_over: bool,
    /// In the order they run.
    pub phases: Vec<Phase>,
    /// Everything commands find in their environment besides the image's own.
    pub env: BTreeMap<String, String>,
    /// Variables whose values are read when the last phase has ended.
    pub exported: Vec<String>,
    /// Texts the shell expands when the last phase has ended.
    pub expand: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// CodeBuild's name: `PRE_BUILD`.
    pub name: &'static str,
    /// None: root.
    pub run_as: Option<String>,
    pub commands: Vec<String>,
    pub finally: Vec<String>,
    pub retry: Option<Retry>,
    pub after_failure: Failure,
}

/// How often a failed phase is repeated, and for which failures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    pub count: u32,
    /// None: any failure.
    pub pattern: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The next phase runs; the build has failed all the same.
    GoOn,
    /// Neither later phases nor the upload of artifacts.
    EndBuild,
}

/// Which of a phase's two lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Commands,
    Finally,
}

impl Part {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Part::Commands => "commands",
            Part::Finally => "finally",
        }
    }
}

impl Phase {
    #[must_use]
    pub fn part(&self, part: Part) -> &[String] {
        match part {
            Part::Commands => &self.commands,
            Part::Finally => &self.finally,
        }
    }
}
