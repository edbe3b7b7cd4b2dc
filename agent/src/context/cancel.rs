//! The word to stop, and why.

use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// Why a task is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The controller said so: TERM, grace, KILL.
    Controller,
    /// The task's own time limit passed: TERM, grace, KILL.
    TimedOut,
    /// The controller was silent for too long. A build is killed; a deployment finishes the script
    /// it is in, because half a script is worse than a late one, and starts nothing further.
    LeaseLapsed,
    /// This agent is shutting down: TERM, grace, KILL.
    Shutdown,
}

impl Reason {
    fn kills_scripts(self) -> bool {
        match self {
            Reason::Controller | Reason::TimedOut | Reason::Shutdown => true,
            Reason::LeaseLapsed => false,
        }
    }
}

/// Shared by whoever stops a task and the task itself. The first reason given is the one reported.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    start_nothing: CancellationToken,
    kill_scripts: CancellationToken,
    reason: OnceLock<Reason>,
}

impl Cancel {
    pub fn cancel(&self, reason: Reason) {
        // A second reason may be the harder one: it still kills, under the name of the first.
        self.shared.reason.get_or_init(|| reason);
        self.shared.start_nothing.cancel();
        if reason.kills_scripts() {
            self.shared.kill_scripts.cancel();
        }
    }

    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.shared.start_nothing.is_cancelled()
    }

    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.shared.reason.get().copied()
    }

    /// Any reason: start nothing more. A build also kills what runs.
    pub async fn cancelled(&self) {
        self.shared.start_nothing.cancelled().await;
    }

    /// A reason that also ends a script of a deployment that is running.
    pub async fn killed(&self) {
        self.shared.kill_scripts.cancelled().await;
    }

    /// [`Cancel::cancelled`] for functions that take a token.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.shared.start_nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lapsed_lease_lets_a_script_finish_but_a_later_shutdown_does_not() {
        let cancel = Cancel::default();
        cancel.cancel(Reason::LeaseLapsed);
        assert!(cancel.is_cancelled());
        assert!(!cancel.shared.kill_scripts.is_cancelled());
        cancel.cancel(Reason::Shutdown);
        assert!(cancel.shared.kill_scripts.is_cancelled());
        assert_eq!(cancel.reason(), Some(Reason::LeaseLapsed));
    }
}
