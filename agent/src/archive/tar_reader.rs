//! Tar, in its ustar, PAX and GNU forms.

use super::ArchiveError;
use super::sink::Sink;
use std::io::Read;
use tar::{Archive, EntryType};

pub fn read(source: impl Read, sink: &mut Sink<'_>) -> Result<(), ArchiveError> {
    let mut archive = Archive::new(source);
    for entry in archive.entries().map_err(ArchiveError::damaged)? {
        let mut entry = entry.map_err(ArchiveError::damaged)?;
        let name = entry.path_bytes().into_owned();
        let header = entry.header();
        let mode = header.mode().map_err(ArchiveError::damaged)?;
        let mtime = header.mtime().ok();
        let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                // What old programs called a file with a slash at the end.
                if name.ends_with(b"/") {
                    sink.directory(&name, mode)?;
                    continue;
                }
                let size = entry.size();
                let mut counted = Counted { inner: &mut entry, bytes: 0 };
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
    }
    Ok(())
}

struct Counted<'e, R> {
    inner: &'e mut R,
    bytes: u64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}
