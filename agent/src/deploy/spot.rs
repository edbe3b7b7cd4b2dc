//! File operations on a name in a directory that is held open, so that nobody who may write above can
//! swap a directory for a link between the moment it was looked at and the moment it is written to.
//!
//! Links on the way are followed by one rule, here and while planning: those of root and of the agent's
//! own user are the administrator's decision. Anybody else's may only lead to a directory that the
//! same user owns: there he could have put our files himself. So an application's `current` may lead
//! to its own release, but never to `/etc/cron.d`.

use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::Mode;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// As many links as Linux follows.
const LINKS_MAX: u32 = 40;

/// A name in its directory.
pub struct Spot {
    dir: File,
    name: OsString,
}

impl Spot {
    /// # Errors
    /// When the directory is not there, or a link leads there that is not followed.
    pub fn of(path: &Path) -> io::Result<Spot> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it has no name"));
        };
        Ok(Spot { dir: directory(parent)?, name: name.to_owned() })
    }

    /// A path for any call that does not follow a link at its end, good as long as this is held.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.sibling(&self.name)
    }

    /// Another name in the same directory.
    #[must_use]
    pub fn sibling(&self, name: &OsStr) -> PathBuf {
        Path::new("/proc/self/fd").join(self.dir.as_raw_fd().to_string()).join(name)
    }
}

/// Both names, which are in one directory.
fn pair(from: &Path, to: &Path) -> io::Result<(Spot, PathBuf)> {
    if from.parent() != to.parent() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not in one directory"));
    }
    let spot = Spot::of(from)?;
    let to = spot.sibling(to.file_name().unwrap_or_default());
    Ok((spot, to))
}

/// # Errors
/// See `rename(2)`.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = pair(from, to)?;
    std::fs::rename(from.path(), to)
}

/// Not over something that is there, where the file system can tell.
///
/// # Errors
/// See `renameat2(2)`.
pub fn rename_to_nothing(from: &Path, to: &Path) -> io::Result<()> {
    use nix::fcntl::{RenameFlags, renameat2};
    let (from, to) = pair(from, to)?;
    let flags = RenameFlags::RENAME_NOREPLACE;
    match renameat2(AT_FDCWD, &from.path(), AT_FDCWD, &to, flags) {
        Err(nix::Error::EINVAL | nix::Error::ENOSYS) => std::fs::rename(from.path(), to),
        renamed => Ok(renamed?),
    }
}

/// # Errors
/// See `link(2)`.
pub fn hard_link(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = pair(from, to)?;
    std::fs::hard_link(from.path(), to)
}

/// # Errors
/// See `symlink(2)`.
pub fn symlink(to: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(to, Spot::of(at)?.path())
}

/// # Errors
/// See `mkdir(2)`.
pub fn create_dir(path: &Path) -> io::Result<()> {
    std::fs::create_dir(Spot::of(path)?.path())
}

/// A new file that only its owner can read yet.
///
/// # Errors
/// When something is there already, or it cannot be made.
pub fn create_new(path: &Path) -> io::Result<File> {
    let spot = Spot::of(path)?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(spot.path())
}

/// For reading; never through a link, and never waiting for the other end of a pipe.
///
/// # Errors
/// See `open(2)`.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(Spot::of(path)?.path())
}

/// Of what is there itself.
///
/// # Errors
/// See `lstat(2)`.
pub fn metadata(path: &Path) -> io::Result<Metadata> {
    Spot::of(path)?.path().symlink_metadata()
}

/// A file or link; one that is not there is fine.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove_file(path: &Path) -> io::Result<()> {
    match Spot::of(path) {
        Ok(spot) => crate::durable::remove_if_there(&spot.path()),
        Err(e) if is_gone(&e) => Ok(()),
        Err(e) => Err(e),
    }
}

/// # Errors
/// See `rmdir(2)`.
pub fn remove_dir(path: &Path) -> io::Result<()> {
    std::fs::remove_dir(Spot::of(path)?.path())
}

/// With everything in it.
///
/// # Errors
/// When something in it cannot be removed.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    crate::durable::remove_tree(&Spot::of(path)?.path())
}

/// Whether an error only says that nothing is there.
#[must_use]
pub fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether a link on the way there, or at its end, is one that is not followed.
#[must_use]
pub fn is_led_astray(path: &Path) -> bool {
    directory(path).is_err_and(|e| e.kind() == io::ErrorKind::PermissionDenied)
}

fn directory(path: &Path) -> io::Result<File> {
    // Not with O_NOFOLLOW: a link at the end would then be opened, and be no directory.
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_DIRECTORY;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    match openat2(AT_FDCWD, path, how) {
        Ok(dir) => Ok(File::from(dir)),
        // There are links; or the kernel, or who guards it, does not know the call.
        Err(nix::Error::ELOOP | nix::Error::ENOSYS | nix::Error::EPERM) => {
            let top = File::from(openat(AT_FDCWD, "/", PLACE | OFlag::O_DIRECTORY, Mode::empty())?);
            let mut way = Way { held: vec![top], links: 0 };
            way.walk(path)?;
            way.here()
        }
        Err(e) => Err(e.into()),
    }
}

const PLACE: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// The directories from the top to where a walk is; none of them is a link.
struct Way {
    held: Vec<File>,
    links: u32,
}

impl Way {
    fn here(&self) -> io::Result<File> {
        self.held.last().ok_or(io::ErrorKind::NotFound)?.try_clone()
    }

    fn walk(&mut self, path: &Path) -> io::Result<()> {
        let mut ahead: VecDeque<Component<'_>> = path.components().collect();
        while let Some(component) = ahead.pop_front() {
            match component {
                Component::RootDir => self.held.truncate(1),
                Component::ParentDir if self.held.len() > 1 => drop(self.held.pop()),
                Component::Normal(name) => self.enter(name)?,
                Component::ParentDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        Ok(())
    }

    fn enter(&mut self, name: &OsStr) -> io::Result<()> {
        let next = File::from(openat(&self.here()?, name, PLACE, Mode::empty())?);
        let meta = next.metadata()?;
        if !meta.is_symlink() {
            self.held.push(next);
            return if meta.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) };
        }
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(io::Error::other("links lead in a circle"));
        }
        self.walk(Path::new(&readlinkat(&next, "")?))?;
        let trusted = [0, nix::unistd::geteuid().as_raw()].contains(&meta.uid());
        if trusted || self.here()?.metadata()?.uid() == meta.uid() {
            return Ok(());
        }
        let text = format!(
            "{} is a link made by user {} to a directory of somebody else",
            name.display(),
            meta.uid()
        );
        Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
    }
}

#[cfg(test)]
#[path = "spot_tests.rs"]
mod tests;
