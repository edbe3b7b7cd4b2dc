//! Who may work now: first come, first served, as many at a time as there are slots.
//!
//! The order is that in which the controller handed tasks out. A semaphore would give the turn to
//! whichever task happens to ask first.

use pipelines::protocol::task::TaskKey;
use std::sync::Arc;
use tokio::sync::watch;

/// The line of tasks that work or wait.
#[derive(Debug)]
pub struct Turns {
    slots: usize,
    line: watch::Sender<Vec<TaskKey>>,
}

/// A place in the line, given up when dropped.
#[derive(Debug)]
pub struct Place {
    turns: Arc<Turns>,
    key: TaskKey,
}

impl Turns {
    #[must_use]
    pub fn new(slots: usize) -> Arc<Turns> {
        Arc::new(Turns { slots, line: watch::Sender::new(Vec::new()) })
    }

    /// Stands at the end of the line.
    #[must_use]
    pub fn stand(self: &Arc<Self>, key: TaskKey) -> Place {
        self.line.send_modify(|line| line.push(key));
        Place { turns: self.clone(), key }
    }
}

impl Place {
    /// Resolves once it is this task's turn; it stays so.
    pub async fn turn(&self) {
        let Turns { slots, line } = self.turns.as_ref();
        let mine = |line: &Vec<TaskKey>| line.iter().take(*slots).any(|key| *key == self.key);
        // The sender lives as long as this place, so waiting cannot fail.
        let _ = line.subscribe().wait_for(mine).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.turns.line.send_modify(|line| line.retain(|key| *key != self.key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use pipelines::ids::TaskId;

    #[test]
    fn turns_come_in_the_order_of_standing_and_pass_on_when_left() {
        let turns = Turns::new(2);
        let key = |n| TaskKey { task: TaskId(n), attempt: 1 };
        let mut places: Vec<Place> = [5, 3, 4, 1].map(|n| turns.stand(key(n))).into();
        let now = |places: &[Place]| -> Vec<bool> {
            // Asked in the wrong order on purpose.
            let mut all: Vec<bool> =
                places.iter().rev().map(|p| p.turn().now_or_never().is_some()).collect();
            all.reverse();
            all
        };
        assert_eq!(now(&places), [true, true, false, false]);
        places.remove(1);
        assert_eq!(now(&places), [true, true, false]);
        places.remove(2);
        places.remove(0);
        assert_eq!(now(&places), [true]);
    }
}
