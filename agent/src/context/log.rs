//! A task's log: a spool file on this disk, written at once and sent on by the link.
//!
//! Logging never fails a task. What the disk does not take is counted and said in the log as soon
//! as it takes bytes again; past the limit the log ends with one line that says so.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Longest log of one task, in bytes.
pub const SIZE_MAX: u64 = 520 << 20;

/// Cheap to clone; all clones write to one log, each write in one piece.
#[derive(Debug, Clone)]
pub struct LogWriter {
    spool: Arc<Spool>,
}

impl LogWriter {
    #[must_use]
    pub fn new(spool: Arc<Spool>) -> LogWriter {
        LogWriter { spool }
    }

    /// Appends bytes as they are. Masking is the caller's duty.
    pub async fn write(&self, bytes: &[u8]) {
        self.spool.append(bytes);
    }

    /// Appends one line.
    pub async fn say(&self, line: &str) {
        self.write(format!("{line}\n").as_bytes()).await;
    }

    /// Offset of the next byte.
    #[must_use]
    pub fn size(&self) -> u64 {
        *self.spool.size.borrow()
    }
}

/// The file behind a log.
#[derive(Debug)]
pub struct Spool {
    tail: Mutex<Tail>,
    file: File,
    size: watch::Sender<u64>,
}

#[derive(Debug)]
struct Tail {
    size: u64,
    lost: u64,
    closed: bool,
    size_max: u64,
}

impl Spool {
    /// Opens or makes the spool file, and goes on at its end.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Spool> {
        Spool::open_limited(path, SIZE_MAX)
    }

    fn open_limited(path: &Path, size_max: u64) -> io::Result<Spool> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let size = file.metadata()?.len();
        let tail = Tail { size, lost: 0, closed: size >= size_max, size_max };
        Ok(Spool { tail: Mutex::new(tail), file, size: watch::Sender::new(size) })
    }

    /// Follows the size of the log.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.size.subscribe()
    }

    /// Up to `len_max` bytes from `offset`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self, offset: u64, len_max: usize) -> io::Result<Vec<u8>> {
        let size = self.lock().size;
        let len = usize::try_from(size.saturating_sub(offset)).unwrap_or(len_max).min(len_max);
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// After a power loss the file may be shorter than what the controller has stored. The next
    /// byte must then not go where the controller has others already.
    ///
    /// # Errors
    /// When the file cannot be extended.
    pub fn skip_to(&self, offset: u64) -> io::Result<()> {
        let mut tail = self.lock();
        if offset > tail.size {
            self.file.set_len(offset)?;
            tail.size = offset;
            self.size.send_replace(offset);
        }
        Ok(())
    }

    fn append(&self, bytes: &[u8]) {
        let mut tail = self.lock();
        if bytes.is_empty() || tail.closed {
            return;
        }
        if tail.size + bytes.len() as u64 > tail.size_max {
            let end = format!("\n[pipeyard] the log is cut off at {} bytes\n", tail.size);
            tail.closed = true;
            self.put(&mut tail, end.as_bytes());
        } else {
            if tail.lost > 0 {
                let gap = format!("\n[pipeyard] {} bytes lost: the disk was full\n", tail.lost);
                if self.put(&mut tail, gap.as_bytes()) {
                    tail.lost = 0;
                }
            }
            if !self.put(&mut tail, bytes) {
                tail.lost += bytes.len() as u64;
            }
        }
        self.size.send_replace(tail.size);
    }

    fn put(&self, tail: &mut Tail, bytes: &[u8]) -> bool {
        let written = self.file.write_all_at(bytes, tail.size).is_ok();
        if written {
            tail.size += bytes.len() as u64;
        }
        written
    }

    fn lock(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(spool: &Spool) -> String {
        String::from_utf8(spool.read(0, 4096).unwrap()).unwrap()
    }

    #[test]
    fn a_log_goes_on_where_it_was_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        Spool::open(&path).unwrap().append(b"one\n");
        let spool = Spool::open(&path).unwrap();
        spool.append(b"two\n");
        assert_eq!(text(&spool), "one\ntwo\n");
        assert_eq!(*spool.watch().borrow(), 8);
        assert_eq!(spool.read(4, 2).unwrap(), b"tw");
    }

    #[test]
    fn a_log_past_its_limit_ends_with_one_line_that_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open_limited(&dir.path().join("log"), 10).unwrap();
        for _ in 0..5 {
            spool.append(b"12345678");
        }
        assert_eq!(text(&spool), "12345678\n[pipeyard] the log is cut off at 8 bytes\n");
    }

    #[test]
    fn bytes_after_a_power_loss_go_behind_what_the_controller_has() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(&dir.path().join("log")).unwrap();
        spool.append(b"abc");
        spool.skip_to(10).unwrap();
        spool.append(b"next");
        assert_eq!(spool.read(10, 99).unwrap(), b"next");
    }
}
