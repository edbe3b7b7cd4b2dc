//! Carries out a plan so that the host has either all of it or none of it.
//!
//! New files are written beside their destinations first; then everything is renamed into place;
//! then the manifest is written, which commits it. Until then every failure, and every crash, is
//! undone.

use super::fault::Fault;
use super::group::{Home, Kind, Manifest, Stand};
use super::handle::Handle;
use super::marks::{self, Mark, Marks};
use super::permissions::Attributes;
use super::plan::{Item, Plan};
use super::spot;
use super::undo::{Before, Moved, Placed, Undo};
use crate::durable::sync_files;
use pipelines::protocol::report::ErrorCode;
use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Installs, or leaves everything as it was. Blocks.
///
/// # Errors
/// Why nothing was installed; or, worse, what could not be put back.
pub fn install(home: &Home, plan: &Plan, stand: &Stand) -> Result<(), Fault> {
    let id = hex::encode(rand::random::<[u8; 4]>());
    let undo = prepare(plan, &id).map_err(|e| failed(&e))?;
    undo.save(home).map_err(|e| failed(&e))?;
    let all = changes(plan, &undo);
    let mut marks = Marks::new();
    let done = all.iter().try_for_each(|change| change.make(&mut marks)).and_then(|()| {
        let entries = entries(plan);
        marks.retain(|path, _| entries.contains_key(path));
        home.set_marks(&id, &marks)?;
        home.set_manifest(&Manifest { install: id, stand: stand.clone(), entries })
    });
    if let Err(e) = done {
        let fault = failed(&e);
        return Err(match undo.revert(home) {
            Ok(()) => {
                Fault { message: format!("{}; everything was put back", fault.message), ..fault }
            }
            Err(worse) => Fault {
                message: format!(
                    "{}; and what was there could not be put back: {worse}",
                    fault.message
                ),
                ..fault
            },
        });
    }
    if let Err(e) = undo.forget(home) {
        // Installed it is. The rest is rubbish with odd names, removed at the next deployment.
        tracing::warn!("cannot clean up after an installation: {e}");
    }
    Ok(())
}

fn failed(error: &io::Error) -> Fault {
    let fault = Fault::disk("installing", error);
    match fault.code {
        ErrorCode::OutOfDisk => fault,
        _ => Fault { code: ErrorCode::InstallFailed, ..fault },
    }
}

/// Everything that belongs to the group afterwards.
fn entries(plan: &Plan) -> BTreeMap<PathBuf, Kind> {
    let items = plan.items.iter().map(|(path, item)| (path.clone(), item.kind));
    let ours = plan.directories.iter().filter(|(_, directory)| directory.ours);
    // A directory that others use stays, and stays known, so that it can go when it is empty.
    let directories = ours.map(|(path, _)| path).chain(&plan.leave);
    let all = items.chain(directories.map(|path| (path.clone(), Kind::Directory)));
    all.filter(|(path, _)| !plan.unowned.contains(path)).collect()
}

fn prepare(plan: &Plan, id: &str) -> io::Result<Undo> {
    let mut count = 0_u32;
    let mut beside = |path: &Path, what: &str| {
        count += 1;
        path.with_file_name(format!(".pipeyard-{id}-{count}.{what}"))
    };
    let mut moved = |path: &PathBuf| Moved { path: path.clone(), old: beside(path, "old") };
    let asides = plan.asides.iter().map(&mut moved).collect();
    let removals = plan.removals.iter().map(&mut moved).collect();
    let items = plan
        .items
        .iter()
        .map(|(path, item)| Placed {
            path: path.clone(),
            fresh: beside(path, "new"),
            old: item.replaces.then(|| beside(path, "old")),
        })
        .collect();
    let of_directories = plan
        .attributes
        .keys()
        .filter(|path| plan.directories.get(*path).is_some_and(|directory| directory.exists));
    Ok(Undo {
        install: id.to_owned(),
        asides,
        directories: plan
            .directories
            .iter()
            .filter(|(_, directory)| !directory.exists)
            .map(|(path, _)| path.clone())
            .collect(),
        items,
        removals,
        leave: plan.leave.iter().cloned().collect(),
        attributes: of_directories.map(|path| Before::of(path)).collect::<io::Result<_>>()?,
    })
}

/// One change to the host. They are listed before the first is made, in the order in which a crash
/// between any two of them can be undone.
enum Change<'a> {
    Aside(&'a Moved),
    MakeDirectory(&'a Path),
    WriteFresh(&'a Item, &'a Placed, Option<&'a Attributes>),
    SecondName(&'a Path, &'a Path),
    /// New content and old names are on the disk before the first visible change.
    Sync(&'a Undo),
    Place(&'a Placed),
    Remove(&'a Moved),
    Attributes(&'a Path, &'a Attributes),
    SyncNames(&'a Undo),
}

fn changes<'a>(plan: &'a Plan, undo: &'a Undo) -> Vec<Change<'a>> {
    let mut changes: Vec<Change<'a>> = undo.asides.iter().map(Change::Aside).collect();
    changes.extend(undo.directories.iter().map(|path| Change::MakeDirectory(path)));
    for placed in &undo.items {
        let attributes = plan.attributes.get(&placed.path);
        changes.push(Change::WriteFresh(&plan.items[&placed.path], placed, attributes));
        changes.extend(placed.old.iter().map(|old| Change::SecondName(&placed.path, old)));
    }
    changes.push(Change::Sync(undo));
    changes.extend(undo.items.iter().map(Change::Place));
    changes.extend(undo.removals.iter().map(Change::Remove));
    let of_directories =
        plan.attributes.iter().filter(|(path, _)| plan.directories.contains_key(*path));
    changes.extend(of_directories.map(|(path, of)| Change::Attributes(path, of)));
    changes.push(Change::SyncNames(undo));
    changes
}

impl Change<'_> {
    /// Notes in `marks` by what a new file will be known again.
    fn make(&self, marks: &mut Marks) -> io::Result<()> {
        match self {
            Change::Aside(moved) | Change::Remove(moved) => rename(&moved.path, &moved.old),
            Change::MakeDirectory(path) => about(path, make_directory(path)),
            Change::WriteFresh(item, placed, attributes) => {
                let mark = about(&placed.path, write_fresh(item, &placed.fresh, *attributes))?;
                marks.insert(placed.path.clone(), mark);
                Ok(())
            }
            Change::SecondName(path, old) => about(path, second_name(path, old)),
            Change::Sync(undo) => {
                sync_files(undo.items.iter().map(|placed| placed.fresh.as_path()))?;
                undo.sync();
                Ok(())
            }
            Change::Place(placed) => place(placed),
            Change::Attributes(path, attributes) => {
                let directory = Handle::open(path, Kind::Directory);
                about(path, directory.and_then(|directory| attributes.apply(&directory)))
            }
            Change::SyncNames(undo) => {
                undo.sync();
                Ok(())
            }
        }
    }
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    about(from, spot::rename(from, to))
}

/// Gives new content its name. Where nothing was when it was planned, nothing may have come since,
/// and `fresh` stays until the end: by it an undo knows our file from anybody else's.
fn place(placed: &Placed) -> io::Result<()> {
    let Placed { path, fresh, old } = placed;
    if old.is_some() {
        return rename(fresh, path);
    }
    let linked = match spot::hard_link(fresh, path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => place_without_links(placed),
        linked => linked,
    };
    about(path, linked)
}

/// On a file system without second names.
fn place_without_links(placed: &Placed) -> io::Result<()> {
    if spot::metadata(&placed.path).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    spot::create_new(&placed.marker())?.sync_all()?;
    spot::rename_to_nothing(&placed.fresh, &placed.path)
}

/// Says which path an error is about.
fn about<T>(path: &Path, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

fn make_directory(path: &Path) -> io::Result<()> {
    spot::create_dir(path)?;
    Handle::open(path, Kind::Directory)?.chmod(0o755)
}

fn write_fresh(item: &Item, fresh: &Path, attributes: Option<&Attributes>) -> io::Result<Mark> {
    match item.kind {
        Kind::Link => {
            let to = std::fs::read_link(&item.source)?;
            spot::symlink(&to, fresh)?;
            let link = Handle::open(fresh, Kind::Link)?;
            attributes.map_or(Ok(()), |attributes| attributes.apply(&link))?;
            Ok(Mark::of_link(&to))
        }
        Kind::File | Kind::Directory => {
            let mut source = File::open(&item.source)?;
            let mode = source.metadata()?.permissions().mode() & 0o777;
            // Nobody else sees the content before it has the permissions it is meant to have.
            let mut file = spot::create_new(fresh)?;
            let digest = marks::copy(&mut source, &mut file)?;
            let mark = Mark::of_file(&file.metadata()?, digest);
            if attributes.is_none_or(|a| a.mode.is_none()) {
                file.set_permissions(Permissions::from_mode(mode))?;
            }
            attributes.map_or(Ok(()), |attributes| attributes.apply(&Handle::of(&file)))?;
            Ok(mark)
        }
    }
}

/// Keeps what is at `path` under a second name: the very same file, so that putting it back brings
/// back its owner, its times and whatever else is attached to it.
fn second_name(path: &Path, old: &Path) -> io::Result<()> {
    match spot::hard_link(path, old) {
        Ok(()) => Ok(()),
        // A file system without second names, or a file that may have no more of them.
        Err(_) if spot::metadata(path)?.is_file() => copy_all(path, old),
        Err(e) => Err(e),
    }
}

fn copy_all(path: &Path, old: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let mut now = spot::open(path)?;
    let meta = now.metadata()?;
    // Half a copy must never have the name under which it would be put back.
    let part = old.with_extension("part");
    spot::remove_file(&part)?;
    let mut copy = spot::create_new(&part)?;
    io::copy(&mut now, &mut copy)?;
    fchown(&copy, Some(meta.uid()), Some(meta.gid()))?;
    copy.set_permissions(meta.permissions())?;
    copy.sync_all()?;
    spot::rename(&part, old)
}

#[cfg(test)]
#[path = "install_tests.rs"]
mod tests;
