//! How long the controller has been silent. Only durations are measured, on the monotonic clock.

use pipelines::protocol::join::Lease;
use pipelines::time::Millis;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The lease before a controller has named its own.
const FIRST: Lease =
    Lease { silent_for_max: Millis::from_secs(60), heartbeat: Millis::from_secs(10) };
/// Longest a poll is held when nothing runs.
const IDLE_POLL: Duration = Duration::from_secs(30);

/// Shared by everything that talks to the controller.
#[derive(Debug)]
pub struct Silence {
    last: Mutex<(Instant, Lease)>,
    /// False until the controller has answered a poll in this life of the agent.
    heard_once: watch::Sender<bool>,
}

impl Default for Silence {
    fn default() -> Silence {
        Silence { last: Mutex::new((Instant::now(), FIRST)), heard_once: watch::Sender::new(false) }
    }
}

impl Silence {
    /// Any exchange that worked.
    pub fn broken(&self) {
        self.lock().0 = Instant::now();
    }

    /// A poll that was answered by a controller this agent obeys.
    pub fn broken_by_poll(&self, lease: Lease) {
        *self.lock() = (Instant::now(), lease);
        self.heard_once.send_if_modified(|heard| !std::mem::replace(heard, true));
    }

    /// Resolves once the controller has answered a poll in this life.
    pub async fn heard_once(&self) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.heard_once.subscribe().wait_for(|heard| *heard).await;
    }

    /// How long a silence may be; before a controller has named it, what is usual.
    pub fn longest(&self) -> Duration {
        self.lock().1.silent_for_max.to_std()
    }

    /// Whether a controller has answered a poll in this life.
    pub fn was_heard(&self) -> bool {
        *self.heard_once.borrow()
    }

    /// Resolves once the silence has been longer than the lease allows.
    pub async fn too_long(&self) {
        loop {
            let (last, lease) = *self.lock();
            let deadline = last + lease.silent_for_max.to_std();
            if Instant::now() >= deadline {
                return;
            }
            sleep_until(deadline).await;
        }
    }

    /// How long the next poll may be held: a heartbeat while something is held, longer when idle.
    pub fn poll_wait(&self, busy: bool) -> Millis {
        let lease = self.lock().1;
        let heartbeat = lease.heartbeat.to_std();
        let idle = IDLE_POLL.min(lease.silent_for_max.to_std() / 2).max(heartbeat);
        let wait = if busy { heartbeat } else { idle };
        Millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
    }

    fn lock(&self) -> MutexGuard<'_, (Instant, Lease)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silence_is_counted_from_the_last_word() {
        let silence = Silence::default();
        let lease = Lease { silent_for_max: Millis(80), heartbeat: Millis(30) };
        silence.broken_by_poll(lease);
        let lapse = silence.too_long();
        tokio::pin!(lapse);
        let early = tokio::time::timeout(Duration::from_millis(20), &mut lapse).await;
        assert!(early.is_err(), "the lease lapsed before its time");
        silence.broken();
        let last_word = Instant::now();
        lapse.await;
        assert!(last_word.elapsed() >= Duration::from_millis(79), "{:?}", last_word.elapsed());
        assert_eq!(silence.poll_wait(true), Millis(30));
        assert_eq!(silence.poll_wait(false), Millis(40));
    }
}
