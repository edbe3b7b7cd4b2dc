//! Carries out a plan so that the host has either all of it or none of it.
//!
//! New files are written beside their destinations first; then everything is renamed into place; then
//! the manifest is written, which commits it. Until then every failure, and every crash, is undone.

use super::fault::Fault;
use super::group::{Home, Kind, Manifest, Stand};
use super::permissions::Attributes;
use super::plan::{Item, Plan};
use super::undo::{Before, Moved, Placed, Undo};
use crate::durable::sync_files;
use pipelines::protocol::report::ErrorCode;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Installs, or leaves everything as it was. Blocks.
///
/// # Errors
/// Why nothing was installed; or, worse, what could not be put back.
pub fn install(home: &Home, plan: &Plan, stand: &Stand) -> Result<(), Fault> {
    let id = hex::encode(rand::random::<[u8; 4]>());
    let undo = prepare(plan, &id).map_err(|e| failed(&e))?;
    undo.save(home).map_err(|e| failed(&e))?;
    let done = carry_out(plan, &undo).and_then(|()| {
        let entries = entries(plan);
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
    items.chain(directories.map(|path| (path.clone(), Kind::Directory))).collect()
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

fn carry_out(plan: &Plan, undo: &Undo) -> io::Result<()> {
    for moved in &undo.asides {
        rename(&moved.path, &moved.old)?;
    }
    for directory in &undo.directories {
        about(directory, make_directory(directory))?;
    }
    for placed in &undo.items {
        let item = &plan.items[&placed.path];
        about(&placed.path, write_fresh(item, &placed.fresh, plan.attributes.get(&placed.path)))?;
        if let Some(old) = &placed.old {
            about(&placed.path, second_name(&placed.path, old))?;
        }
    }
    // New content and old names are on the disk before the first visible change.
    sync_files(undo.items.iter().map(|placed| placed.fresh.as_path()))?;
    undo.sync();
    for placed in &undo.items {
        rename(&placed.fresh, &placed.path)?;
    }
    for moved in &undo.removals {
        rename(&moved.path, &moved.old)?;
    }
    for (path, attributes) in &plan.attributes {
        if plan.directories.contains_key(path) {
            about(path, attributes.apply(path))?;
        }
    }
    undo.sync();
    Ok(())
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    about(from, std::fs::rename(from, to))
}

/// Says which path an error is about.
fn about<T>(path: &Path, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

fn make_directory(path: &Path) -> io::Result<()> {
    std::fs::create_dir(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o755))
}

fn write_fresh(item: &Item, fresh: &Path, attributes: Option<&Attributes>) -> io::Result<()> {
    match item.kind {
        Kind::Link => symlink(std::fs::read_link(&item.source)?, fresh)?,
        Kind::File | Kind::Directory => {
            let mut source = File::open(&item.source)?;
            let mode = source.metadata()?.permissions().mode() & 0o777;
            // Nobody else sees the content before it has the permissions it is meant to have.
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(fresh)?;
            io::copy(&mut source, &mut file)?;
            if attributes.is_none_or(|a| a.mode.is_none()) {
                file.set_permissions(Permissions::from_mode(mode))?;
            }
        }
    }
    attributes.map_or(Ok(()), |attributes| attributes.apply(fresh))
}

/// Keeps what is at `path` under a second name: the very same file, so that putting it back brings
/// back its owner, its times and whatever else is attached to it.
fn second_name(path: &Path, old: &Path) -> io::Result<()> {
    match std::fs::hard_link(path, old) {
        Ok(()) => Ok(()),
        // A file system without second names, or a file that may have no more of them.
        Err(_) if path.symlink_metadata()?.is_file() => copy_all(path, old),
        Err(e) => Err(e),
    }
}

fn copy_all(path: &Path, old: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, chown};
    let meta = path.metadata()?;
    // Half a copy must never have the name under which it would be put back.
    let part = old.with_extension("part");
    std::fs::copy(path, &part)?;
    chown(&part, Some(meta.uid()), Some(meta.gid()))?;
    std::fs::set_permissions(&part, meta.permissions())?;
    File::open(&part)?.sync_all()?;
    std::fs::rename(part, old)
}
