//! Artifacts, fetched and handed in. Every byte is verified on the way; the cache is only a
//! shortcut.

use super::cache::{Cache, digest_of, measure};
use super::cancel::Cancel;
use crate::backoff::Backoff;
use crate::controller::{CallError, Controller};
use nix::sys::statvfs::statvfs;
use pipelines::ids::Digest;
use pipelines::protocol::report::{ErrorCode, TaskError};
use pipelines::protocol::task::{Artifact, TaskKey};
use sha2::{Digest as _, Sha256};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Longest silence in the middle of a download.
const STALLED: Duration = Duration::from_secs(30);
/// Free bytes that a download must leave.
const FREE_AFTER: u64 = 32 << 20;

/// Why content could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    #[error("the bytes of {0} are not what their digest says")]
    DigestMismatch(Digest),
    #[error("{wanted} bytes do not fit: {free} are free on {dir}")]
    OutOfDisk { wanted: u64, free: u64, dir: String },
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("stopped before the transfer was done")]
    Cancelled,
    #[error("the revision {0} is not on this host")]
    NotHere(Digest),
    #[error("{0}")]
    Disk(#[from] io::Error),
}

impl ContentError {
    /// As a task's error. Content moves before anything is touched.
    #[must_use]
    pub fn into_task_error(self, step: &str) -> TaskError {
        let code = match &self {
            ContentError::DigestMismatch(_) => ErrorCode::DigestMismatch,
            ContentError::OutOfDisk { .. } => ErrorCode::OutOfDisk,
            ContentError::Disk(e) if e.kind() == io::ErrorKind::StorageFull => ErrorCode::OutOfDisk,
            ContentError::Call(_)
            | ContentError::Cancelled
            | ContentError::NotHere(_)
            | ContentError::Disk(_) => ErrorCode::AgentError,
        };
        let step = Some(step.to_owned());
        TaskError { code, message: self.to_string(), step, command: None, touched: false }
    }
}

/// A task's access to artifacts. Cheap to clone.
#[derive(Clone)]
pub struct Content {
    cache: Arc<Cache>,
    origin: Option<(Controller, TaskKey)>,
    cancel: Cancel,
}

impl Content {
    /// From and to the controller, in the name of the task.
    #[must_use]
    pub fn remote(cache: Arc<Cache>, from: Controller, key: TaskKey, cancel: Cancel) -> Content {
        Content { cache, origin: Some((from, key)), cancel }
    }

    /// Only what the cache holds, and what is handed in is kept there.
    #[must_use]
    pub fn local(cache: Arc<Cache>, cancel: Cancel) -> Content {
        Content { cache, origin: None, cancel }
    }

    /// Writes the artifact to `dest`, verified. Goes on trying while the controller is away.
    ///
    /// # Errors
    /// When the bytes are wrong or refused, the disk is full, or the task is to stop.
    pub async fn fetch(&self, artifact: &Artifact, dest: &Path) -> Result<(), ContentError> {
        let (cache, wanted, path) = (self.cache.clone(), artifact.clone(), dest.to_owned());
        if blocking(move || cache.get(&wanted, &path)).await? {
            return Ok(());
        }
        let Some((controller, _)) = &self.origin else {
            return Err(ContentError::NotHere(artifact.digest.clone()));
        };
        check_space(self.cache.dir(), artifact.size.saturating_mul(2))?;
        let part = Part::new(self.cache.dir())?;
        let mut backoff = Backoff::default();
        loop {
            let once = download(controller, artifact, &part.path);
            let result = self.unless_cancelled(once).await?;
            match result {
                Ok(()) => break,
                Err(ContentError::Call(e)) if e.may_pass() => {
                    self.unless_cancelled(backoff.wait()).await?;
                }
                Err(e) => return Err(e),
            }
        }
        let (cache, wanted, path) = (self.cache.clone(), artifact.clone(), dest.to_owned());
        blocking(move || cache.take(&part.path, &wanted, &path)).await?;
        Ok(())
    }

    /// Hashes a file and hands it to the controller, which answers at once when it has it already.
    ///
    /// # Errors
    /// When the controller refuses it or the task is to stop.
    pub async fn upload(&self, file: &Path) -> Result<Artifact, ContentError> {
        let path = file.to_owned();
        let artifact = blocking(move || measure(&path)).await?;
        let Some((controller, key)) = &self.origin else {
            let (cache, path, kept) = (self.cache.clone(), file.to_owned(), artifact.clone());
            blocking(move || cache.keep(&path, &kept)).await?;
            return Ok(artifact);
        };
        let mut backoff = Backoff::default();
        loop {
            let once = controller.upload(*key, &artifact, file);
            match self.unless_cancelled(once).await? {
                Ok(reply) if reply.artifact == artifact => return Ok(artifact),
                Ok(_) => return Err(ContentError::DigestMismatch(artifact.digest)),
                Err(e) if e.may_pass() => self.unless_cancelled(backoff.wait()).await?,
                Err(e) => return Err(e.into()),
            }
        }
    }

    async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, ContentError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(ContentError::Cancelled),
            done = work => Ok(done),
        }
    }
}

/// A file being fetched, gone when it was not kept.
struct Part {
    path: PathBuf,
}

impl Part {
    fn new(dir: &Path) -> io::Result<Part> {
        let (_, path) = tempfile::Builder::new().prefix(".part-").tempfile_in(dir)?.keep()?;
        Ok(Part { path })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Usually it was renamed into the cache; what is left otherwise goes at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn download(
    controller: &Controller,
    artifact: &Artifact,
    path: &Path,
) -> Result<(), ContentError> {
    let stalled = || CallError::Unreachable("the transfer stalled".to_owned());
    let mut response = tokio::time::timeout(STALLED, controller.artifact(&artifact.digest))
        .await
        .map_err(|_| stalled())??;
    let mut file = std::fs::File::create(path)?;
    let mut hash = Sha256::new();
    let mut size = 0;
    loop {
        let next = tokio::time::timeout(STALLED, response.chunk()).await.map_err(|_| stalled())?;
        let Some(chunk) = next.map_err(CallError::from)? else { break };
        size += chunk.len() as u64;
        if size > artifact.size {
            return Err(ContentError::DigestMismatch(artifact.digest.clone()));
        }
        hash.update(&chunk);
        file.write_all(&chunk)?;
    }
    if size != artifact.size || digest_of(hash) != artifact.digest {
        return Err(ContentError::DigestMismatch(artifact.digest.clone()));
    }
    Ok(())
}

fn check_space(dir: &Path, wanted: u64) -> Result<(), ContentError> {
    let free = free_bytes(dir)?;
    if free >= wanted.saturating_add(FREE_AFTER) {
        return Ok(());
    }
    Err(ContentError::OutOfDisk { wanted, free, dir: dir.display().to_string() })
}

/// Bytes that an unprivileged process could still write there.
///
/// # Errors
/// When the file system does not say.
pub fn free_bytes(dir: &Path) -> io::Result<u64> {
    let fs = statvfs(dir)?;
    Ok(fs.blocks_available().saturating_mul(fs.fragment_size()))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
