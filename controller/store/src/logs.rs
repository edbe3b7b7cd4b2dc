//! Task logs: one file per attempt, written at byte offsets, so that a repeated piece changes nothing
//! and a missing one is noticed.

use ::pipelines::protocol::task::TaskKey;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

/// Larger logs end with a marked cut.
pub const SIZE_MAX: u64 = 1 << 30;

#[derive(Clone)]
pub struct Logs {
    directory: Arc<PathBuf>,
    /// Who watches which log in this process: the size so far.
    watched: Arc<Mutex<BTreeMap<TaskKey, watch::Sender<u64>>>>,
}

impl Logs {
    /// # Errors
    /// When the directory cannot be created.
    pub fn new(directory: PathBuf) -> io::Result<Logs> {
        std::fs::create_dir_all(&directory)?;
        Ok(Logs { directory: Arc::new(directory), watched: Arc::default() })
    }

    fn path(&self, key: TaskKey) -> PathBuf {
        // A thousand logs per directory at most.
        let shard = (key.task.0 / 1000).to_string();
        self.directory.join(shard).join(format!("{}-{}.log", key.task.0, key.attempt))
    }

    /// Bytes stored so far; zero when there is no log yet.
    ///
    /// # Errors
    /// When the file cannot be looked at.
    pub async fn size(&self, key: TaskKey) -> io::Result<u64> {
        match tokio::fs::metadata(self.path(key)).await {
            Ok(meta) => Ok(meta.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Stores a piece that starts at byte `offset` and returns the size after it. A piece behind a gap
    /// is not stored; the answer then says where to go on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn append(&self, key: TaskKey, offset: u64, piece: &[u8]) -> io::Result<u64> {
        let path = self.path(key);
        let size = self.size(key).await?;
        let end = offset + piece.len() as u64;
        if offset > size || end <= size || size >= SIZE_MAX {
            return Ok(size);
        }
        if size == 0
            && let Some(parent) = path.parent()
        {
            tokio::fs::create_dir_all(parent).await?;
        }
        let mut file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).await?;
        file.seek(io::SeekFrom::Start(offset)).await?;
        file.write_all(piece).await?;
        file.flush().await?;
        if let Some(sender) = self.lock().get(&key) {
            sender.send_replace(end);
        }
        Ok(end)
    }

    /// Up to `max` bytes from `offset`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn read(&self, key: TaskKey, offset: u64, max: usize) -> io::Result<Bytes> {
        let mut file = match File::open(self.path(key)).await {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Bytes::new()),
            Err(error) => return Err(error),
        };
        file.seek(io::SeekFrom::Start(offset)).await?;
        let mut piece = Vec::new();
        file.take(max as u64).read_to_end(&mut piece).await?;
        Ok(piece.into())
    }

    /// Changes whenever this process stored more of the log. Another controller's writes are seen by
    /// looking at the size now and then.
    #[must_use]
    pub fn watch(&self, key: TaskKey) -> watch::Receiver<u64> {
        let mut watched = self.lock();
        watched.retain(|_, sender| sender.receiver_count() > 0);
        watched.entry(key).or_insert_with(|| watch::channel(0).0).subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<TaskKey, watch::Sender<u64>>> {
        self.watched.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::pipelines::ids::TaskId;

    #[tokio::test]
    async fn a_log_is_the_same_whatever_is_repeated_or_comes_too_early() {
        let dir = tempfile::tempdir().unwrap();
        let logs = Logs::new(dir.path().to_owned()).unwrap();
        let key = TaskKey { task: TaskId(1234), attempt: 1 };
        assert_eq!(logs.append(key, 0, b"one ").await.unwrap(), 4);
        assert_eq!(logs.append(key, 9, b"late").await.unwrap(), 4, "a gap is not stored");
        assert_eq!(logs.append(key, 0, b"one ").await.unwrap(), 4, "a repetition changes nothing");
        assert_eq!(logs.append(key, 3, b" two").await.unwrap(), 7, "an overlap is stored once");
        assert_eq!(logs.read(key, 0, 100).await.unwrap(), "one two".as_bytes());
        assert_eq!(logs.read(key, 4, 2).await.unwrap(), "tw".as_bytes());
    }

    #[tokio::test]
    async fn a_watcher_is_woken_by_new_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let logs = Logs::new(dir.path().to_owned()).unwrap();
        let key = TaskKey { task: TaskId(1), attempt: 1 };
        let mut watch = logs.watch(key);
        logs.append(key, 0, b"x").await.unwrap();
        watch.changed().await.unwrap();
        assert_eq!(*watch.borrow(), 1);
    }
}
