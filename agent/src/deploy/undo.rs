//! What it takes to put a host back as it was before an installation. Written down before the
//! installation changes anything; every step can be done again, in any state a crash may leave.

use super::group::{Home, Kind};
use super::handle::Handle;
use super::spot;
use crate::durable::{read_json, remove_if_there, sync_parent, write_json};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// `undo.json`. While it exists the installation is half-way.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Undo {
    /// The installation it belongs to; see [`super::group::Manifest::install`].
    pub install: String,
    pub asides: Vec<Moved>,
    /// New directories, parents first.
    pub directories: Vec<PathBuf>,
    pub items: Vec<Placed>,
    pub removals: Vec<Moved>,
    /// Directories to remove after success, if they are empty then.
    pub leave: Vec<PathBuf>,
    pub attributes: Vec<Before>,
}

/// Something moved out of the way, under another name in its own directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Moved {
    pub path: PathBuf,
    pub old: PathBuf,
}

/// A file or link that is written as `fresh`, then renamed to `path`; where nothing was, `path`
/// becomes a second name of it until all is done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Placed {
    pub path: PathBuf,
    pub fresh: PathBuf,
    /// A second name of what was there; None when nothing was.
    pub old: Option<PathBuf>,
}

/// A directory's attributes as they were.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    pub path: PathBuf,
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
}

/// What was found of an earlier installation.
#[derive(Debug, PartialEq, Eq)]
pub enum Settled {
    Nothing,
    /// It had been committed; only rubbish was left.
    Finished,
    /// It was half-way; the host is as it was before it.
    Undone,
}

impl Undo {
    /// # Errors
    /// When it may not be on disk; nothing must be changed then.
    pub fn save(&self, home: &Home) -> io::Result<()> {
        write_json(&home.undo_path(), self)
    }

    /// Puts everything back, as far as it was changed.
    ///
    /// # Errors
    /// When something could not be put back. The rest was, and it can be tried again.
    pub fn revert(&self, home: &Home) -> io::Result<()> {
        let mut first_error = Ok(());
        let mut attempt = |path: &Path, result: io::Result<()>| {
            if let Err(e) = result
                && first_error.is_ok()
            {
                first_error = Err(io::Error::new(e.kind(), format!("{}: {e}", path.display())));
            }
        };
        for item in &self.items {
            attempt(&item.path, item.revert());
        }
        for moved in &self.removals {
            attempt(&moved.path, moved.revert());
        }
        for directory in self.directories.iter().rev() {
            attempt(directory, remove_if_empty(directory));
        }
        for moved in &self.asides {
            attempt(&moved.path, moved.revert());
        }
        for before in &self.attributes {
            attempt(&before.path, before.revert());
        }
        first_error?;
        self.sync();
        remove_undo(home)
    }

    /// Removes what is no longer needed after the installation was committed.
    ///
    /// # Errors
    /// When something could not be removed; it can be tried again.
    pub fn forget(&self, home: &Home) -> io::Result<()> {
        for moved in self.asides.iter().chain(&self.removals) {
            match spot::metadata(&moved.old) {
                Ok(meta) if meta.is_dir() => spot::remove_tree(&moved.old)?,
                Ok(_) => spot::remove_file(&moved.old)?,
                Err(_) => {}
            }
        }
        for item in &self.items {
            item.forget()?;
        }
        let mut leave = self.leave.clone();
        leave.sort();
        for directory in leave.iter().rev() {
            remove_if_empty(directory)?;
        }
        home.forget_marks_but(&self.install)?;
        remove_undo(home)
    }

    /// Makes every name it deals with durable. Best effort: the content is safe by its own syncs.
    pub fn sync(&self) {
        let items = self.items.iter().map(|i| &i.path);
        let moved = self.asides.iter().chain(&self.removals).map(|m| &m.path);
        let all = items.chain(moved).chain(&self.directories);
        let parents: BTreeSet<&Path> = all.filter_map(|path| path.parent()).collect();
        for parent in parents {
            if parent.is_dir()
                && let Err(e) = crate::durable::sync_dir(parent)
            {
                tracing::warn!("cannot sync {}: {e}", parent.display());
            }
        }
    }
}

/// Finishes or undoes what an earlier life of the agent left half-way. Blocks.
///
/// # Errors
/// When the host could not be put back.
pub fn settle(home: &Home) -> io::Result<Settled> {
    let Some(undo) = read_json::<Undo>(&home.undo_path())? else { return Ok(Settled::Nothing) };
    if home.manifest()?.is_some_and(|manifest| manifest.install == undo.install) {
        undo.forget(home)?;
        return Ok(Settled::Finished);
    }
    undo.revert(home)?;
    Ok(Settled::Undone)
}

fn remove_undo(home: &Home) -> io::Result<()> {
    remove_if_there(&home.undo_path())?;
    sync_parent(&home.undo_path())
}

fn remove_if_empty(directory: &Path) -> io::Result<()> {
    match spot::remove_dir(directory) {
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::DirectoryNotEmpty
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::ResourceBusy
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}

fn is_there(path: &Path) -> bool {
    spot::metadata(path).is_ok()
}

impl Moved {
    fn revert(&self) -> io::Result<()> {
        match spot::rename(&self.old, &self.path) {
            Err(e) if spot::is_gone(&e) => Ok(()),
            renamed => renamed,
        }
    }
}

impl Placed {
    /// There from before `fresh` loses its name, where `path` cannot be a second name of it.
    #[must_use]
    pub fn marker(&self) -> PathBuf {
        self.fresh.with_extension("placed")
    }

    fn forget(&self) -> io::Result<()> {
        if let Some(old) = &self.old {
            return spot::remove_file(old);
        }
        spot::remove_file(&self.fresh)?;
        spot::remove_file(&self.marker())
    }

    fn revert(&self) -> io::Result<()> {
        let Some(old) = &self.old else { return self.revert_new() };
        if is_there(&self.fresh) {
            // Not renamed yet, so `path` is what it was. The second name goes first: while `fresh`
            // is there, this can be told again after another crash.
            spot::remove_file(old)?;
            return spot::remove_file(&self.fresh);
        }
        if !is_there(old) {
            return Ok(());
        }
        spot::rename(old, &self.path)?;
        // Renaming one name of a file over another name of the same file leaves both.
        spot::remove_file(old)
    }

    /// Whatever is at `path` and is not ours came from somebody else, and stays.
    fn revert_new(&self) -> io::Result<()> {
        let placed = match spot::metadata(&self.fresh) {
            Ok(fresh) => spot::metadata(&self.path).is_ok_and(|meta| same(&meta, &fresh)),
            Err(_) => is_there(&self.marker()),
        };
        if placed {
            spot::remove_file(&self.path)?;
        }
        self.forget()
    }
}

fn same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

impl Before {
    fn revert(&self) -> io::Result<()> {
        let directory = match Handle::open(&self.path, Kind::Directory) {
            // Whoever removed it took its attributes along.
            Err(e) if spot::is_gone(&e) => return Ok(()),
            directory => directory?,
        };
        directory.chown(Some(self.uid), Some(self.gid))?;
        directory.chmod(self.mode)
    }

    /// # Errors
    /// When the directory cannot be looked at.
    pub fn of(path: &Path) -> io::Result<Before> {
        let meta = spot::metadata(path)?;
        let mode = meta.permissions().mode() & 0o7777;
        Ok(Before { path: path.to_owned(), uid: meta.uid(), gid: meta.gid(), mode })
    }
}
