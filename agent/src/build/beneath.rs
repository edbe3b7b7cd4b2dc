//! Paths as the build saw them, found again on the host without ever leaving the workspace.
//!
//! A build is hostile code: its links point wherever it likes, and an absolute one means the
//! container's root, not this machine's. So links are followed here, one component at a time, and
//! nothing outside the workspace is opened. The container has ended by then; nobody moves things.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

/// The workspace in both worlds.
#[derive(Debug, Clone)]
pub struct Tree {
    /// On this host.
    pub host: PathBuf,
    /// In the container.
    pub inside: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum Strayed {
    #[error("it is not there")]
    Missing,
    #[error("it leads out of the workspace")]
    Outside,
    #[error("it leads in a circle")]
    Loop,
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// As many links as Linux follows.
const LINKS_MAX: u32 = 40;

impl Tree {
    /// The place on the host, free of links, of a path in the container. A relative path starts at
    /// the workspace's top.
    pub fn find(&self, path: &Path) -> Result<PathBuf, Strayed> {
        let mut links = 0;
        let mut found: Vec<OsString> = Vec::new();
        let mut ahead = VecDeque::new();
        self.queue(path, &mut found, &mut ahead)?;
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                found.pop().ok_or(Strayed::Outside)?;
                continue;
            }
            let here = self.host.join(found.iter().collect::<PathBuf>()).join(&name);
            let meta = here.symlink_metadata().map_err(|e| match e.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Strayed::Missing,
                _ => Strayed::Io(e),
            })?;
            if !meta.file_type().is_symlink() {
                found.push(name);
                continue;
            }
            links += 1;
            if links > LINKS_MAX {
                return Err(Strayed::Loop);
            }
            self.queue(&std::fs::read_link(&here)?, &mut found, &mut ahead)?;
        }
        Ok(self.host.join(found.iter().collect::<PathBuf>()))
    }

    /// Puts a path before what is still to be walked; an absolute one starts over at the top.
    fn queue(
        &self,
        path: &Path,
        found: &mut Vec<OsString>,
        ahead: &mut VecDeque<OsString>,
    ) -> Result<(), Strayed> {
        let relative = if path.is_absolute() {
            found.clear();
            path.strip_prefix(&self.inside).map_err(|_| Strayed::Outside)?
        } else {
            path
        };
        for component in relative.components().rev() {
            match component {
                Component::Normal(name) => ahead.push_front(name.to_owned()),
                Component::ParentDir => ahead.push_front("..".into()),
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        Ok(())
    }

    /// Opens a regular file found by [`Tree::find`] or by a walk; a pipe is not waited for.
    pub fn open(path: &Path) -> io::Result<File> {
        let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
        let file = File::options().read(true).custom_flags(flags).open(path)?;
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_as_the_container_meant_them_and_never_out() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path();
        std::fs::create_dir_all(top.join("src/a")).unwrap();
        std::fs::write(top.join("src/a/file"), "x").unwrap();
        for (target, link) in [
            ("a/file", "src/good"),
            ("/build/src/a", "src/absolute"),
            ("../src/a/../a", "src/winding"),
            ("/etc/passwd", "src/etc"),
            ("../../../../../../etc/passwd", "src/up"),
            ("loop", "src/loop"),
            ("nowhere", "src/dangling"),
        ] {
            symlink(target, top.join(link)).unwrap();
        }
        let tree = Tree { host: top.to_owned(), inside: "/build".into() };
        let find = |path: &str| tree.find(Path::new(path));
        let file = top.join("src/a/file");
        for path in ["src/good", "/build/src/good", "src/absolute/file", "src/winding/file"] {
            assert_eq!(find(path).unwrap(), file, "{path}");
        }
        assert_eq!(find("/build").unwrap(), top.join(""));
        for path in ["src/etc", "src/up", "../x", "/etc/passwd", "/buildx"] {
            assert!(matches!(find(path), Err(Strayed::Outside)), "{path}");
        }
        assert!(matches!(find("src/loop"), Err(Strayed::Loop)));
        assert!(matches!(find("src/dangling"), Err(Strayed::Missing)));
        assert!(matches!(find("src/good/below"), Err(Strayed::Missing)));
    }

    #[test]
    fn only_regular_files_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(Tree::open(&pipe).is_err());
        symlink("/etc/passwd", dir.path().join("link")).unwrap();
        assert!(Tree::open(&dir.path().join("link")).is_err());
    }
}
