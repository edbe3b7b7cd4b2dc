//! Unpacks archives from outside. They are hostile until shown otherwise: nothing is ever written
//! outside the target, through a link, over something else, or beyond the limits.
//!
//! The target must be fresh, and is removed again when the archive is refused: an archive is
//! unpacked as a whole or not at all.

mod sink;
mod tar_reader;
mod zip_reader;

use sink::Sink;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Tar,
    TarGz,
    TarZst,
    Zip,
}

/// Left free on the disk: no archive may take the last of it from the host.
const SPACE_LEFT: u64 = 64 << 20;

/// What an archive may hold.
#[derive(Debug, Clone)]
pub struct Rules {
    pub links: Links,
    pub modes: Modes,
    /// Sum of all files.
    pub bytes_max: u64,
    /// How many times the archive's own size the sum may be, once it is more than `bytes_free`.
    pub ratio_max: u64,
    pub bytes_free: u64,
    pub entries_max: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Relative ones that stay in the target.
    Within,
    /// Any, as data: for a container's workspace, where only the container follows them.
    Any,
}

/// What becomes of the archive's permissions. Special bits are always dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modes {
    /// As the archive has them.
    Kept,
    /// Every directory can be entered by all, and nothing be written by others than its owner:
    /// for scripts that run as other users than the one who may change them.
    Sheltered,
}

impl Modes {
    pub(self) fn of_file(self, mode: u32) -> u32 {
        match self {
            Modes::Kept => (mode & 0o777) | 0o600,
            Modes::Sheltered => (mode & 0o755) | 0o600,
        }
    }

    pub(self) fn of_directory(self, mode: u32) -> u32 {
        match self {
            Modes::Kept => (mode & 0o777) | 0o700,
            Modes::Sheltered => 0o755,
        }
    }
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            links: Links::Within,
            modes: Modes::Kept,
            bytes_max: 32 << 30,
            // Text comes to 20 or 50; only what was made for it comes to thousands.
            ratio_max: 200,
            bytes_free: 1 << 30,
            entries_max: 2_000_000,
        }
    }
}

/// What was unpacked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unpacked {
    pub files: u64,
    pub bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The archive is malformed or does what no archive may do.
    #[error("'{name}' in the archive {why}")]
    Refused { name: String, why: String },
    #[error("the archive is damaged: {0}")]
    Damaged(String),
    #[error("unpacking to {path}: {source}")]
    Disk { path: String, source: io::Error },
}

impl ArchiveError {
    fn refused(name: &[u8], why: impl Into<String>) -> ArchiveError {
        // Nor may a name write lines of its own into a log.
        let name = String::from_utf8_lossy(&name[..name.len().min(200)]);
        ArchiveError::Refused { name: name.escape_debug().to_string(), why: why.into() }
    }

    fn damaged(error: impl std::fmt::Display) -> ArchiveError {
        ArchiveError::Damaged(error.to_string())
    }

    /// Whether the disk was full: the archive is not to blame.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            ArchiveError::Disk { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            ArchiveError::Refused { .. } | ArchiveError::Damaged(_) => false,
        }
    }
}

/// Unpacks `archive` into `target`, which must be empty or not there. Blocks.
///
/// # Errors
/// When the archive is refused or the disk fails; `target` is then gone.
pub fn unpack(
    archive: &Path,
    format: Format,
    target: &Path,
    rules: &Rules,
) -> Result<Unpacked, ArchiveError> {
    let disk = |source| ArchiveError::Disk { path: archive.display().to_string(), source };
    let file = File::open(archive).map_err(disk)?;
    let packed = file.metadata().map_err(disk)?.len();
    let file = BufReader::with_capacity(1 << 17, file);
    let mut sink = Sink::new(target, rules)?;
    let by_ratio = packed.saturating_mul(rules.ratio_max).max(rules.bytes_free);
    sink.bytes_max = rules.bytes_max.min(by_ratio);
    let space = crate::context::free_bytes(target).map_err(disk)?;
    sink.space = space.saturating_sub(SPACE_LEFT);
    let result = match format {
        Format::Tar => tar_reader::read(file, &mut sink),
        Format::TarGz => tar_reader::read(flate2::bufread::MultiGzDecoder::new(file), &mut sink),
        Format::TarZst => zstd::Decoder::with_buffer(file)
            .map_err(ArchiveError::damaged)
            .and_then(|decoder| tar_reader::read(decoder, &mut sink)),
        Format::Zip => zip_reader::read(file, &mut sink),
    };
    match result {
        Ok(()) => Ok(sink.done()),
        Err(error) => {
            // Best effort: the error that counts is the first one.
            let _ = std::fs::remove_dir_all(target);
            Err(error)
        }
    }
}

#[cfg(test)]
#[path = "hostile_tests.rs"]
mod hostile_tests;
#[cfg(test)]
#[path = "tests.rs"]
mod tests;
