//! Zip, read by its central directory.

use super::ArchiveError;
use super::sink::Sink;
use std::io::{self, Read, Seek, SeekFrom};
use zip::ZipArchive;

const KIND: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
const FILE: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
/// Longest target of a link.
const LINK_LEN_MAX: u64 = 4096;

pub fn read(source: impl Read + Seek, sink: &mut Sink<'_>) -> Result<(), ArchiveError> {
    let mut source = source;
    let announced = announced(&mut source).map_err(ArchiveError::damaged)?;
    let mut archive = ZipArchive::new(source).map_err(ArchiveError::damaged)?;
    // Of entries with one name only the last would come out, and another program might take the first.
    if announced.is_some_and(|number| number > archive.len()) {
        return Err(ArchiveError::refused(b"a name", "is there twice"));
    }
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(ArchiveError::damaged)?;
        let name = entry.name_raw().to_vec();
        // Archives from Windows carry no mode.
        let mode = entry.unix_mode();
        let permissions = mode.map(|mode| mode & 0o777).filter(|bits| *bits != 0);
        let kind = mode.map_or(0, |mode| mode & KIND);
        if entry.is_dir() {
            sink.directory(&name, permissions.unwrap_or(0o755))?;
            continue;
        }
        match kind {
            0 | FILE => sink.file(&name, permissions.unwrap_or(0o644), None, &mut entry)?,
            DIRECTORY => sink.directory(&name, permissions.unwrap_or(0o755))?,
            LINK => {
                let mut target = Vec::new();
                entry
                    .by_ref()
                    .take(LINK_LEN_MAX)
                    .read_to_end(&mut target)
                    .map_err(ArchiveError::damaged)?;
                sink.link(&name, &target)?;
            }
            _ => return Err(ArchiveError::refused(&name, "is a device or a pipe")),
        }
    }
    Ok(())
}

/// How many entries the archive says it has; None where the number does not fit its field.
fn announced(source: &mut (impl Read + Seek)) -> io::Result<Option<usize>> {
    /// Of the record at the end, with the longest comment there can be.
    const LAST_MAX: u64 = 22 + 0xffff;
    let size = source.seek(SeekFrom::End(0))?;
    source.seek(SeekFrom::Start(size.saturating_sub(LAST_MAX)))?;
    let mut last = Vec::new();
    source.take(LAST_MAX).read_to_end(&mut last)?;
    source.rewind()?;
    let at = last.windows(4).rposition(|bytes| bytes == b"PK\x05\x06");
    let number =
        at.and_then(|at| last.get(at + 10..at + 12)).map(|b| u16::from_le_bytes([b[0], b[1]]));
    Ok(number.filter(|number| *number != u16::MAX).map(usize::from))
}
