//! A script's output on its way into the log: whole lines, each with where it comes from.

use crate::context::LogWriter;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::{Instant, timeout_at};

/// A line longer than this is broken.
const LINE_MAX: usize = 16 * 1024;

/// Writes `[event] [script] line`.
pub struct Lines<'a> {
    log: &'a LogWriter,
    prefix: String,
    partial: Vec<u8>,
}

impl<'a> Lines<'a> {
    pub fn new(log: &'a LogWriter, event: &str, script: &str) -> Lines<'a> {
        Lines { log, prefix: format!("[{event}] [{script}] "), partial: Vec::new() }
    }

    pub async fn put(&mut self, mut bytes: &[u8]) {
        let mut ready = Vec::with_capacity(bytes.len() + 256);
        while let Some(at) = bytes.iter().position(|b| *b == b'\n') {
            self.partial.extend_from_slice(&bytes[..at]);
            bytes = &bytes[at + 1..];
            self.take_line(&mut ready);
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() >= LINE_MAX {
            self.take_line(&mut ready);
        }
        self.log.write(&ready).await;
    }

    /// Writes what has no end of line yet.
    pub async fn end(&mut self) {
        if !self.partial.is_empty() {
            let mut ready = Vec::new();
            self.take_line(&mut ready);
            self.log.write(&ready).await;
        }
    }

    pub async fn say(&self, text: &str) {
        self.log.say(&format!("{}{text}", self.prefix)).await;
    }

    fn take_line(&mut self, ready: &mut Vec<u8>) {
        ready.extend_from_slice(self.prefix.as_bytes());
        ready.append(&mut self.partial);
        ready.push(b'\n');
    }
}

/// How reading to the end went.
#[derive(PartialEq)]
pub enum Drain {
    Ended,
    StillOpen,
}

/// Reads until the last writer is gone or the time is over.
pub async fn drain(pipe: &mut pipe::Receiver, lines: &mut Lines<'_>, until: Instant) -> Drain {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match timeout_at(until, pipe.read(&mut buffer)).await {
            Err(_) => return Drain::StillOpen,
            Ok(Ok(0) | Err(_)) => return Drain::Ended,
            Ok(Ok(n)) => lines.put(&buffer[..n]).await,
        }
    }
}
