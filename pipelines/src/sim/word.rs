//! Words on their way, in the order in which they arrive.

use super::fleet::{HostTask, RouteTask};
use crate::deploy::Event;
use crate::ids::AgentId;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

#[derive(Debug, Clone)]
pub enum Word {
    /// To a host's agent.
    Task(HostTask),
    Cancel(AgentId, u32),
    /// A host's work is over.
    Ended(AgentId, u32),
    /// To the agent beside the balancer, at the moment it carries it out.
    Route(RouteTask),
    CancelRoute(u32),
    /// To the provider.
    Launch(AgentId, u32),
    Dismiss(AgentId, u32),
    /// To the controller.
    Say(Event),
    /// An agent was silent for as long as its lease.
    Lapsed(AgentId),
    Back(AgentId),
    /// Something goes wrong with the fleet, or somebody intervenes.
    Mischief,
}

/// A queue by time; what was put in first comes first.
#[derive(Debug, Default)]
pub struct Queue {
    heap: BinaryHeap<Reverse<(i64, u64)>>,
    words: Vec<Option<Word>>,
}

impl Queue {
    pub fn put(&mut self, at: i64, word: Word) {
        self.heap.push(Reverse((at, self.words.len() as u64)));
        self.words.push(Some(word));
    }

    pub fn next(&mut self) -> Option<(i64, Word)> {
        let Reverse((at, number)) = self.heap.pop()?;
        let word = self.words.get_mut(usize::try_from(number).ok()?)?.take()?;
        Some((at, word))
    }

    pub fn clear(&mut self) {
        self.heap.clear();
        self.words.clear();
    }
}
