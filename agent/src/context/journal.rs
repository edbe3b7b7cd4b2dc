//! What a task did, on disk before and after each effect, for the agent that starts after a crash.

use crate::durable::JsonLines;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Cheap to clone. The entries' shape belongs to the task's body.
#[derive(Debug, Clone)]
pub struct TaskJournal {
    lines: Arc<Mutex<JsonLines>>,
}

impl TaskJournal {
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<TaskJournal> {
        Ok(TaskJournal { lines: Arc::new(Mutex::new(JsonLines::open(path)?)) })
    }

    /// Writes an entry and waits until it is on the disk.
    ///
    /// # Errors
    /// When it may not be there: the effect it announces must not be started.
    pub async fn note<T: Serialize>(&self, entry: &T) -> io::Result<()> {
        let value = serde_json::to_value(entry)?;
        let journal = self.clone();
        tokio::task::spawn_blocking(move || journal.note_blocking(&value))
            .await
            .map_err(io::Error::other)?
    }

    /// [`TaskJournal::note`] for code that is on a blocking thread already.
    ///
    /// # Errors
    /// See [`TaskJournal::note`].
    pub fn note_blocking<T: Serialize>(&self, entry: &T) -> io::Result<()> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).append(entry)
    }

    /// Everything noted so far, in this life of the agent and in earlier ones.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something that is not a `T`.
    pub fn entries<T: DeserializeOwned>(&self) -> io::Result<Vec<T>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).read()
    }
}
