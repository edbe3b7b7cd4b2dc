//! The agent's state directory: who uses it, and where things are in it.
//!
//! ```text
//! identity.json        credential and CA; joining.json while a join is not answered
//! fence.json           highest epoch, highest generation per group
//! lock                 held by the running agent
//! tasks/t-7.1/         task.json, journal, log, finished.json, work/
//! done/t-7.1.json      outcomes already acknowledged, the newest few
//! cache/DIGEST         artifacts
//! releases/GROUP/DIGEST/, groups/GROUP/     see `deploy`
//! routers/BACKEND-….json                    see `route`
//! ```

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The state directory, held by this process until dropped.
#[derive(Debug)]
pub struct State {
    root: PathBuf,
    _lock: Flock<File>,
}

/// Makes a directory, and those above it, that only its owner may enter.
///
/// # Errors
/// When it cannot be made.
pub fn private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

impl State {
    /// # Errors
    /// When the directory cannot be made, or another agent works in it.
    pub fn open(root: &Path) -> Result<State> {
        let shown = root.display();
        // Releases are run by other users, so the directory itself may be passed through.
        DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(root)
            .with_context(|| format!("making the state directory {shown}"))?;
        let root = root.canonicalize()?;
        let lock = File::create(root.join("lock"))?;
        let lock = match Flock::lock(lock, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
                bail!("another agent is at work in {shown}: stop it or pass another --state-dir")
            }
            Err((_, e)) => return Err(e).context(format!("locking {shown}")),
        };
        let state = State { root, _lock: lock };
        private_dir(&state.tasks())?;
        private_dir(&state.done())?;
        private_dir(&state.cache())?;
        Ok(state)
    }

    /// Whether an agent is at work in this directory now.
    #[must_use]
    pub fn is_held(root: &Path) -> bool {
        let Ok(lock) = File::open(root.join("lock")) else { return false };
        matches!(
            Flock::lock(lock, FlockArg::LockSharedNonblock),
            Err((_, nix::errno::Errno::EWOULDBLOCK))
        )
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    #[must_use]
    pub fn tasks(&self) -> PathBuf {
        self.root.join("tasks")
    }

    #[must_use]
    pub fn done(&self) -> PathBuf {
        self.root.join("done")
    }

    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_agents_cannot_share_a_state_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = State::open(dir.path()).unwrap();
        assert!(State::open(dir.path()).unwrap_err().to_string().contains("another agent"));
        assert!(State::is_held(dir.path()));
        drop(first);
        assert!(!State::is_held(dir.path()));
        State::open(dir.path()).unwrap();
    }
}
