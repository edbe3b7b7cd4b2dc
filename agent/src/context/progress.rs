//! What a task has done so far, newest picture only.

use pipelines::protocol::report::Step;
use std::sync::Arc;
use tokio::sync::watch;

/// Cheap to clone. Pictures that nobody fetched in time are replaced, not queued.
#[derive(Debug, Clone)]
pub struct ProgressSender {
    newest: Arc<watch::Sender<Vec<Step>>>,
}

impl ProgressSender {
    #[must_use]
    pub fn new() -> (ProgressSender, watch::Receiver<Vec<Step>>) {
        let (sender, receiver) = watch::channel(Vec::new());
        (ProgressSender { newest: Arc::new(sender) }, receiver)
    }

    /// Everything known so far, not a difference.
    pub fn set(&self, steps: Vec<Step>) {
        self.newest.send_if_modified(|old| {
            let changed = *old != steps;
            *old = steps;
            changed
        });
    }
}
