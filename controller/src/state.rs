//! What every handler of the machines' side shares.

use crate::agents::seen::Seen;
use crate::sources::Sources;
use pipelines::ids::AgentId;
use pipelines::protocol::join::Lease;
use pipelines::protocol::poll::Installed;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use store::PgPool;
use store::keys::Keys;
use store::logs::Logs;
use store::objects::Objects;
use store::wake::Wakes;
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub struct Controller {
    pub pool: PgPool,
    pub wakes: Wakes,
    pub objects: Objects,
    pub logs: Logs,
    pub keys: Keys,
    pub sources: Sources,
    pub lease: Lease,
    pub seen: Seen,
    pub conditions: Conditions,
    pub polls: Polls,
    /// Held requests end when it is cancelled.
    pub stop: CancellationToken,
}

/// Which poll of an agent is its newest: one whose client is gone may still be held here.
#[derive(Clone, Default)]
pub struct Polls {
    newest: Arc<Mutex<BTreeMap<AgentId, u64>>>,
}

impl Polls {
    /// Counts a new poll and returns its number.
    #[must_use]
    pub fn begin(&self, agent: AgentId) -> u64 {
        let mut newest = self.newest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let number = newest.entry(agent).or_default();
        *number += 1;
        *number
    }

    #[must_use]
    pub fn is_newest(&self, agent: AgentId, number: u64) -> bool {
        let newest = self.newest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        newest.get(&agent) == Some(&number)
    }
}

/// Version, unfitness and installed revisions, as an agent last said them to this process.
pub type Condition = (String, Option<String>, Vec<Installed>);

#[derive(Clone, Default)]
pub struct Conditions {
    known: Arc<Mutex<BTreeMap<AgentId, Condition>>>,
}

impl Conditions {
    #[must_use]
    pub fn is_known(&self, agent: AgentId, condition: &Condition) -> bool {
        self.lock().get(&agent) == Some(condition)
    }

    pub fn remember(&self, agent: AgentId, condition: Condition) {
        self.lock().insert(agent, condition);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<AgentId, Condition>> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
