//! When agents were last heard, in memory; written down for all of them together, seldom.

use pipelines::ids::AgentId;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::PgPool;
use tokio_util::sync::CancellationToken;

/// Agents heard since the last time it was written down.
#[derive(Clone, Default)]
pub struct Seen {
    agents: Arc<Mutex<BTreeSet<AgentId>>>,
}

impl Seen {
    pub fn note(&self, agent: AgentId) {
        self.lock().insert(agent);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<AgentId>> {
        self.agents.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// One statement for every agent heard since the last one, a sixth of the lease apart: the
    /// database's work does not grow with heartbeats, and nothing is written while nobody speaks.
    pub async fn keep_writing(self, pool: PgPool, silence: Duration, stop: CancellationToken) {
        let pause = (silence / 6).clamp(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            let heard: Vec<AgentId> = std::mem::take(&mut *self.lock()).into_iter().collect();
            if heard.is_empty() {
                continue;
            }
            let written = match pool.acquire().await {
                Ok(mut conn) => store::agents::note_seen(&mut conn, &heard).await,
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                tracing::warn!(%error, "cannot note which agents were heard");
                self.lock().extend(heard);
            }
        }
    }
}
