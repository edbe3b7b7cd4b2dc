//! Tar, in its ustar, PAX and GNU forms.

use super::ArchiveError;
use super::sink::Sink;
use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;
use tar::{Archive, EntryType};

/// Bytes between two files: headers, and long names and other metadata, which the tar crate takes
/// into memory whole, however many an archive has of them.
const BETWEEN_MAX: u64 = 256 << 10;

/// Bytes behind the end.
const PADDING_MAX: u64 = 16 << 20;

pub fn read(source: impl Read, sink: &mut Sink<'_>) -> Result<(), ArchiveError> {
    let room = Rc::new(Cell::new(BETWEEN_MAX));
    let wrong = |error: io::Error| match room.get() {
        0 => ArchiveError::refused(b"a header", "is longer than is allowed"),
        _ => ArchiveError::damaged(error),
    };
    let ended = Rc::new(Cell::new(false));
    let metered = Metered { inner: source, room: room.clone(), ended: ended.clone() };
    let mut archive = Archive::new(metered);
    let mut entries = archive.entries().map_err(wrong)?;
    loop {
        room.set(BETWEEN_MAX);
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(wrong)?;
        if is_file(entry.header().entry_type()) {
            room.set(u64::MAX);
        }
        take(&mut entry, sink)?;
        // What is left of it must not count as metadata of the next one.
        io::copy(&mut entry, &mut io::sink()).map_err(wrong)?;
    }
    // An archive that was cut off between two files looks whole but for the mark at its end.
    if ended.get() {
        return Err(ArchiveError::damaged("it ends before its end"));
    }
    // Behind the mark comes padding, and then the checksum of whatever it is compressed with.
    room.set(PADDING_MAX);
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(wrong)?;
    Ok(())
}

fn is_file(kind: EntryType) -> bool {
    matches!(kind, EntryType::Regular | EntryType::Continuous)
}

fn take(entry: &mut tar::Entry<'_, impl Read>, sink: &mut Sink<'_>) -> Result<(), ArchiveError> {
    let name = entry.path_bytes().into_owned();
    let header = entry.header();
    let mode = header.mode().map_err(ArchiveError::damaged)?;
    let mtime = header.mtime().ok();
    let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
    match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous => {
            // What old programs called a file with a slash at the end.
            if name.ends_with(b"/") {
                return sink.directory(&name, mode);
            }
            let size = entry.size();
            let mut counted = Counted { inner: entry, bytes: 0 };
            sink.file(&name, mode, mtime, &mut counted)?;
            if counted.bytes != size {
                return Err(ArchiveError::refused(&name, "is cut off"));
            }
        }
        EntryType::Directory => sink.directory(&name, mode)?,
        EntryType::Symlink => sink.link(&name, &target.unwrap_or_default())?,
        EntryType::Link => sink.hard_link(&name, &target.unwrap_or_default())?,
        // `git archive` begins with one: it says the commit.
        EntryType::XGlobalHeader => {}
        EntryType::Char | EntryType::Block => {
            return Err(ArchiveError::refused(&name, "is a device"));
        }
        EntryType::Fifo => return Err(ArchiveError::refused(&name, "is a pipe")),
        _ => return Err(ArchiveError::refused(&name, "is of a kind that is not unpacked")),
    }
    Ok(())
}

/// Gives no more than there is room for.
struct Metered<R> {
    inner: R,
    room: Rc<Cell<u64>>,
    /// Whether the source had no more bytes.
    ended: Rc<Cell<bool>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.room.get();
        if room == 0 {
            return Err(io::Error::other("too many bytes"));
        }
        let wanted = buffer.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let read = self.inner.read(&mut buffer[..wanted])?;
        self.ended.set(self.ended.get() || read == 0);
        self.room.set(room - read as u64);
        Ok(read)
    }
}

struct Counted<'e, R> {
    inner: &'e mut R,
    bytes: u64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}
