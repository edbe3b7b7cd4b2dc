//! What earlier lives left in `tasks/`, taken up again. A task that is there but cannot be read is
//! held all the same: forgotten, it would be handed out and run a second time.

use super::{Accepted, Finished, Held, name};
use crate::context::Spool;
use crate::durable::{JsonLines, read_json, remove_tree, write_json};
use crate::link::run::failed;
use crate::state::private_dir;
use pipelines::protocol::report::ErrorCode;
use pipelines::protocol::task::TaskKey;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whatever work leaves. A directory with any of these may belong to work that had begun.
const SIGNS: [&str; 3] = ["task.json", "journal", "finished.json"];

/// All tasks of earlier lives. Blocks.
///
/// # Errors
/// When the directory cannot be listed.
pub fn restore(tasks: &Path, done: &Path) -> io::Result<Vec<Arc<Held>>> {
    empty_trash(&trash(tasks));
    let mut all = Vec::new();
    for entry in std::fs::read_dir(tasks)? {
        let dir = entry?.path();
        let Some(key) = key_of(&dir) else {
            tracing::warn!(path = %dir.display(), "this is no task's directory");
            continue;
        };
        // Acknowledged, and then not removed in time.
        let over = super::done(done, key).is_ok_and(|outcome| outcome.is_some());
        if over || !holds_work(&dir) {
            if let Err(e) = discard(&dir) {
                tracing::warn!(path = %dir.display(), "cannot remove what a task left: {e}");
            }
            continue;
        }
        match restore_one(&dir, key) {
            Ok(held) => all.push(held),
            Err(e) => {
                tracing::error!(task.dir = %dir.display(), "cannot take up a task again: {e}");
            }
        }
    }
    Ok(all)
}

/// The tasks that have a directory, whatever is in it. Blocks.
///
/// # Errors
/// When the directory cannot be listed.
pub fn keys(tasks: &Path) -> io::Result<Vec<TaskKey>> {
    let mut keys = Vec::new();
    for entry in std::fs::read_dir(tasks)? {
        keys.extend(key_of(&entry?.path()));
    }
    Ok(keys)
}

fn key_of(dir: &Path) -> Option<TaskKey> {
    let (task, attempt) = dir.file_name()?.to_str()?.split_once('.')?;
    let key = TaskKey { task: task.parse().ok()?, attempt: attempt.parse().ok()? };
    (dir.file_name()?.to_str()? == name(key)).then_some(key)
}

/// Whether work may have begun in a directory. What cannot be looked at may hold anything.
pub(super) fn holds_work(dir: &Path) -> bool {
    let is_absent = |sign: &&str| {
        let found = dir.join(sign).symlink_metadata();
        found.is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
    };
    !SIGNS.iter().all(is_absent)
}

fn restore_one(dir: &Path, key: TaskKey) -> io::Result<Arc<Held>> {
    let mut accepted = match read_json::<Accepted>(&dir.join("task.json")) {
        Ok(Some(accepted)) if accepted.task.key == key => accepted,
        read => {
            let why = read.err().map_or_else(|| "it is not there".to_owned(), |e| e.to_string());
            tracing::error!(task.id = %key.task, "what the task was cannot be read: {why}");
            return interrupted(dir, key, None);
        }
    };
    accepted.life += 1;
    if let Err(e) = write_json(&dir.join("task.json"), &accepted) {
        // The next life may use the same report numbers; losing the task would be worse.
        tracing::warn!(task.id = %key.task, "cannot count a task's lives: {e}");
    }
    let finished = match read_json::<Finished>(&dir.join("finished.json")) {
        Ok(None) => journal_is_readable(dir).map(|()| None),
        read => read,
    };
    let opened = finished.and_then(|end| Ok((end, Spool::open(&dir.join("log"))?)));
    match opened {
        Ok((end, spool)) => Ok(Held::assemble(dir, key, Some(accepted), spool, end)),
        Err(e) => {
            tracing::error!(task.id = %key.task, "what the task did cannot be read: {e}");
            interrupted(dir, key, Some(accepted))
        }
    }
}

fn journal_is_readable(dir: &Path) -> io::Result<()> {
    let path = dir.join("journal");
    if path.symlink_metadata().is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
        return Ok(());
    }
    JsonLines::open(&path)?.read::<serde_json::Value>().map(drop)
}

/// A task nobody can go on with. Whatever it had begun may be half done.
pub(super) fn interrupted(
    dir: &Path,
    key: TaskKey,
    accepted: Option<Accepted>,
) -> io::Result<Arc<Held>> {
    let end = read_json::<Finished>(&dir.join("finished.json")).ok().flatten();
    // Without its log, it has an empty one.
    let spool = Spool::open(&dir.join("log")).or_else(|_| Spool::open(Path::new("/dev/null")))?;
    let is_over = end.is_some();
    let held = Held::assemble(dir, key, accepted, spool, end);
    if !is_over {
        let message = "the agent lost what it knew of this task, which may have begun";
        let outcome = failed(ErrorCode::Interrupted, message.to_owned(), true);
        if let Err(e) = held.finish(outcome) {
            tracing::warn!(task.id = %key.task, "the next life has to find this out again: {e}");
        }
    }
    Ok(held)
}

/// Beside `tasks/`: what only has to be removed.
fn trash(tasks: &Path) -> PathBuf {
    tasks.with_file_name("trash")
}

/// Takes a directory out of `tasks/` in one step. What of it cannot be removed stays in the trash.
///
/// # Errors
/// When it is still in its place.
pub(super) fn discard(dir: &Path) -> io::Result<()> {
    if dir.symlink_metadata().is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
        return Ok(());
    }
    let trash = trash(dir.parent().unwrap_or(dir));
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let aside = trash.join(format!("{name}-{:08x}", rand::random::<u32>()));
    if private_dir(&trash).and_then(|()| std::fs::rename(dir, &aside)).is_err() {
        return remove_tree(dir);
    }
    if let Err(e) = remove_tree(&aside) {
        tracing::warn!(path = %aside.display(), "cannot remove what a task left: {e}");
    }
    Ok(())
}

fn empty_trash(trash: &Path) {
    for entry in std::fs::read_dir(trash).into_iter().flatten().flatten() {
        if let Err(e) = remove_tree(&entry.path()) {
            tracing::warn!(path = %entry.path().display(), "cannot empty the trash: {e}");
        }
    }
}
