//! What is on this host where a plan wants to write, and what of it may go.

use super::group::{Kind, Manifest};
use super::place::Places;
use super::plan::{Directory, Plan, Planner, Problem};
use super::spot;
use pipelines::protocol::report::ErrorCode;
use pipelines::spec::appspec::FileExists;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

impl Planner<'_> {
    pub fn look_at_the_host(&mut self) {
        let both: Vec<PathBuf> = self
            .plan
            .items
            .keys()
            .filter(|path| self.plan.directories.contains_key(*path))
            .cloned()
            .collect();
        for path in both {
            let text = format!("{} would be both a file and a directory", path.display());
            self.problem(ErrorCode::AppspecInvalid, text);
        }
        let directories: Vec<PathBuf> = self.plan.directories.keys().cloned().collect();
        for path in directories {
            self.look_at_directory(&path);
        }
        let items: Vec<PathBuf> = self.plan.items.keys().cloned().collect();
        for path in items {
            self.look_at_item(&path);
        }
    }

    fn owned(&self, path: &Path) -> Option<Kind> {
        self.scene.own.and_then(|own| own.entries.get(path)).copied()
    }

    fn look_at_directory(&mut self, path: &Path) {
        let owned = self.owned(path);
        // Below something that goes out of the way there is nothing.
        let hidden = path.ancestors().skip(1).any(|above| self.plan.asides.contains(above));
        let found = if hidden { None } else { path.symlink_metadata().ok() };
        let mut is_link = false;
        let exists = match found {
            None => false,
            Some(meta) if meta.is_dir() => true,
            Some(meta)
                if owned.is_some()
                    && Kind::of(&meta) == owned
                    && !self.scene.shared.touches(path) =>
            {
                self.plan.asides.insert(path.to_owned());
                false
            }
            Some(meta) if path.is_dir() => {
                if spot::is_led_astray(path) {
                    let text = format!(
                        "{} is a link made by user {}, which is followed only to that user's own \
                         directories: make the link as root, or a directory",
                        path.display(),
                        meta.uid()
                    );
                    return self.problem(ErrorCode::FileExists, text);
                }
                is_link = true;
                true
            }
            Some(_) => {
                let text = format!("{} is in the way: a directory is wanted", path.display());
                return self.clash(path, text);
            }
        };
        let forbidden = Places::forbidden(path, self.scene.home.state());
        if let Some(why) = forbidden.filter(|_| !hidden && !self.plan.asides.contains(path)) {
            let text = format!("{} {why}: nothing may be written there", path.display());
            self.problem(ErrorCode::AppspecInvalid, text);
        }
        let shared = self.scene.shared.covers(path);
        if shared {
            self.plan.unowned.insert(path.to_owned());
        }
        let ours = !exists || (owned == Some(Kind::Directory) && !is_link && !shared);
        self.plan.directories.insert(path.to_owned(), Directory { exists, ours });
    }

    fn look_at_item(&mut self, path: &Path) {
        let hidden = path.ancestors().skip(1).any(|above| self.plan.asides.contains(above));
        let shared = self.scene.shared.covers(path);
        if shared {
            self.plan.unowned.insert(path.to_owned());
        }
        let Some(meta) = path.symlink_metadata().ok().filter(|_| !hidden) else { return };
        if shared {
            return self.retain(path);
        }
        let (found, owned) = (Kind::of(&meta), self.owned(path));
        if found == Some(Kind::Directory) {
            let ours = owned == Some(Kind::Directory) && self.all_ours(path);
            if ours && !self.scene.shared.touches(path) {
                self.plan.asides.insert(path.to_owned());
            } else {
                let text = format!("{} is a directory, and a file is wanted", path.display());
                self.clash(path, text);
            }
            return;
        }
        let replaces = match (owned, self.scene.behavior) {
            (Some(Kind::File | Kind::Link), _) | (_, FileExists::Overwrite) => true,
            (_, FileExists::Retain) => false,
            (_, FileExists::Disallow) => {
                let owner = self.owner(path);
                let text = format!("{} is already there and belongs to {owner}", path.display());
                return self.clash(path, text);
            }
        };
        if !replaces {
            self.retain(path);
        } else if let Some(item) = self.plan.items.get_mut(path) {
            item.replaces = true;
        }
    }

    fn retain(&mut self, path: &Path) {
        self.plan.retained.insert(path.to_owned());
        let item = self.plan.items.remove(path);
        self.plan.bytes -= item.map_or(0, |item| item.size);
    }

    fn clash(&mut self, path: &Path, text: String) {
        self.plan.clashing.insert(path.to_owned());
        self.problems.push(Problem { code: ErrorCode::FileExists, text, curable: true });
    }

    /// What a bundle ships where files outlive every revision is put there once.
    pub fn warn_of_shared(&mut self) {
        let all = self.plan.items.keys().chain(&self.plan.retained);
        for (shared, shipped) in self.scene.shared.count(all) {
            let shared = shared.display();
            let text = format!(
                "the bundle has {shipped} files for {shared}, which is shared: what is there \
                 already stays as it is"
            );
            self.plan.warnings.push(text);
        }
    }

    fn owner(&self, path: &Path) -> String {
        let of = |(_, manifest): &(&String, &Manifest)| manifest.entries.contains_key(path);
        match self.scene.others.iter().find(of) {
            Some((group, _)) => format!("deployment group '{group}'"),
            None => "no deployment".to_owned(),
        }
    }

    fn all_ours(&self, directory: &Path) -> bool {
        let ours = |entry: walkdir::Result<walkdir::DirEntry>| {
            entry.is_ok_and(|entry| self.owned(entry.path()).is_some())
        };
        WalkDir::new(directory).into_iter().all(ours)
    }

    /// Whether what is at this path now may be a file of somebody else, somewhere else.
    fn is_led_away(&self, path: &Path) -> bool {
        path.parent().is_some_and(spot::is_led_astray)
            || path.parent().and_then(|p| Places::forbidden(p, self.scene.home.state())).is_some()
    }

    /// What the previous revision of the group had and the new one lacks.
    pub fn tidy_up(&mut self) {
        let Some(own) = self.scene.own else { return };
        for (path, kind) in &own.entries {
            let still = self.plan.items.contains_key(path)
                || self.plan.directories.contains_key(path)
                || path.ancestors().any(|above| self.plan.asides.contains(above));
            if still {
                continue;
            }
            if self.scene.shared.covers(path) {
                if path.symlink_metadata().is_ok() {
                    let text = format!("{} stays: the group shares it", path.display());
                    self.plan.warnings.push(text);
                }
                continue;
            }
            if self.is_led_away(path) {
                let text = format!("{} stays: a link made by others leads there", path.display());
                self.plan.warnings.push(text);
                continue;
            }
            let found = path.symlink_metadata().ok().and_then(|meta| Kind::of(&meta));
            let taken = self.scene.others.iter().find(|(_, m)| m.entries.contains_key(path));
            match (kind, found, taken) {
                (Kind::Directory, Some(Kind::Directory), None) => {
                    self.plan.leave.insert(path.clone());
                }
                (Kind::File | Kind::Link, Some(found), None) if found == *kind => {
                    self.plan.removals.insert(path.clone());
                }
                (Kind::File | Kind::Link, Some(_), Some((group, _))) => {
                    let text = format!("{} stays: group '{group}' has it too", path.display());
                    self.plan.warnings.push(text);
                }
                (Kind::File | Kind::Link, Some(_), None) => {
                    let text = format!("{} stays: it is not what was installed", path.display());
                    self.plan.warnings.push(text);
                }
                (_, _, _) => {}
            }
        }
    }
}

/// Whether everything fits, on each file system by itself.
///
/// # Errors
/// A problem per file system that is too full.
pub fn check_space(plan: &Plan) -> io::Result<Vec<Problem>> {
    let mut wanted: BTreeMap<u64, (u64, PathBuf)> = BTreeMap::new();
    for (path, item) in &plan.items {
        let Some(there) = path.ancestors().skip(1).find(|above| above.is_dir()) else { continue };
        let device = there.metadata()?.dev();
        wanted.entry(device).or_insert_with(|| (0, there.to_owned())).0 += item.size;
    }
    let mut problems = Vec::new();
    for (bytes, place) in wanted.into_values() {
        let free = crate::context::free_bytes(&place)?;
        if free < bytes {
            let place = place.display();
            let text = format!("{bytes} bytes do not fit: {free} are free on {place}");
            problems.push(Problem::new(ErrorCode::OutOfDisk, text));
        }
    }
    Ok(problems)
}
