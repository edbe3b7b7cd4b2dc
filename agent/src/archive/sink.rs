//! The directory an archive is unpacked to. Knows every directory it made itself, and writes below
//! no other.

use super::{ArchiveError, Links, Modes, Rules, Unpacked};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

pub struct Sink<'r> {
    target: PathBuf,
    rules: &'r Rules,
    /// Bytes that may be written before the disk counts as full.
    pub space: u64,
    /// Bytes that the archive may come to.
    pub bytes_max: u64,
    /// Relative to the target.
    directories: HashSet<PathBuf>,
    files: HashSet<PathBuf>,
    entries: u64,
    done: Unpacked,
}

impl<'r> Sink<'r> {
    pub fn new(target: &Path, rules: &'r Rules) -> Result<Sink<'r>, ArchiveError> {
        let disk = |source| ArchiveError::Disk { path: target.display().to_string(), source };
        std::fs::create_dir_all(target).map_err(disk)?;
        if std::fs::read_dir(target).map_err(disk)?.next().is_some() {
            return Err(disk(io::ErrorKind::DirectoryNotEmpty.into()));
        }
        let sink = Sink {
            target: target.to_owned(),
            rules,
            space: u64::MAX,
            bytes_max: rules.bytes_max,
            directories: HashSet::from([PathBuf::new()]),
            files: HashSet::new(),
            entries: 0,
            done: Unpacked::default(),
        };
        sink.shelter(Path::new(""))?;
        Ok(sink)
    }

    pub fn done(self) -> Unpacked {
        self.done
    }

    pub fn directory(&mut self, name: &[u8], mode: u32) -> Result<(), ArchiveError> {
        let path = self.admit(name)?;
        if path.as_os_str().is_empty() {
            return Ok(());
        }
        self.parents(&path, name)?;
        self.make_directory(&path, name)?;
        let permissions = Permissions::from_mode(self.rules.modes.of_directory(mode));
        std::fs::set_permissions(self.target.join(&path), permissions)
            .map_err(|e| self.disk(&path, e))
    }

    /// `mtime` in seconds; build tools compare them.
    pub fn file(
        &mut self,
        name: &[u8],
        mode: u32,
        mtime: Option<u64>,
        content: &mut impl Read,
    ) -> Result<(), ArchiveError> {
        let path = self.admit_leaf(name)?;
        let room = self.bytes_max.min(self.space) - self.done.bytes;
        let mode = self.rules.modes.of_file(mode);
        let made = File::options()
            .write(true)
            .create_new(true)
            .mode(mode)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(self.target.join(&path));
        let mut file = match made {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(ArchiveError::refused(name, "is there twice"));
            }
            made => made.map_err(|e| self.disk(&path, e))?,
        };
        let mut content = Source { inner: content, failed: false };
        // One byte more than fits tells a file that is too long from one that just fits.
        let mut limited = (&mut content).take(room.saturating_add(1));
        let written = io::copy(&mut limited, &mut file);
        let written = match written {
            Err(e) if content.failed => return Err(ArchiveError::damaged(e)),
            written => written.map_err(|e| self.disk(&path, e))?,
        };
        if written > room && self.space < self.bytes_max {
            return Err(self.disk(&path, io::ErrorKind::StorageFull.into()));
        }
        if written > room {
            return Err(ArchiveError::refused(name, "makes more bytes than are allowed"));
        }
        if self.rules.modes == Modes::Sheltered {
            // Also when the agent was started with an umask that hides files from others.
            let permissions = Permissions::from_mode(mode);
            file.set_permissions(permissions).map_err(|e| self.disk(&path, e))?;
        }
        if let Some(seconds) = mtime {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(u32::MAX.into()));
            file.set_modified(time).map_err(|e| self.disk(&path, e))?;
        }
        self.done.bytes += written;
        self.done.files += 1;
        self.files.insert(path);
        Ok(())
    }

    pub fn link(&mut self, name: &[u8], to: &[u8]) -> Result<(), ArchiveError> {
        let path = self.admit_leaf(name)?;
        let to = Path::new(OsStr::from_bytes(to));
        match self.rules.links {
            Links::Any => {}
            Links::Within => {
                if !stays_within(path.parent().unwrap_or(Path::new("")), to) {
                    return Err(ArchiveError::refused(name, "is a link out of the archive"));
                }
            }
        }
        match symlink(to, self.target.join(&path)) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                Err(ArchiveError::refused(name, "is there twice"))
            }
            made => made.map_err(|e| self.disk(&path, e)),
        }
    }

    /// A second name of a file that came earlier.
    pub fn hard_link(&mut self, name: &[u8], to: &[u8]) -> Result<(), ArchiveError> {
        let path = self.admit_leaf(name)?;
        let first = clean(to).filter(|first| self.files.contains(first));
        let Some(first) = first else {
            return Err(ArchiveError::refused(name, "is a hard link to no file of the archive"));
        };
        std::fs::hard_link(self.target.join(first), self.target.join(&path))
            .map_err(|e| self.disk(&path, e))?;
        self.files.insert(path);
        Ok(())
    }

    fn admit(&mut self, name: &[u8]) -> Result<PathBuf, ArchiveError> {
        self.entries += 1;
        if self.entries > self.rules.entries_max {
            return Err(ArchiveError::refused(name, "is one entry more than is allowed"));
        }
        clean(name).ok_or_else(|| ArchiveError::refused(name, "is a path out of the archive"))
    }

    fn admit_leaf(&mut self, name: &[u8]) -> Result<PathBuf, ArchiveError> {
        let path = self.admit(name)?;
        if path.as_os_str().is_empty() {
            return Err(ArchiveError::refused(name, "has no name"));
        }
        self.parents(&path, name)?;
        Ok(path)
    }

    fn parents(&mut self, path: &Path, name: &[u8]) -> Result<(), ArchiveError> {
        let known = |above: &&Path| !self.directories.contains(*above);
        let missing: Vec<PathBuf> =
            path.ancestors().skip(1).take_while(known).map(Path::to_owned).collect();
        missing.iter().rev().try_for_each(|above| self.make_directory(above, name))
    }

    fn make_directory(&mut self, path: &Path, name: &[u8]) -> Result<(), ArchiveError> {
        if self.directories.contains(path) {
            return Ok(());
        }
        match std::fs::create_dir(self.target.join(path)) {
            // Not one of ours: a file, or a link that would lead elsewhere.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                Err(ArchiveError::refused(name, "lies below something that is no directory"))
            }
            made => {
                made.map_err(|e| self.disk(path, e))?;
                self.directories.insert(path.to_owned());
                self.shelter(path)
            }
        }
    }

    /// Directories the archive does not mention have the modes of those it does.
    fn shelter(&self, directory: &Path) -> Result<(), ArchiveError> {
        if self.rules.modes == Modes::Kept {
            return Ok(());
        }
        let permissions = Permissions::from_mode(self.rules.modes.of_directory(0));
        std::fs::set_permissions(self.target.join(directory), permissions)
            .map_err(|e| self.disk(directory, e))
    }

    fn disk(&self, path: &Path, source: io::Error) -> ArchiveError {
        if source.kind() == io::ErrorKind::InvalidFilename {
            return ArchiveError::refused(path.as_os_str().as_bytes(), "has too long a name");
        }
        ArchiveError::Disk { path: self.target.join(path).display().to_string(), source }
    }
}

/// Tells errors of the archive from those of the disk.
struct Source<'s, R> {
    inner: &'s mut R,
    failed: bool,
}

impl<R: Read> Read for &mut Source<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(buffer);
        self.failed |= result.as_ref().is_err_and(|e| e.kind() != io::ErrorKind::Interrupted);
        result
    }
}

/// The name as a relative path of plain components; None if it is anything else.
fn clean(name: &[u8]) -> Option<PathBuf> {
    if name.contains(&0) || name.len() > 4096 {
        return None;
    }
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(name)).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// Whether a link in `directory` leads to a place below the top, taken as text. Links that lead
/// through other links are no way out: those were looked at as well.
fn stays_within(directory: &Path, to: &Path) -> bool {
    if to.as_os_str().is_empty() || to.is_absolute() {
        return false;
    }
    let mut depth = directory.components().count();
    let mut named = false;
    for component in to.components() {
        match component {
            // Behind a name `..` need not mean what the text says, since the name may be a link.
            Component::ParentDir if named || depth == 0 => return false,
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => {
                depth += 1;
                named = true;
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}
