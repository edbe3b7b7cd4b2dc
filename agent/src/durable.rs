//! Files that survive a crash: whole files replaced atomically, and append-only JSON lines.
//!
//! Everything here blocks. A file is either what was last written in full or what was there before,
//! and a journal line is either complete or, when the machine died while writing it, not there.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Makes the names inside a directory durable.
///
/// # Errors
/// When the directory cannot be opened or synced.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes the name of `path` durable.
///
/// # Errors
/// When its directory cannot be synced.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_dir)
}

/// Files up to which each is synced by itself. More are left to the file system in one go: it then
/// also writes what others have in memory, but one flush is much faster than one per file.
const SYNC_EACH_MAX: usize = 4;

/// Makes the content of files durable. Links among them are left out.
///
/// # Errors
/// When one cannot be opened or synced.
pub fn sync_files<'a>(files: impl Iterator<Item = &'a Path>) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let files: Vec<&Path> = files.collect();
    let mut devices = Vec::new();
    for path in &files {
        let meta = path.symlink_metadata()?;
        if !meta.is_file() {
            continue;
        }
        if files.len() <= SYNC_EACH_MAX {
            open_itself(path)?.sync_all()?;
        } else if !devices.contains(&meta.dev()) {
            nix::unistd::syncfs(open_itself(path)?)?;
            devices.push(meta.dev());
        }
    }
    Ok(())
}

/// Whatever is there by now: no link is followed, no pipe waited for.
fn open_itself(path: &Path) -> io::Result<File> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Replaces a file as a whole, readable by its owner alone.
///
/// # Errors
/// When writing, syncing or renaming fails; the old content is then still in place.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    sync_parent(path)
}

/// [`write_atomic`] of a value as JSON.
///
/// # Errors
/// See [`write_atomic`].
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    write_atomic(path, &serde_json::to_vec_pretty(value)?)
}

/// Reads a JSON file; None when it does not exist.
///
/// # Errors
/// When it cannot be read, or is not what was expected.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {e}", show(path)))
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Removes a file; one that is not there is fine.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        // Something above it is a file.
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => Ok(()),
        removed => absent_is_fine(removed),
    }
}

/// Removes a directory with all in it; one that is not there is fine.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    absent_is_fine(std::fs::remove_dir_all(path))
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn show(path: &Path) -> std::path::Display<'_> {
    path.display()
}

/// One JSON value per line; a line counts once it is on the disk.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: File,
}

impl JsonLines {
    /// Opens or makes the file, and cuts off a last line that was not finished.
    ///
    /// # Errors
    /// When the file cannot be opened or repaired.
    pub fn open(path: &Path) -> io::Result<JsonLines> {
        let existed = path.exists();
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        if whole < bytes.len() {
            file.set_len(whole as u64)?;
            file.sync_all()?;
        }
        if !existed {
            sync_parent(path)?;
        }
        Ok(JsonLines { path: path.to_owned(), file })
    }

    /// Appends one entry and waits for the disk.
    ///
    /// # Errors
    /// When the entry may not be on the disk; the effect it announces must not be started.
    pub fn append<T: Serialize + ?Sized>(&mut self, entry: &T) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let before = self.file.seek(SeekFrom::End(0))?;
        if let Err(e) = self.file.write_all(&line) {
            // Half a line in the middle of the file would make all later ones unreadable.
            self.file.set_len(before)?;
            return Err(e);
        }
        self.file.sync_data()
    }

    /// All entries, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read or a complete line is not an entry.
    pub fn read<T: DeserializeOwned>(&self) -> io::Result<Vec<T>> {
        let text = std::fs::read_to_string(&self.path)?;
        let whole = text.rfind('\n').map_or("", |at| &text[..at]);
        let bad = |line: &str, e: serde_json::Error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {line}: {e}", show(&self.path)))
        };
        whole.lines().map(|line| serde_json::from_str(line).map_err(|e| bad(line, e))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_ignored_and_later_lines_stay_readable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut lines = JsonLines::open(&path).unwrap();
        lines.append(&1).unwrap();
        lines.append(&2).unwrap();
        drop(lines);
        let mut torn = OpenOptions::new().append(true).open(&path).unwrap();
        torn.write_all(b"{\"half").unwrap();
        assert_eq!(JsonLines::open(&path).unwrap().read::<i32>().unwrap(), [1, 2]);

        let mut lines = JsonLines::open(&path).unwrap();
        lines.append(&3).unwrap();
        assert_eq!(lines.read::<i32>().unwrap(), [1, 2, 3]);
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        assert_eq!(read_json::<Vec<u8>>(&path).unwrap(), None);
        write_json(&path, &vec![1, 2, 3]).unwrap();
        write_json(&path, &vec![4]).unwrap();
        assert_eq!(read_json::<Vec<u8>>(&path).unwrap(), Some(vec![4]));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        std::fs::write(&path, "nonsense").unwrap();
        assert!(read_json::<Vec<u8>>(&path).is_err());
    }
}
