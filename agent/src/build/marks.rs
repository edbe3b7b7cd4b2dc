//! Takes the driver's marks out of a container's output.
//!
//! A mark is a line `\x1e<nonce> …\n` and may begin anywhere, because a command's last line need not
//! end. It always ends in a newline: the engine's log keeps an unfinished line to itself. Whatever a
//! build prints that only looks like a mark passes as text; one that was forged (a build can read
//! its own nonce) can lie about nothing but that build.

use super::plan::Part;

/// Something the driver said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// The build cannot begin.
    Refused(String),
    PhaseStart {
        phase: usize,
        attempt: u32,
    },
    CommandStart {
        phase: usize,
        part: Part,
        item: usize,
    },
    CommandEnd {
        status: i32,
        out_of_memory: bool,
    },
    PhaseEnd {
        phase: usize,
        end: PhaseEnd,
    },
    /// Shall this phase be tried again?
    Question {
        phase: usize,
        attempt: u32,
    },
    Finished {
        succeeded: bool,
        upload: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhaseEnd {
    Succeeded,
    Failed,
    Retry,
}

/// A piece of output: text of the build's, or a mark.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'b> {
    Text(&'b [u8]),
    Mark(Mark),
}

/// Longer lines are not marks.
const MARK_LEN_MAX: usize = 1024;

/// Splits a stream into pieces. Only bytes that may belong to a mark are held back.
pub struct Scanner {
    needle: Vec<u8>,
    held: Vec<u8>,
}

impl Scanner {
    #[must_use]
    pub fn new(nonce: &str) -> Scanner {
        Scanner { needle: format!("\x1e{nonce} ").into_bytes(), held: Vec::new() }
    }

    pub fn push(&mut self, chunk: &[u8], mut each: impl FnMut(Piece<'_>)) {
        if self.held.is_empty() {
            let used = self.scan(chunk, &mut each);
            self.held.extend_from_slice(&chunk[used..]);
        } else {
            let mut bytes = std::mem::take(&mut self.held);
            bytes.extend_from_slice(chunk);
            let used = self.scan(&bytes, &mut each);
            bytes.drain(..used);
            self.held = bytes;
        }
    }

    /// The output has ended: what looked like the beginning of a mark was none.
    pub fn finish(&mut self, mut each: impl FnMut(Piece<'_>)) {
        if !self.held.is_empty() {
            each(Piece::Text(&self.held));
            self.held.clear();
        }
    }

    /// Returns how many bytes are done with.
    fn scan(&self, bytes: &[u8], each: &mut impl FnMut(Piece<'_>)) -> usize {
        let mut text_from = 0;
        let mut at = 0;
        while let Some(found) = bytes[at..].iter().position(|&b| b == self.needle[0]) {
            let start = at + found;
            let tail = &bytes[start..];
            if !tail.starts_with(&self.needle) {
                if self.needle.starts_with(tail) {
                    return self.emit_text(&bytes[text_from..start], start, each);
                }
                at = start + 1;
                continue;
            }
            let limit = tail.len().min(MARK_LEN_MAX);
            let Some(end) = tail[..limit].iter().position(|&b| b == b'\n') else {
                if tail.len() < MARK_LEN_MAX {
                    return self.emit_text(&bytes[text_from..start], start, each);
                }
                at = start + 1;
                continue;
            };
            let Some(mark) = parse(&tail[self.needle.len()..end]) else {
                at = start + 1;
                continue;
            };
            self.emit_text(&bytes[text_from..start], start, each);
            each(Piece::Mark(mark));
            at = start + end + 1;
            text_from = at;
        }
        self.emit_text(&bytes[text_from..], bytes.len(), each)
    }

    fn emit_text(&self, text: &[u8], used: usize, each: &mut impl FnMut(Piece<'_>)) -> usize {
        if !text.is_empty() {
            each(Piece::Text(text));
        }
        used
    }
}

fn parse(line: &[u8]) -> Option<Mark> {
    let line = std::str::from_utf8(line).ok()?;
    let (kind, rest) = line.split_once(' ')?;
    let words: Vec<&str> = rest.split(' ').collect();
    let flag = |word: &str| match word {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    };
    Some(match (kind, &words[..]) {
        ("F", _) => Mark::Refused(rest.to_owned()),
        ("P", [phase, attempt]) => {
            Mark::PhaseStart { phase: phase.parse().ok()?, attempt: attempt.parse().ok()? }
        }
        ("C", [phase, part, item]) => {
            let part = match *part {
                "commands" => Part::Commands,
                "finally" => Part::Finally,
                _ => return None,
            };
            Mark::CommandStart { phase: phase.parse().ok()?, part, item: item.parse().ok()? }
        }
        ("E", [status, kills]) => {
            Mark::CommandEnd { status: status.parse().ok()?, out_of_memory: *kills != "0" }
        }
        ("D", [phase, end]) => {
            let end = match *end {
                "0" => PhaseEnd::Succeeded,
                "1" => PhaseEnd::Failed,
                "retry" => PhaseEnd::Retry,
                _ => return None,
            };
            Mark::PhaseEnd { phase: phase.parse().ok()?, end }
        }
        ("Q", [phase, attempt]) => {
            Mark::Question { phase: phase.parse().ok()?, attempt: attempt.parse().ok()? }
        }
        ("Z", [ok, upload]) => Mark::Finished { succeeded: flag(ok)?, upload: flag(upload)? },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(chunks: &[&[u8]]) -> (Vec<u8>, Vec<Mark>) {
        let mut scanner = Scanner::new("n0nce");
        let (mut text, mut marks) = (Vec::new(), Vec::new());
        let mut each = |piece: Piece<'_>| match piece {
            Piece::Text(bytes) => text.extend_from_slice(bytes),
            Piece::Mark(mark) => marks.push(mark),
        };
        for chunk in chunks {
            scanner.push(chunk, &mut each);
        }
        scanner.finish(&mut each);
        (text, marks)
    }

    #[test]
    fn marks_are_taken_out_wherever_chunks_are_cut() {
        let stream = b"no newline\x1en0nce P 2 0\n\x1en0nce C 2 finally 7\nout\x1e\x00\xff\n\
                       \x1en0nce E 137 1\n\x1en0nce D 2 retry\n\x1en0nce Z 0 1\nlate";
        let expected = vec![
            Mark::PhaseStart { phase: 2, attempt: 0 },
            Mark::CommandStart { phase: 2, part: Part::Finally, item: 7 },
            Mark::CommandEnd { status: 137, out_of_memory: true },
            Mark::PhaseEnd { phase: 2, end: PhaseEnd::Retry },
            Mark::Finished { succeeded: false, upload: true },
        ];
        for width in 1..=stream.len() {
            let (text, marks) = pieces(&stream.chunks(width).collect::<Vec<_>>());
            assert_eq!(text, b"no newlineout\x1e\x00\xff\nlate", "chunks of {width}");
            assert_eq!(marks, expected, "chunks of {width}");
        }
    }

    #[test]
    fn what_only_looks_like_a_mark_stays_in_the_log() {
        let long = format!("\x1en0nce F {}\n", "x".repeat(2000));
        for text in
            ["\x1eother P 0 0\n", "\x1en0nce X 1\n", "\x1en0nce E x 0\n", "\x1en0nce P 1 0", &long]
        {
            for width in [1, 7, 4096] {
                let chunks: Vec<_> = text.as_bytes().chunks(width).collect();
                assert_eq!(pieces(&chunks), (text.as_bytes().to_vec(), vec![]), "{text:?}");
            }
        }
    }

    #[test]
    fn text_is_not_held_back() {
        let mut scanner = Scanner::new("n0nce");
        let mut seen = Vec::new();
        scanner.push(b"prompt> \x1e", |piece| {
            if let Piece::Text(bytes) = piece {
                seen.extend_from_slice(bytes);
            }
        });
        assert_eq!(seen, b"prompt> ");
    }
}
