//! The highest controller epoch and the highest generation per group this host has ever obeyed, on
//! disk. Whoever speaks with a lower number is a ghost and is refused.
//!
//! The epoch is that of the reply. A task's own is that of the controller which queued it: one that
//! started again since hands it out in its own name.

use crate::durable::{read_json, write_json};
use pipelines::protocol::task::{Task, Work};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// What is on disk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Highest {
    epoch: u64,
    generations: BTreeMap<String, u64>,
}

/// See the module text.
#[derive(Debug)]
pub struct Fence {
    path: PathBuf,
    highest: Highest,
}

/// A task from the past.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    #[error("epoch {given} of the controller is over; {highest} has spoken")]
    Epoch { given: u64, highest: u64 },
    #[error("generation {given} of group {group} is over; {highest} has begun")]
    Generation { group: String, given: u64, highest: u64 },
}

impl Fence {
    /// # Errors
    /// When the file is there and unreadable: obeying anyone then would be a guess.
    pub fn open(state: &Path) -> io::Result<Fence> {
        let path = state.join("fence.json");
        let highest = read_json(&path)?.unwrap_or_default();
        Ok(Fence { path, highest })
    }

    /// Hears a controller's epoch.
    ///
    /// # Errors
    /// When the new height cannot be put on disk; the controller must not be obeyed then.
    pub fn hear(&mut self, epoch: u64) -> io::Result<Result<(), Stale>> {
        let highest = self.highest.epoch;
        if epoch < highest {
            return Ok(Err(Stale::Epoch { given: epoch, highest }));
        }
        if epoch > highest {
            self.save(Highest { epoch, ..self.highest.clone() })?;
        }
        Ok(Ok(()))
    }

    /// Lets a task in that came with a reply that was heard, or says why not.
    ///
    /// # Errors
    /// See [`Fence::hear`].
    pub fn admit(&mut self, task: &Task) -> io::Result<Result<(), Stale>> {
        let group = match &task.work {
            Work::Deploy(deploy) => &deploy.group,
            Work::Route(route) => &route.group,
            Work::Build(_)
            | Work::Preview(_)
            | Work::Inspect(_)
            | Work::Observe(_)
            | Work::Survey(_)
            | Work::Launch(_)
            | Work::Dismiss(_)
            | Work::Measure(_) => return Ok(Ok(())),
        };
        let highest = self.highest.generations.get(group).copied().unwrap_or(0);
        let given = task.generation;
        if given < highest {
            let group = group.clone();
            return Ok(Err(Stale::Generation { group, given, highest }));
        }
        if given > highest {
            let mut next = self.highest.clone();
            next.generations.insert(group.clone(), given);
            self.save(next)?;
        }
        Ok(Ok(()))
    }

    fn save(&mut self, next: Highest) -> io::Result<()> {
        write_json(&self.path, &next)?;
        self.highest = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::test_tasks::deploy_task;

    #[test]
    fn lower_numbers_are_refused_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut fence = Fence::open(dir.path()).unwrap();
        assert_eq!(fence.admit(&deploy_task(1, "web", 2, 5)).unwrap(), Ok(()));
        assert_eq!(fence.admit(&deploy_task(2, "web", 2, 5)).unwrap(), Ok(()));

        let mut fence = Fence::open(dir.path()).unwrap();
        let stale = Stale::Generation { group: "web".into(), given: 4, highest: 5 };
        assert_eq!(fence.admit(&deploy_task(3, "web", 2, 4)).unwrap(), Err(stale));
        assert_eq!(fence.admit(&deploy_task(4, "other", 3, 1)).unwrap(), Ok(()));
        // A refused task must not have lowered anything.
        assert_eq!(fence.admit(&deploy_task(6, "web", 3, 5)).unwrap(), Ok(()));
        assert_eq!(fence.hear(3).unwrap(), Ok(()));

        let mut fence = Fence::open(dir.path()).unwrap();
        let stale = Stale::Epoch { given: 2, highest: 3 };
        assert_eq!(fence.hear(2).unwrap(), Err(stale));
    }

    #[test]
    fn a_task_queued_before_the_controller_started_again_is_let_in() {
        let dir = tempfile::tempdir().unwrap();
        let mut fence = Fence::open(dir.path()).unwrap();
        assert_eq!(fence.hear(6).unwrap(), Ok(()));
        assert_eq!(fence.admit(&deploy_task(1, "web", 5, 1)).unwrap(), Ok(()));
    }
}
