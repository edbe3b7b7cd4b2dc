//! A file, link or directory held open while its attributes are set, so that nobody who may write
//! beside it can have them set on something else.

use super::group::Kind;
use super::spot::Spot;
use nix::fcntl::{AtFlags, OFlag};
use nix::unistd::{Gid, Uid, fchownat};
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub struct Handle<'f> {
    file: Held<'f>,
    pub kind: Kind,
}

enum Held<'f> {
    Own(File),
    Lent(&'f File),
}

impl Handle<'_> {
    /// Opens what is at `path` itself, never what it leads to.
    ///
    /// # Errors
    /// When it is not there, or of another kind.
    pub fn open(path: &Path, kind: Kind) -> io::Result<Handle<'static>> {
        let mut flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
        if kind == Kind::Directory {
            flags |= OFlag::O_DIRECTORY;
        }
        let spot = Spot::of(path)?;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(spot.path())?;
        if Kind::of(&file.metadata()?) != Some(kind) {
            return Err(io::Error::other("somebody put something else in its place"));
        }
        Ok(Handle { file: Held::Own(file), kind })
    }

    /// For a file that was just made.
    #[must_use]
    pub fn of(file: &File) -> Handle<'_> {
        Handle { file: Held::Lent(file), kind: Kind::File }
    }

    fn file(&self) -> &File {
        match &self.file {
            Held::Own(file) => file,
            Held::Lent(file) => file,
        }
    }

    /// # Errors
    /// When the owner cannot be set.
    pub fn chown(&self, owner: Option<u32>, group: Option<u32>) -> io::Result<()> {
        let (owner, group) = (owner.map(Uid::from_raw), group.map(Gid::from_raw));
        Ok(fchownat(self.file(), "", owner, group, AtFlags::AT_EMPTY_PATH)?)
    }

    /// Not for links, which have no mode.
    ///
    /// # Errors
    /// When the mode cannot be set.
    pub fn chmod(&self, mode: u32) -> io::Result<()> {
        std::fs::set_permissions(self.path(), Permissions::from_mode(mode))
    }

    /// A path that leads to it whatever happens to its names, as long as this is held; for other
    /// programs as well.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.file().as_raw_fd()).into()
    }
}
