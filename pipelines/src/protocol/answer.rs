//! What agents answer to tasks that are questions, or that have to prove what they did.

use super::route::Traffic;
use crate::ids::Digest;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Preview(Preview),
    Inspection(Inspection),
    Routed(Routed),
    Counters(Counters),
    Measured(Measured),
    Launched(Launched),
}

/// A host that was made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Launched {
    /// Its IP address in the network it was put into, without a port. None: it has none of its own,
    /// or ended at once.
    pub address: Option<String>,
}

/// How a measuring command ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Measured {
    /// None: a signal ended it.
    pub exit_code: Option<i32>,
    /// Standard output, at most [`Measured::OUTPUT_MAX`] bytes of its beginning.
    pub output: String,
}

impl Measured {
    pub const OUTPUT_MAX: usize = 4096;
}

/// What a deployment would do to a host. Lists are cut at [`Preview::LISTED_MAX`] entries, the numbers
/// are not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Preview {
    pub files: u64,
    pub bytes: u64,
    pub changes: Vec<FileChange>,
    pub changed: u64,
    /// Everything that would make it fail before the running application is touched.
    pub clashes: Vec<String>,
    pub warnings: Vec<String>,
    /// Scripts in the order they would run: event and location.
    pub hooks: Vec<(String, String)>,
    /// Whether the bundle is already here.
    pub fetched: bool,
}

impl Preview {
    pub const LISTED_MAX: usize = 200;
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileChange {
    pub path: String,
    pub change: Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    Added,
    Replaced,
    Removed,
    /// There, and kept because the appspec or the group says so.
    Retained,
    /// Drift only: it differs from what was installed.
    Altered,
}

/// What is installed, and how it differs from what was installed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Inspection {
    /// The bundle whose files are installed; None where this group never installed anything.
    pub installed: Option<Digest>,
    pub files: u64,
    /// `Altered` and `Removed` ones, at most [`Preview::LISTED_MAX`].
    pub drift: Vec<FileChange>,
    pub drifted: u64,
}

/// The balancer's word on every server that was asked about, read after the change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Routed {
    pub servers: Vec<ServerState>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerState {
    pub name: String,
    pub traffic: Traffic,
    pub check: Check,
    /// Requests open at the moment of reading.
    pub in_flight: u32,
    /// Requests cut because the drain time was over.
    pub cut: u32,
}

/// The balancer's own opinion of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    Up,
    Down {
        /// In the balancer's words: `L7STS/503`.
        reason: String,
    },
    /// It does not check this server.
    None,
}

/// Counted since the balancer started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Changes when the balancer was started or reloaded and counts from zero again.
    pub life: String,
    pub servers: Vec<ServerCounters>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServerCounters {
    pub name: String,
    pub requests: u64,
    /// Answers of 500 and above, and requests that got no answer at all.
    pub errors: u64,
    /// Mean time to answer over the balancer's own recent window, milliseconds.
    pub latency_ms: Option<u32>,
}
