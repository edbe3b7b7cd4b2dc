//! The way of a build's output into the task's log: masked, bounded, and not written twice.
//!
//! The log of a container can be read from its beginning at any time, and gives the same bytes each
//! time. So after a restart of the agent, or of Docker, it is simply read again, and what the log
//! has already is left out by counting.

use crate::context::{LOG_SIZE_MAX, LogWriter};
use crate::mask::{Masker, Masks};

/// Kept free for what the agent has to say.
const OWN_LINES: u64 = 8 << 20;

pub struct Output<'m> {
    log: LogWriter,
    masks: &'m Masks,
    masker: Masker<'m>,
    /// Not masked yet.
    raw: Vec<u8>,
    /// Bytes the log has already and that come again.
    skip: u64,
    /// Where in the log the skipped bytes begin.
    base: u64,
    produced: u64,
    pending: Vec<u8>,
    /// How many more bytes of commands fit.
    room: u64,
    cut: bool,
    at_line_start: bool,
}

impl<'m> Output<'m> {
    /// `base` is where the container's output begins in the log. What the log holds after that is
    /// the beginning of what is going to be written.
    #[must_use]
    pub fn new(log: LogWriter, masks: &'m Masks, base: u64, bytes_max: u64) -> Output<'m> {
        let skip = log.size().saturating_sub(base);
        Output {
            log,
            masks,
            masker: Masker::new(masks),
            raw: Vec::new(),
            skip,
            base,
            produced: 0,
            pending: Vec::new(),
            // The agent's own lines come on top.
            room: bytes_max.min(LOG_SIZE_MAX - OWN_LINES),
            cut: false,
            at_line_start: true,
        }
    }

    /// Output of a command. Masked when it is written, many lines at once.
    pub fn text(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
    }

    /// A line of the agent's own. Always fits: there are few of them.
    pub fn say(&mut self, line: &str) {
        self.fresh_line();
        let line = self.masks.text(line);
        self.put(format!("[pipeyard] {line}\n").as_bytes());
    }

    /// Ends an unfinished line, and returns where the next one begins.
    pub fn fresh_line(&mut self) -> u64 {
        self.settle();
        if !self.at_line_start {
            self.put(b"\n");
        }
        self.offset()
    }

    /// No command is speaking now: what was held back for the mask's sake can go.
    pub fn settle(&mut self) {
        self.mask();
        let mut masked = Vec::new();
        self.masker.flush(&mut masked);
        self.put_bounded(&masked);
    }

    fn mask(&mut self) {
        let mut masked = Vec::with_capacity(self.raw.len());
        self.masker.push(&self.raw, &mut masked);
        self.raw.clear();
        self.put_bounded(&masked);
    }

    /// Where the next byte goes in the log, when all is settled.
    fn offset(&self) -> u64 {
        if self.skip > 0 {
            self.base + self.produced
        } else {
            self.log.size() + self.pending.len() as u64
        }
    }

    /// Hands on what has gathered.
    pub async fn write(&mut self) {
        self.mask();
        if !self.pending.is_empty() {
            self.log.write(&self.pending).await;
            self.pending.clear();
        }
    }

    fn put_bounded(&mut self, bytes: &[u8]) {
        let fits = usize::try_from(self.room).unwrap_or(usize::MAX).min(bytes.len());
        self.put(&bytes[..fits]);
        self.room -= fits as u64;
        if fits < bytes.len() && !self.cut {
            self.cut = true;
            self.say("the log is full: the rest of the commands' output is left out");
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        self.at_line_start = *last == b'\n';
        self.produced += bytes.len() as u64;
        let known = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.skip -= known as u64;
        self.pending.extend_from_slice(&bytes[known..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Spool;
    use std::sync::Arc;

    struct Log {
        _dir: tempfile::TempDir,
        spool: Arc<Spool>,
    }

    impl Log {
        fn new() -> Log {
            let dir = tempfile::tempdir().unwrap();
            let spool = Arc::new(Spool::open(&dir.path().join("log")).unwrap());
            Log { _dir: dir, spool }
        }

        fn writer(&self) -> LogWriter {
            LogWriter::new(self.spool.clone())
        }

        fn text(&self) -> String {
            String::from_utf8(self.spool.read(0, 1 << 20).unwrap()).unwrap()
        }
    }

    fn feed(output: &mut Output<'_>) {
        output.say("one");
        output.text(b"no newline, hunt");
        output.text(b"er2!");
        output.say("two");
        output.text(b"tail\n");
        output.settle();
    }

    #[tokio::test]
    async fn output_read_again_gives_the_same_log_wherever_it_was_interrupted() {
        let masks = Masks::new([("PASS", "hunter2")]);
        let whole = Log::new();
        whole.writer().write(b"before\n").await;
        let mut output = Output::new(whole.writer(), &masks, 7, 1000);
        feed(&mut output);
        output.write().await;
        let expected = "before\n[pipeyard] one\nno newline, ***PASS***!\n[pipeyard] two\ntail\n";
        assert_eq!(whole.text(), expected);
        for had in 7..=expected.len() {
            let log = Log::new();
            log.writer().write(&expected.as_bytes()[..had]).await;
            let mut output = Output::new(log.writer(), &masks, 7, 1000);
            assert_eq!(output.offset(), 7);
            feed(&mut output);
            assert_eq!(output.offset(), expected.len() as u64, "interrupted at {had}");
            output.write().await;
            assert_eq!(log.text(), expected, "interrupted at {had}");
        }
    }

    #[tokio::test]
    async fn a_full_log_says_so_once_and_still_takes_the_agents_lines() {
        let masks = Masks::new([]);
        let log = Log::new();
        let mut output = Output::new(log.writer(), &masks, 0, 5);
        for _ in 0..3 {
            output.text(b"1234");
        }
        output.say("done");
        output.write().await;
        let expected = "12341\n[pipeyard] the log is full: the rest of the commands' output is \
                        left out\n[pipeyard] done\n";
        assert_eq!(log.text(), expected);
    }
}
