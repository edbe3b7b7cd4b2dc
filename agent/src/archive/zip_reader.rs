//! Zip, read by its central directory.

use super::ArchiveError;
use super::sink::Sink;
use std::io::{Read, Seek};
use zip::ZipArchive;

const KIND: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
const FILE: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
/// Longest target of a link.
const LINK_LEN_MAX: u64 = 4096;

pub fn read(source: impl Read + Seek, sink: &mut Sink<'_>) -> Result<(), ArchiveError> {
    let mut archive = ZipArchive::new(source).map_err(ArchiveError::damaged)?;
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
