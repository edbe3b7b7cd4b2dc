//! What a deployment hears, and what it may look at.

use crate::ids::AgentId;
use crate::protocol::report::TaskError;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A host's task ended. A word about any but the current attempt changes nothing.
    HostFinished {
        host: AgentId,
        attempt: u32,
        outcome: HostOutcome,
    },
    Abort {
        by: String,
        reason: String,
    },
    Pause {
        by: String,
    },
    Resume {
        by: String,
    },
    /// A newer deployment of the group arrived while this one was still queued.
    Supersede {
        by: String,
    },
    /// Nothing happened; look again.
    Tick,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostOutcome {
    Succeeded,
    Failed(TaskError),
    Cancelled { touched: bool },
}

/// What is known at the moment of deciding.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
    pub hosts: BTreeMap<AgentId, HostFacts>,
    /// The unfinished deployment that holds the group, if it is not this one: `d-7`.
    pub held_by: Option<String>,
    /// The controller was away: words that were due meanwhile may still be on their way.
    #[serde(default)]
    pub patient: bool,
    /// The highest generation anyone in this group was ever told.
    pub group_generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// The agent's lease is valid.
    pub alive: bool,
    pub last_seen: Option<Timestamp>,
}

impl Facts {
    #[must_use]
    pub fn is_alive(&self, host: AgentId) -> bool {
        self.hosts.get(&host).is_some_and(|facts| facts.alive)
    }

    #[must_use]
    pub fn last_seen(&self, host: AgentId) -> Option<Timestamp> {
        self.hosts.get(&host).and_then(|facts| facts.last_seen)
    }
}
