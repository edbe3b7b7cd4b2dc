//! A task this agent holds, in memory and on disk, from acceptance until the controller has
//! acknowledged its end.

use crate::context::{Cancel, ProgressSender, Reason, Spool};
use crate::durable::{read_json, remove_if_there, remove_tree, sync_dir, write_json};
use crate::state::private_dir;
use pipelines::protocol::report::{Outcome, Step};
use pipelines::protocol::task::{Task, TaskKey};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Outcomes kept after they were acknowledged, in case the controller loses its last words.
const DONE_KEPT: usize = 64;

/// `task.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Accepted {
    task: Task,
    /// When its work began, milliseconds since the epoch by this host's clock.
    started: Option<u64>,
    /// How often an agent process took it up. Report numbers rise across lives by this.
    life: u32,
}

/// `finished.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    pub outcome: Outcome,
    pub log_size: u64,
}

/// See the module text.
#[derive(Debug)]
pub struct Held {
    accepted: Mutex<Accepted>,
    pub dir: PathBuf,
    pub cancel: Cancel,
    /// The controller wants no further word about it.
    pub unwanted: CancellationToken,
    pub spool: Arc<Spool>,
    pub progress: ProgressSender,
    pub steps: watch::Receiver<Vec<Step>>,
    pub finished: watch::Sender<Option<Finished>>,
}

/// The directory name of a task: `t-7.1`.
fn name(key: TaskKey) -> String {
    format!("{}.{}", key.task, key.attempt)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Held {
    /// Puts a new task on disk. Blocks.
    ///
    /// # Errors
    /// When it may not be there after a crash: it must not be started then.
    pub fn accept(tasks: &Path, task: Task) -> io::Result<Arc<Held>> {
        let dir = tasks.join(name(task.key));
        // A directory without task.json is an acceptance that was cut off.
        remove_tree(&dir)?;
        private_dir(&dir)?;
        let accepted = Accepted { task, started: None, life: 1 };
        write_json(&dir.join("task.json"), &accepted)?;
        sync_dir(tasks)?;
        Held::assemble(dir, accepted, None)
    }

    fn assemble(dir: PathBuf, accepted: Accepted, end: Option<Finished>) -> io::Result<Arc<Held>> {
        let (progress, steps) = ProgressSender::new();
        Ok(Arc::new(Held {
            accepted: Mutex::new(accepted),
            spool: Arc::new(Spool::open(&dir.join("log"))?),
            dir,
            cancel: Cancel::default(),
            unwanted: CancellationToken::new(),
            progress,
            steps,
            finished: watch::Sender::new(end),
        }))
    }

    #[must_use]
    pub fn key(&self) -> TaskKey {
        self.read(|a| a.task.key)
    }

    #[must_use]
    pub fn task(&self) -> Task {
        self.read(|a| a.task.clone())
    }

    #[must_use]
    pub fn life(&self) -> u32 {
        self.read(|a| a.life)
    }

    /// How long ago its work began; None when it has not.
    #[must_use]
    pub fn running_for(&self) -> Option<Duration> {
        let started = self.read(|a| a.started)?;
        // Durations inside one life are monotonic; only the gap between lives is by the wall clock.
        Some(Duration::from_millis(now().saturating_sub(started)))
    }

    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished.borrow().is_some()
    }

    fn read<T>(&self, part: impl FnOnce(&Accepted) -> T) -> T {
        part(&self.accepted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that the work begins now. Blocks.
    ///
    /// # Errors
    /// When the disk does not take it; the work must not begin.
    pub fn begin(&self) -> io::Result<()> {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.started.get_or_insert_with(now);
        write_json(&self.dir.join("task.json"), &*accepted)
    }

    /// Keeps the outcome until it is acknowledged. Blocks.
    ///
    /// # Errors
    /// When it would be lost in a crash. It is reported all the same.
    pub fn finish(&self, outcome: Outcome) -> io::Result<()> {
        let finished = Finished { outcome, log_size: *self.spool.watch().borrow() };
        let kept = write_json(&self.dir.join("finished.json"), &finished);
        self.finished.send_replace(Some(finished));
        kept
    }

    /// The controller wants no further word: stop, and forget.
    pub fn unwant(&self) {
        self.cancel.cancel(Reason::Controller);
        self.unwanted.cancel();
    }

    /// Removes an acknowledged task, keeping its outcome for a while. Blocks.
    ///
    /// # Errors
    /// When it could not be removed; it will then be reported again after a restart.
    pub fn release(&self, done: &Path) -> io::Result<()> {
        let kept = done.join(format!("{}.json", name(self.key())));
        match std::fs::rename(self.dir.join("finished.json"), kept) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            Ok(()) | Err(_) => {}
        }
        // task.json goes first: without it the rest is rubbish that the next start removes.
        remove_if_there(&self.dir.join("task.json"))?;
        remove_tree(&self.dir)?;
        sync_dir(done)?;
        prune(done)
    }
}

/// The outcome of a task that was acknowledged before.
///
/// # Errors
/// When the file is there and unreadable.
pub fn done(done: &Path, key: TaskKey) -> io::Result<Option<Outcome>> {
    let finished = read_json::<Finished>(&done.join(format!("{}.json", name(key))))?;
    Ok(finished.map(|f| f.outcome))
}

fn prune(done: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(done)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort();
    let old = files.len().saturating_sub(DONE_KEPT);
    files[..old].iter().try_for_each(|(_, path)| std::fs::remove_file(path))
}

/// All tasks of earlier lives. Blocks.
///
/// # Errors
/// When the directory cannot be read.
pub fn restore(tasks: &Path) -> io::Result<Vec<Arc<Held>>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(tasks)? {
        let dir = entry?.path();
        match restore_one(&dir) {
            Ok(Some(held)) => all.push(held),
            Ok(None) => remove_tree(&dir)?,
            // One unreadable task must not keep the agent from all the others.
            Err(e) => {
                tracing::error!(task.dir = %dir.display(), "cannot take up a task again: {e}");
            }
        }
    }
    Ok(all)
}

fn restore_one(dir: &Path) -> io::Result<Option<Arc<Held>>> {
    let Some(mut accepted) = read_json::<Accepted>(&dir.join("task.json"))? else {
        return Ok(None);
    };
    accepted.life += 1;
    write_json(&dir.join("task.json"), &accepted)?;
    let finished = read_json(&dir.join("finished.json"))?;
    Held::assemble(dir.to_owned(), accepted, finished).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::test_tasks::deploy_task;

    fn cancelled() -> Outcome {
        Outcome::Cancelled { steps: Vec::new(), touched: false }
    }

    #[test]
    fn an_outcome_survives_until_it_is_acknowledged_and_is_known_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let (tasks, done_dir) = (dir.path().join("tasks"), dir.path().join("done"));
        std::fs::create_dir_all(&tasks).unwrap();
        std::fs::create_dir_all(&done_dir).unwrap();
        let task = deploy_task(7, "web", 1, 1);
        let held = Held::accept(&tasks, task.clone()).unwrap();
        held.begin().unwrap();
        drop(held);

        let again = restore(&tasks).unwrap().pop().unwrap();
        assert_eq!((again.task(), again.life(), again.is_finished()), (task.clone(), 2, false));
        assert!(again.running_for().is_some());
        again.finish(cancelled()).unwrap();

        let again = restore(&tasks).unwrap().pop().unwrap();
        assert_eq!(again.finished.borrow().clone().unwrap().outcome, cancelled());
        again.release(&done_dir).unwrap();
        assert!(restore(&tasks).unwrap().is_empty());
        assert_eq!(done(&done_dir, task.key).unwrap(), Some(cancelled()));
    }

    #[test]
    fn an_acceptance_that_was_cut_off_never_happened() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("t-7.1")).unwrap();
        assert!(restore(dir.path()).unwrap().is_empty());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
