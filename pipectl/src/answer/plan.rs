//! A plan, as far as we print it.

use super::{Monitor, Revision};
use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Plan {
    pub group: String,
    pub application: String,
    pub purpose: String,
    pub revision: PlannedRevision,
    pub refused: Option<String>,
    pub strategy: String,
    pub capacity: Vec<String>,
    pub least_secs: u64,
    pub steps: Vec<Step>,
    pub hosts: Vec<Host>,
    pub cannot_be_undone: Vec<String>,
    pub notes: Vec<String>,
    pub start: Start,
    pub approvals: Vec<String>,
    pub monitors: Monitors,
    pub clashing: usize,
    pub failed: usize,
    pub silent: usize,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PlannedRevision {
    #[serde(flatten)]
    pub revision: Revision,
    pub size: u64,
}

/// When it would start. A controller that does not say so starts it at once, or says why not.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Start {
    pub at_once: bool,
    pub sentences: Vec<String>,
}

impl Default for Start {
    fn default() -> Start {
        Start { at_once: true, sentences: Vec::new() }
    }
}

/// The group's monitors as they were seen last.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Monitors {
    /// Whose looks these are.
    pub deployment: Option<String>,
    pub over: bool,
    pub monitors: Vec<Monitor>,
    pub sentences: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Step {
    pub number: usize,
    pub sentence: String,
    pub weights: Vec<Weight>,
    pub approve_secs: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Weight {
    pub host: String,
    pub weight: u16,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Host {
    pub name: String,
    pub zone: Option<String>,
    pub alive: bool,
    pub serves: Option<String>,
    pub will_serve: Option<String>,
    pub weight: Option<u16>,
    pub asked: String,
    pub message: Option<String>,
    pub preview: Option<Preview>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Preview {
    pub files: u64,
    pub changed: u64,
    pub added: usize,
    pub replaced: usize,
    pub removed: usize,
    pub retained: usize,
    pub changes: Vec<Change>,
    pub clashes: Vec<String>,
    pub warnings: Vec<String>,
    pub hooks: Vec<Hook>,
    pub fetched: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Change {
    pub path: String,
    pub change: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Hook {
    pub event: String,
    pub script: String,
}
