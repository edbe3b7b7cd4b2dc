//! What a release held when it was unpacked, written down beside it: hooks run in it, so by the
//! time it is wanted again it may have become something else.

use crate::context::measure;
use crate::durable::{read_json, write_json};
use pipelines::ids::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// `releases/GROUP/.DIGEST.files`: everything below the release, by [`key`].
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Inventory(BTreeMap<String, Entry>);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Entry {
    Directory { mode: u32 },
    File { mode: u32, size: u64, sha256: Digest },
    Link { to: String },
}

/// What looking at a kept release found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// As it was unpacked; so many things that were left in it have been removed.
    Whole { removed: usize },
    /// It cannot be used. Why, for people.
    Damaged(String),
}

/// Where the inventory of a release is.
#[must_use]
pub fn path_of(release: &Path) -> PathBuf {
    let name = release.file_name().unwrap_or_default().to_string_lossy();
    release.with_file_name(format!(".{name}.files"))
}

/// The release that a file in the directory of releases is the inventory of.
#[must_use]
pub fn release_of(name: &str) -> Option<&str> {
    name.strip_prefix('.')?.strip_suffix(".files")
}

/// Writes down what is below `top`, which is going to be `release`. Blocks.
///
/// # Errors
/// When it cannot be read, or may not be on disk.
pub fn take(top: &Path, release: &Path) -> io::Result<()> {
    let mut entries = BTreeMap::new();
    for found in WalkDir::new(top).min_depth(1) {
        let found = found?;
        if let Some(entry) = Entry::of(found.path())? {
            entries.insert(key(found.path().strip_prefix(top).unwrap_or(top)), entry);
        }
    }
    write_json(&path_of(release), &Inventory(entries))
}

/// Compares a release with its inventory, and removes from it what is not of it. Blocks.
///
/// # Errors
/// When it cannot be read, or something cannot be removed.
pub fn verify(release: &Path) -> io::Result<Found> {
    compare(release, true)
}

/// The same without removing anything; `whole`: with every file, else only whether it is there and
/// still ours alone. Blocks.
///
/// # Errors
/// When it cannot be read.
pub fn look(release: &Path, whole: bool) -> io::Result<Found> {
    if whole {
        return compare(release, false);
    }
    Ok(match is_sheltered(release)? {
        true => Found::Whole { removed: 0 },
        false => Found::Damaged(EXPOSED.to_owned()),
    })
}

const EXPOSED: &str = "others can write to it";

fn is_sheltered(release: &Path) -> io::Result<bool> {
    let top = release.symlink_metadata()?;
    Ok(top.is_dir() && is_ours(&top) && top.permissions().mode() & 0o022 == 0)
}

fn compare(release: &Path, clean: bool) -> io::Result<Found> {
    let damaged = |why: String| Ok(Found::Damaged(why));
    let noted = match read_json::<Inventory>(&path_of(release)) {
        Ok(Some(Inventory(noted))) => noted,
        Ok(None) => return damaged("nobody noted what it held".into()),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => return damaged(e.to_string()),
        Err(e) => return Err(e),
    };
    if !is_sheltered(release)? {
        return damaged(EXPOSED.into());
    }
    let (mut missing, mut removed) = (noted.len(), 0);
    let mut walk = WalkDir::new(release).min_depth(1).into_iter();
    while let Some(found) = walk.next() {
        let found = found?;
        let relative = found.path().strip_prefix(release).unwrap_or(release);
        let Some(noted) = noted.get(&key(relative)) else {
            removed += usize::from(clean);
            match found.file_type().is_dir() {
                true if clean => std::fs::remove_dir_all(found.path())?,
                false if clean => std::fs::remove_file(found.path())?,
                true | false => {}
            }
            if found.file_type().is_dir() {
                walk.skip_current_dir();
            }
            continue;
        };
        let meta = found.path().symlink_metadata()?;
        if !is_ours(&meta) || !noted.is_still(found.path(), &meta)? {
            return damaged(format!("'{}' has been changed", relative.display()));
        }
        missing -= 1;
    }
    match missing {
        0 => Ok(Found::Whole { removed }),
        n => damaged(format!("{n} of its files are gone")),
    }
}

/// Whoever owns a file may change it again once it has been looked at.
fn is_ours(meta: &Metadata) -> bool {
    meta.uid() == nix::unistd::Uid::effective().as_raw()
}

fn mode_of(meta: &Metadata) -> u32 {
    meta.permissions().mode() & 0o7777
}

/// A path as JSON can hold it; one that is no text as hexadecimal behind what no path has.
pub fn key(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let hidden = || format!("\0{}", hex::encode(bytes));
    str::from_utf8(bytes).map_or_else(|_| hidden(), str::to_owned)
}

impl Entry {
    /// None for what no archive is unpacked to.
    fn of(path: &Path) -> io::Result<Option<Entry>> {
        let meta = path.symlink_metadata()?;
        let mode = mode_of(&meta);
        Ok(if meta.is_dir() {
            Some(Entry::Directory { mode })
        } else if meta.is_symlink() {
            Some(Entry::Link { to: key(&std::fs::read_link(path)?) })
        } else if meta.is_file() {
            let measured = measure(path)?;
            Some(Entry::File { mode, size: measured.size, sha256: measured.digest })
        } else {
            None
        })
    }

    fn is_still(&self, path: &Path, meta: &Metadata) -> io::Result<bool> {
        let now = mode_of(meta);
        Ok(match self {
            Entry::Directory { mode } => meta.is_dir() && now == *mode,
            Entry::Link { to } => meta.is_symlink() && key(&std::fs::read_link(path)?) == *to,
            Entry::File { mode, size, sha256 } => {
                // A hook that is not executable is made so before it runs.
                let same_mode = now == *mode || now == *mode | 0o755;
                meta.is_file()
                    && same_mode
                    && meta.len() == *size
                    && measure(path)?.digest == *sha256
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::fs::symlink;

    fn release(dir: &Path) -> PathBuf {
        let release = dir.join("abc");
        std::fs::create_dir_all(release.join("sub")).unwrap();
        std::fs::write(release.join("sub/file"), "content").unwrap();
        std::fs::write(release.join(OsStr::from_bytes(b"\xff")), "x").unwrap();
        symlink("sub/file", release.join("link")).unwrap();
        take(&release, &release).unwrap();
        release
    }

    #[test]
    fn what_was_left_in_a_release_goes_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let release = release(dir.path());
        assert_eq!(verify(&release).unwrap(), Found::Whole { removed: 0 });
        std::fs::create_dir_all(release.join("sub/cache/deep")).unwrap();
        std::fs::write(release.join("sub/cache/deep/x"), "").unwrap();
        symlink("/etc", release.join("out")).unwrap();
        assert_eq!(verify(&release).unwrap(), Found::Whole { removed: 2 });
        assert!(!release.join("sub/cache").exists() && Path::new("/etc").is_dir());
        assert_eq!(verify(&release).unwrap(), Found::Whole { removed: 0 });
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(release.join("sub/file"), executable).unwrap();
        assert_eq!(verify(&release).unwrap(), Found::Whole { removed: 0 });
    }

    #[test]
    fn every_change_of_what_was_unpacked_is_found() {
        let changes: [fn(&Path); 7] = [
            |at| std::fs::write(at.join("sub/file"), "CONTENT").unwrap(),
            |at| std::fs::remove_file(at.join("sub/file")).unwrap(),
            |at| std::fs::remove_dir_all(at.join("sub")).unwrap(),
            |at| {
                std::fs::remove_file(at.join("link")).unwrap();
                symlink("/etc/passwd", at.join("link")).unwrap();
            },
            |at| std::fs::set_permissions(at.join("sub"), mode(0o777)).unwrap(),
            |at| std::fs::set_permissions(at, mode(0o777)).unwrap(),
            |at| std::fs::remove_file(path_of(at)).unwrap(),
        ];
        for (n, change) in changes.iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            let release = release(dir.path());
            change(&release);
            let found = verify(&release).unwrap();
            assert!(matches!(found, Found::Damaged(_)), "{n}: {found:?}");
        }
    }

    fn mode(mode: u32) -> std::fs::Permissions {
        std::fs::Permissions::from_mode(mode)
    }
}
