//! A task this agent holds, in memory and on disk, from acceptance until the controller has
//! acknowledged its end.

mod restore;

use crate::context::{Cancel, ProgressSender, Reason, Spool};
use crate::durable::{read_json, sync_dir, write_json};
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

pub use restore::{keys, restore};

/// Outcomes kept after they were acknowledged, in case the controller loses its last words.
const DONE_KEPT: usize = 64;
/// The life of a task whose own count is lost: more than any has had.
const LIFE_UNKNOWN: u32 = 1_000_000_000;

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
    pub key: TaskKey,
    /// None: what it was cannot be read any more; such a task is finished.
    accepted: Mutex<Option<Accepted>>,
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
    /// A directory that holds work of the same name already is never worked in again: the task is
    /// given back as finished.
    ///
    /// # Errors
    /// When it may not be there after a crash: it must not be started then.
    pub fn accept(tasks: &Path, task: Task) -> io::Result<Arc<Held>> {
        let (key, dir) = (task.key, tasks.join(name(task.key)));
        if restore::holds_work(&dir) {
            return restore::interrupted(&dir, key, None);
        }
        // A directory without any of it is an acceptance that was cut off.
        restore::discard(&dir)?;
        Held::accept_fresh(tasks, &dir, task).inspect_err(|_| {
            // It never began, and must not look as if it had.
            if let Err(e) = restore::discard(&dir) {
                tracing::warn!(task.dir = %dir.display(), "cannot remove an acceptance: {e}");
            }
        })
    }

    fn accept_fresh(tasks: &Path, dir: &Path, task: Task) -> io::Result<Arc<Held>> {
        private_dir(dir)?;
        let accepted = Accepted { task, started: None, life: 1 };
        write_json(&dir.join("task.json"), &accepted)?;
        sync_dir(tasks)?;
        let spool = Spool::open(&dir.join("log"))?;
        Ok(Held::assemble(dir, accepted.task.key, Some(accepted), spool, None))
    }

    fn assemble(
        dir: &Path,
        key: TaskKey,
        accepted: Option<Accepted>,
        spool: Spool,
        end: Option<Finished>,
    ) -> Arc<Held> {
        let (progress, steps) = ProgressSender::new();
        Arc::new(Held {
            key,
            accepted: Mutex::new(accepted),
            spool: Arc::new(spool),
            dir: dir.to_owned(),
            cancel: Cancel::default(),
            unwanted: CancellationToken::new(),
            progress,
            steps,
            finished: watch::Sender::new(end),
        })
    }

    #[must_use]
    pub fn key(&self) -> TaskKey {
        self.key
    }

    /// None: it cannot be read any more.
    #[must_use]
    pub fn task(&self) -> Option<Task> {
        self.read(|a| a.task.clone())
    }

    #[must_use]
    pub fn life(&self) -> u32 {
        self.read(|a| a.life).unwrap_or(LIFE_UNKNOWN)
    }

    /// How long ago its work began; None when it has not.
    #[must_use]
    pub fn running_for(&self) -> Option<Duration> {
        let started = self.read(|a| a.started)??;
        // Durations inside one life are monotonic; only the gap between lives is by the wall clock.
        Some(Duration::from_millis(now().saturating_sub(started)))
    }

    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished.borrow().is_some()
    }

    fn read<T>(&self, part: impl FnOnce(&Accepted) -> T) -> Option<T> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(part)
    }

    /// Notes that the work begins now. Blocks.
    ///
    /// # Errors
    /// When the disk does not take it; the work must not begin.
    pub fn begin(&self) -> io::Result<()> {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(accepted) = accepted.as_mut() else {
            return Err(io::Error::other("what the task was cannot be read any more"));
        };
        accepted.started.get_or_insert_with(now);
        write_json(&self.dir.join("task.json"), accepted)
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
        sync_dir(done)?;
        restore::discard(&self.dir)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::test_tasks::deploy_task;
    use pipelines::protocol::report::ErrorCode;
    use std::os::unix::fs::PermissionsExt;

    struct Disk {
        dir: tempfile::TempDir,
    }

    impl Disk {
        fn new() -> Disk {
            let disk = Disk { dir: tempfile::tempdir().unwrap() };
            std::fs::create_dir(disk.tasks()).unwrap();
            std::fs::create_dir(disk.done()).unwrap();
            disk
        }

        fn tasks(&self) -> PathBuf {
            self.dir.path().join("tasks")
        }

        fn done(&self) -> PathBuf {
            self.dir.path().join("done")
        }

        fn restore(&self) -> Vec<Arc<Held>> {
            restore(&self.tasks(), &self.done()).unwrap()
        }
    }

    fn cancelled() -> Outcome {
        Outcome::Cancelled { steps: Vec::new(), touched: false }
    }

    #[track_caller]
    fn assert_interrupted(held: &Held) {
        let finished = held.finished.borrow().clone();
        let Some(Finished { outcome: Outcome::Failed { error, .. }, .. }) = finished else {
            panic!("{finished:?}")
        };
        assert_eq!((error.code, error.touched), (ErrorCode::Interrupted, true));
    }

    #[test]
    fn an_outcome_survives_until_it_is_acknowledged_and_is_known_afterwards() {
        let disk = Disk::new();
        let task = deploy_task(7, "web", 1, 1);
        let held = Held::accept(&disk.tasks(), task.clone()).unwrap();
        held.begin().unwrap();
        drop(held);

        let again = disk.restore().pop().unwrap();
        let is = (again.task(), again.life(), again.is_finished());
        assert_eq!(is, (Some(task.clone()), 2, false));
        assert!(again.running_for().is_some());
        again.finish(cancelled()).unwrap();

        let again = disk.restore().pop().unwrap();
        assert_eq!(again.finished.borrow().clone().unwrap().outcome, cancelled());
        again.release(&disk.done()).unwrap();
        assert!(disk.restore().is_empty());
        assert_eq!(std::fs::read_dir(disk.tasks()).unwrap().count(), 0);
        assert_eq!(done(&disk.done(), task.key).unwrap(), Some(cancelled()));
    }

    #[test]
    fn an_acceptance_that_was_cut_off_never_happened() {
        let disk = Disk::new();
        std::fs::create_dir(disk.tasks().join("t-7.1")).unwrap();
        assert!(disk.restore().is_empty());
        assert_eq!(std::fs::read_dir(disk.tasks()).unwrap().count(), 0);
    }

    #[test]
    fn a_task_that_cannot_be_read_any_more_is_interrupted_and_never_begun_again() {
        for broken in ["task.json", "journal"] {
            let disk = Disk::new();
            let task = deploy_task(7, "web", 1, 1);
            let held = Held::accept(&disk.tasks(), task.clone()).unwrap();
            held.begin().unwrap();
            let dir = held.dir.clone();
            std::fs::write(dir.join(broken), "no JSON\n").unwrap();
            // Handed out again while it is there, and after a restart.
            assert_interrupted(&Held::accept(&disk.tasks(), task.clone()).unwrap());
            std::fs::remove_file(dir.join("finished.json")).unwrap();
            let again = disk.restore().pop().unwrap();
            assert_eq!(again.key(), task.key);
            assert_interrupted(&again);
            again.release(&disk.done()).unwrap();
            assert!(disk.restore().is_empty());
        }
    }

    #[test]
    fn a_disk_that_takes_nothing_does_not_keep_a_task_from_being_held() {
        let disk = Disk::new();
        let held = Held::accept(&disk.tasks(), deploy_task(7, "web", 1, 1)).unwrap();
        // Stands in the way of every new task.json.
        std::fs::create_dir(held.dir.join("task.json.new")).unwrap();
        let again = disk.restore().pop().unwrap();
        assert_eq!((again.life(), again.is_finished()), (2, false));
    }

    #[test]
    fn what_cannot_be_removed_stops_neither_a_start_nor_the_other_tasks() {
        let disk = Disk::new();
        let task = deploy_task(7, "web", 1, 1);
        Held::accept(&disk.tasks(), task.clone()).unwrap();
        let stuck = disk.tasks().join("t-8.1/work");
        std::fs::create_dir_all(stuck.join("inner")).unwrap();
        let mode = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&stuck, mode(0o500)).unwrap();
        std::fs::write(disk.tasks().join("stray"), "").unwrap();
        let held: Vec<TaskKey> = disk.restore().iter().map(|held| held.key()).collect();
        assert_eq!(held, [task.key]);
        Held::accept(&disk.tasks(), deploy_task(8, "web", 1, 1)).unwrap();
        for entry in std::fs::read_dir(disk.dir.path().join("trash")).into_iter().flatten() {
            let work = entry.unwrap().path().join("work");
            let _ = std::fs::set_permissions(work, mode(0o700));
        }
    }
}
