//! Who should look again. In this process at once; in other controllers by one coalesced `NOTIFY`
//! from a connection of its own, never inside a transaction that does work: a commit with a pending
//! `NOTIFY` takes an instance-wide lock. Every waiter also looks by itself now and then, so a lost
//! wake-up costs latency and nothing else.

use ::pipelines::ids::AgentId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, watch};

/// The Postgres channel; payloads are `engine`, `builds`, `page`, `agents` or `agent <id>`.
pub const CHANNEL: &str = "pipeyard";

#[derive(Clone, Default)]
pub struct Wakes {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    engine: Notify,
    builds: Notify,
    agents: Mutex<BTreeMap<AgentId, Arc<Notify>>>,
    pages: watch::Sender<u64>,
    /// What other controllers have not been told yet.
    outgoing: Mutex<Vec<String>>,
    outgoing_ready: Notify,
}

impl Wakes {
    /// Something was posted to an inbox.
    pub fn engine(&self) {
        self.inner.engine.notify_one();
        self.tell_others("engine".to_owned());
    }

    /// Something that pages show has changed.
    pub fn pages(&self) {
        self.inner.pages.send_modify(|count| *count += 1);
        self.tell_others("page".to_owned());
    }

    /// Builds were queued.
    pub fn builds(&self) {
        self.inner.builds.notify_waiters();
        self.tell_others("builds".to_owned());
    }

    /// The agent has something to start or to stop.
    pub fn agent(&self, agent: AgentId) {
        self.agent_here(agent);
        self.tell_others(format!("agent {}", agent.0));
    }

    /// What another controller told us.
    pub fn heard(&self, payload: &str) {
        match payload {
            "engine" => self.inner.engine.notify_one(),
            "builds" => self.inner.builds.notify_waiters(),
            "page" => self.inner.pages.send_modify(|count| *count += 1),
            "agents" => {
                for notify in lock(&self.inner.agents).values() {
                    notify.notify_one();
                }
            }
            other => {
                let id = other.strip_prefix("agent ").and_then(|id| id.parse().ok());
                if let Some(id) = id {
                    self.agent_here(AgentId(id));
                }
            }
        }
    }

    /// Completes when the engine should look.
    pub async fn engine_woken(&self) {
        self.inner.engine.notified().await;
    }

    /// Hold this before looking; it completes when the agent should look again.
    #[must_use]
    pub fn agent_wake(&self, agent: AgentId) -> Arc<Notify> {
        let mut agents = lock(&self.inner.agents);
        agents.entry(agent).or_default().clone()
    }

    /// The same for queued builds, shared by all build agents.
    #[must_use]
    pub fn builds_wake(&self) -> &Notify {
        &self.inner.builds
    }

    /// Changes whenever pages may show something new.
    #[must_use]
    pub fn pages_watch(&self) -> watch::Receiver<u64> {
        self.inner.pages.subscribe()
    }

    /// Waits for something to tell other controllers and takes all of it, each payload once.
    pub async fn take_outgoing(&self) -> Vec<String> {
        loop {
            let mut taken = std::mem::take(&mut *lock(&self.inner.outgoing));
            if !taken.is_empty() {
                taken.sort();
                taken.dedup();
                return taken;
            }
            self.inner.outgoing_ready.notified().await;
        }
    }

    fn agent_here(&self, agent: AgentId) {
        if let Some(notify) = lock(&self.inner.agents).get(&agent) {
            notify.notify_one();
        }
    }

    fn tell_others(&self, payload: String) {
        let mut outgoing = lock(&self.inner.outgoing);
        // Nobody drains it while Postgres is away; the slow looks make up for what is dropped.
        if outgoing.len() < 1000 {
            outgoing.push(payload);
        }
        self.inner.outgoing_ready.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
