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
    /// The balancer did what it was told and it was read back, or not.
    Routed {
        attempt: u32,
        outcome: RouteOutcome,
    },
    /// An instance was made or taken away; that its agent speaks is a fact, not an event.
    Instance {
        host: AgentId,
        attempt: u32,
        /// What went wrong, with the remedy.
        error: Option<String>,
    },
    Abort {
        by: String,
        reason: String,
    },
    /// It turns back, and somebody wants that to stop as well: hosts on which the way back has begun are
    /// brought to its end, all others stay as they are. Not a second `Abort`, which may be a doubled one.
    Halt {
        by: String,
        reason: String,
    },
    Pause {
        by: String,
        /// May be empty; it stands in the history.
        #[serde(default)]
        reason: String,
    },
    Resume {
        by: String,
    },
    /// Go on now: ends the current hold, or with `full` every hold to come. No approval is skipped.
    Promote {
        by: String,
        full: bool,
        /// The hold that was meant: one that comes after it is not ended by a late word. None: with
        /// `full`, which means whatever comes.
        #[serde(default)]
        at: Option<HoldAt>,
    },
    /// Somebody decided about this step of this generation; anything else is a stale page.
    Decide {
        by: String,
        step: usize,
        generation: u64,
        approve: bool,
        reason: String,
    },
    /// Try a failed host again.
    Retry {
        by: String,
        host: AgentId,
    },
    /// Leave a host out of this deployment.
    Exclude {
        by: String,
        host: AgentId,
        reason: String,
    },
    /// Start although a window or a freeze of the group is against it.
    Override {
        by: String,
        reason: String,
    },
    /// A newer deployment of the group arrived while this one was still queued.
    Supersede {
        by: String,
    },
    /// Nothing happened; look again.
    Tick,
}

/// A step in progress, since these orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldAt {
    /// Index of the plan's step.
    pub step: usize,
    pub generation: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostOutcome {
    Succeeded,
    Failed(TaskError),
    Cancelled { touched: bool },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteOutcome {
    Applied,
    /// All of it but these hosts, by name: the balancer's own check finds them bad, and they are out.
    /// Only where the order allowed it.
    Partly {
        out: Vec<String>,
    },
    Failed(TaskError),
    Cancelled,
}

/// What is known at the moment of deciding.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// The hosts', and the router's agent.
    pub hosts: BTreeMap<AgentId, HostFacts>,
    /// Of the agent that makes the group's hosts, where one does.
    #[serde(default)]
    pub provider: Option<HostFacts>,
    /// Where tasks stand at hosts' agents, where that is not simply that they run.
    #[serde(default)]
    pub places: BTreeMap<AgentId, Place>,
    /// The unfinished deployment that holds the group, if it is not this one: `d-7`.
    pub held_by: Option<String>,
    /// No deployment starts now, and why: a window, a freeze. Rollbacks start all the same, and so does
    /// one for which a person has set it aside.
    #[serde(default)]
    pub closed: Option<Closed>,
    /// What must be known before a plan can be trusted is still being read: the balancer, the monitors.
    #[serde(default)]
    pub unread: Option<Unread>,
    /// The controller was away: words that were due meanwhile may still be on their way.
    #[serde(default)]
    pub patient: bool,
    /// The highest generation anyone in this group was ever told.
    pub group_generation: u64,
    #[serde(default)]
    pub monitors: Vec<MonitorFact>,
    /// About the hold in progress.
    #[serde(default)]
    pub verdict: Option<StepVerdict>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// The agent's lease is valid.
    pub alive: bool,
    pub last_seen: Option<Timestamp>,
}

/// A host works on one task at a time: where this deployment's task stands at its agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Since when its time counts: it began, or what was before it ended. None: since it was handed out.
    pub counts_from: Option<Timestamp>,
    /// What the host works on first: `deployment d-2 of group shop`. None: nothing.
    pub behind: Option<String>,
}

/// Nothing starts before `until`; None where nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    pub reason: String,
    pub until: Option<Timestamp>,
}

/// A question that was asked and not answered yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// `the state of the balancer`.
    pub what: String,
    /// Whom it was asked.
    pub whom: String,
    pub since: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorFact {
    pub name: String,
    pub state: MonitorState,
    /// Value and bound in words: `0.07, fails above 0.02`.
    pub reason: String,
    /// When it was looked at last; a hold ends by no look from before it began.
    #[serde(default)]
    pub looked_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MonitorState {
    Ok,
    Fail,
    /// Neither: never a success.
    NoData,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepVerdict {
    pub step: usize,
    pub verdict: Verdict,
    /// Numbers, n, p and the rule that decided, for people.
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Pass,
    Fail,
    Inconclusive,
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
