//! By what an installed file is known again: written down while it is installed, so that one that was
//! changed later is found.
//!
//! Size and time of the last change come first; only where the time alone differs is a file read.
//! Owners and modes are not compared: start scripts change them, and nothing would be told by it.

use super::group::{Kind, Manifest};
use super::inventory::key;
use super::spot;
use crate::context::Cancel;
use pipelines::ids::Digest;
use pipelines::protocol::answer::Change;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What was installed, by path.
pub type Marks = BTreeMap<PathBuf, Mark>;

/// One file or link as it was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    File { size: u64, seconds: i64, nanos: i64, sha256: Digest },
    Link { to: String },
}

impl Mark {
    pub fn of_link(to: &Path) -> Mark {
        Mark::Link { to: key(to) }
    }

    pub fn of_file(meta: &Metadata, sha256: Digest) -> Mark {
        Mark::File { size: meta.len(), seconds: meta.mtime(), nanos: meta.mtime_nsec(), sha256 }
    }

    fn still(&self, path: &Path, meta: &Metadata) -> io::Result<bool> {
        match self {
            Mark::Link { to } => Ok(key(&std::fs::read_link(path)?) == *to),
            Mark::File { size, .. } if *size != meta.len() => Ok(false),
            Mark::File { seconds, nanos, sha256, .. } => {
                let untouched = (*seconds, *nanos) == (meta.mtime(), meta.mtime_nsec());
                Ok(untouched || digest_of(path)? == *sha256)
            }
        }
    }
}

/// Copies and measures at once.
///
/// # Errors
/// When reading or writing fails.
pub fn copy(source: &mut impl Read, to: &mut impl io::Write) -> io::Result<Digest> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = match source.read(&mut buffer) {
            Ok(0) => break,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        hash.update(&buffer[..n]);
        to.write_all(&buffer[..n])?;
    }
    hex::encode(hash.finalize()).parse().map_err(io::Error::other)
}

fn digest_of(path: &Path) -> io::Result<Digest> {
    copy(&mut spot::open(path)?, &mut io::sink())
}

/// Compares what is on the host with what was installed. Blocks.
///
/// # Errors
/// When something cannot be looked at, or `cancel` says to stop.
pub fn drift(
    manifest: &Manifest,
    marks: &Marks,
    cancel: &Cancel,
) -> io::Result<Vec<(PathBuf, Change)>> {
    let mut drift = Vec::new();
    for (path, kind) in &manifest.entries {
        if cancel.is_cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        drift.extend(changed(path, *kind, marks.get(path))?.map(|change| (path.clone(), change)));
    }
    Ok(drift)
}

fn changed(path: &Path, kind: Kind, mark: Option<&Mark>) -> io::Result<Option<Change>> {
    let gone =
        |e: &io::Error| matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    let still = path.symlink_metadata().and_then(|meta| {
        let same_kind = Kind::of(&meta) == Some(kind);
        Ok(same_kind && mark.map_or(Ok(true), |mark| mark.still(path, &meta))?)
    });
    match still {
        Ok(true) => Ok(None),
        Ok(false) => Ok(Some(Change::Altered)),
        Err(e) if gone(&e) => Ok(Some(Change::Removed)),
        Err(e) => Err(io::Error::new(e.kind(), format!("{}: {e}", path.display()))),
    }
}
