//! What an installation will do to this host, worked out without touching it, with everything that
//! is in the way found at once.

use super::fault::Fault;
use super::group::{Home, Kind, Manifest};
use super::permissions::{self, Attributes};
use super::place::Places;
use pipelines::protocol::report::ErrorCode;
use pipelines::spec::appspec::{Appspec, FileExists, FileMapping};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// Problems listed in a message; the log has all of them.
const LISTED_MAX: usize = 50;

/// Everything an installation will do. Paths are absolute and free of `.` and `..`.
#[derive(Debug, Default)]
pub struct Plan {
    /// To be written, by destination.
    pub items: BTreeMap<PathBuf, Item>,
    /// Directories that must be there, parents first by their order.
    pub directories: BTreeMap<PathBuf, Directory>,
    /// Foreign files that stay as they are.
    pub retained: BTreeSet<PathBuf>,
    /// Ours, of a kind that the new revision has differently: out of the way before anything else.
    pub asides: BTreeSet<PathBuf>,
    /// Ours, and not of the new revision.
    pub removals: BTreeSet<PathBuf>,
    /// Directories of ours that the new revision does not have; removed if they are empty then.
    pub leave: BTreeSet<PathBuf>,
    pub attributes: BTreeMap<PathBuf, Attributes>,
    pub bytes: u64,
    /// For people: nothing is wrong, but something is probably not meant so.
    pub warnings: Vec<String>,
}

/// One file or link to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub source: PathBuf,
    pub kind: Kind,
    pub size: u64,
    /// Whether something is there now that is to be replaced.
    pub replaces: bool,
}

/// One directory of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directory {
    pub exists: bool,
    /// Made by this or an earlier installation of the group.
    pub ours: bool,
}

/// Something in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub code: ErrorCode,
    pub text: String,
}

/// What planning looks at.
pub struct Scene<'a> {
    pub home: &'a Home,
    pub release: &'a Path,
    pub appspec: &'a Appspec,
    /// For files in the way that are not of the group.
    pub behavior: FileExists,
    pub own: Option<&'a Manifest>,
    pub others: &'a BTreeMap<String, Manifest>,
}

/// Works out the plan, or everything that forbids it.
///
/// # Errors
/// All problems, in the order of the paths.
pub fn plan(scene: &Scene<'_>) -> Result<Plan, Vec<Problem>> {
    let mut planner = Planner { scene, plan: Plan::default(), problems: Vec::new() };
    for mapping in &scene.appspec.files {
        planner.mapping(mapping);
    }
    planner.look_at_the_host();
    planner.tidy_up();
    let Planner { mut plan, mut problems, .. } = planner;
    permissions::assign(&scene.appspec.permissions, &mut plan, &mut problems);
    if problems.is_empty() { Ok(plan) } else { Err(problems) }
}

/// One error for all problems: the code of the first, the words of all.
#[must_use]
pub fn fault(problems: &[Problem]) -> Fault {
    let code = problems.first().map_or(ErrorCode::InstallFailed, |p| p.code);
    let mut texts: Vec<&str> = problems.iter().take(LISTED_MAX).map(|p| p.text.as_str()).collect();
    let more = format!("and {} more, all in the log", problems.len().saturating_sub(LISTED_MAX));
    if problems.len() > LISTED_MAX {
        texts.push(&more);
    }
    Fault::new(code, texts.join("; "))
}

struct Planner<'a> {
    scene: &'a Scene<'a>,
    plan: Plan,
    problems: Vec<Problem>,
}

impl Planner<'_> {
    fn problem(&mut self, code: ErrorCode, text: String) {
        self.problems.push(Problem { code, text });
    }

    fn mapping(&mut self, mapping: &FileMapping) {
        let destination = match Places::check(&mapping.destination, self.scene.home.state()) {
            Ok(destination) => destination,
            Err(text) => return self.problem(ErrorCode::AppspecInvalid, text),
        };
        let relative = mapping.source.trim_start_matches('/');
        let source = self.scene.release.join(relative);
        let real = source.canonicalize().ok().filter(|real| {
            self.scene.release.canonicalize().is_ok_and(|release| real.starts_with(release))
        });
        let Some(real) = real else {
            let text = format!("'{}' is not in the bundle", mapping.source);
            return self.problem(ErrorCode::MissingSource, text);
        };
        self.directory(&destination);
        if real.is_dir() {
            self.contents(&real, &destination);
        } else {
            // A file keeps its own name, and a link that is named stays a link.
            let name = source.file_name().unwrap_or_default();
            self.item(&source, destination.join(name));
        }
    }

    fn contents(&mut self, source: &Path, destination: &Path) {
        for entry in WalkDir::new(source).min_depth(1).sort_by_file_name() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => {
                    self.problem(ErrorCode::MissingSource, format!("reading the release: {e}"));
                    continue;
                }
            };
            let Ok(relative) = entry.path().strip_prefix(source) else { continue };
            let to = destination.join(relative);
            if entry.file_type().is_dir() {
                self.directory(&to);
            } else {
                self.item(entry.path(), to);
            }
        }
    }

    fn directory(&mut self, path: &Path) {
        for part in path.ancestors() {
            self.plan
                .directories
                .entry(part.to_owned())
                .or_insert(Directory { exists: false, ours: false });
        }
    }

    fn item(&mut self, source: &Path, to: PathBuf) {
        let shown = to.display();
        let Ok(meta) = source.symlink_metadata() else {
            let text = format!("'{}' is not in the bundle", source.display());
            return self.problem(ErrorCode::MissingSource, text);
        };
        let Some(kind) = Kind::of(&meta) else {
            let text = format!("{} is neither a file, a directory nor a link", source.display());
            return self.problem(ErrorCode::BundleInvalid, text);
        };
        if to.to_str().is_none() {
            let text = format!("the name of {shown} is not UTF-8");
            return self.problem(ErrorCode::BundleInvalid, text);
        }
        let size = if kind == Kind::File { meta.len() } else { 0 };
        let item = Item { source: source.to_owned(), kind, size, replaces: false };
        match self.plan.items.get(&to) {
            Some(first) if first.source == item.source => {}
            Some(first) => {
                let text = format!(
                    "{shown} has two sources: '{}' and '{}'",
                    self.in_bundle(&first.source),
                    self.in_bundle(source)
                );
                self.problem(ErrorCode::AppspecInvalid, text);
            }
            None => {
                self.plan.bytes += item.size;
                self.plan.items.insert(to, item);
            }
        }
    }

    fn in_bundle(&self, path: &Path) -> String {
        path.strip_prefix(self.scene.release).unwrap_or(path).display().to_string()
    }

    fn look_at_the_host(&mut self) {
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
            Some(meta) if owned.is_some() && Kind::of(&meta) == owned => {
                self.plan.asides.insert(path.to_owned());
                false
            }
            // Administrators link directories elsewhere; that is theirs to decide. From anybody
            // else it would be a way to have us write where they may not.
            Some(meta) if path.is_dir() => {
                if !may_lead(&meta) {
                    let text = format!(
                        "{} is a link made by user {}, which is not followed: a directory is wanted",
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
                self.problem(ErrorCode::FileExists, text);
                return;
            }
        };
        let forbidden = Places::forbidden(path, self.scene.home.state());
        if let Some(why) = forbidden.filter(|_| !hidden && !self.plan.asides.contains(path)) {
            let text = format!("{} {why}: nothing may be written there", path.display());
            self.problem(ErrorCode::AppspecInvalid, text);
        }
        let ours = !exists || (owned == Some(Kind::Directory) && !is_link);
        self.plan.directories.insert(path.to_owned(), Directory { exists, ours });
    }

    fn look_at_item(&mut self, path: &Path) {
        let hidden = path.ancestors().skip(1).any(|above| self.plan.asides.contains(above));
        let Some(meta) = path.symlink_metadata().ok().filter(|_| !hidden) else { return };
        let (found, owned) = (Kind::of(&meta), self.owned(path));
        if found == Some(Kind::Directory) {
            if owned == Some(Kind::Directory) && self.all_ours(path) {
                self.plan.asides.insert(path.to_owned());
            } else {
                let text = format!("{} is a directory, and a file is wanted", path.display());
                self.problem(ErrorCode::FileExists, text);
            }
            return;
        }
        let replaces = match (owned, self.scene.behavior) {
            (Some(Kind::File | Kind::Link), _) | (_, FileExists::Overwrite) => true,
            (_, FileExists::Retain) => false,
            (_, FileExists::Disallow) => {
                let owner = self.owner(path);
                let text = format!("{} is already there and belongs to {owner}", path.display());
                return self.problem(ErrorCode::FileExists, text);
            }
        };
        if !replaces {
            self.plan.retained.insert(path.to_owned());
            let item = self.plan.items.remove(path);
            self.plan.bytes -= item.map_or(0, |item| item.size);
        } else if let Some(item) = self.plan.items.get_mut(path) {
            item.replaces = true;
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
        let foreign = |above: &Path| {
            above.symlink_metadata().is_ok_and(|meta| meta.is_symlink() && !may_lead(&meta))
        };
        path.ancestors().skip(1).any(foreign)
            || path.parent().and_then(|p| Places::forbidden(p, self.scene.home.state())).is_some()
    }

    /// What the previous revision of the group had and the new one lacks.
    fn tidy_up(&mut self) {
        let Some(own) = self.scene.own else { return };
        for (path, kind) in &own.entries {
            let still = self.plan.items.contains_key(path)
                || self.plan.directories.contains_key(path)
                || path.ancestors().any(|above| self.plan.asides.contains(above));
            if still {
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

/// Whether a link may decide where a directory is.
fn may_lead(link: &std::fs::Metadata) -> bool {
    [0, nix::unistd::Uid::effective().as_raw()].contains(&link.uid())
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
            problems.push(Problem { code: ErrorCode::OutOfDisk, text });
        }
    }
    Ok(problems)
}
