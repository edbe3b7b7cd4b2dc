//! What an installation will do to this host, worked out without touching it, with everything that
//! is in the way found at once.

use super::fault::Fault;
use super::group::{Home, Kind, Manifest};
use super::permissions::{self, Attributes};
use super::place::Places;
use super::shared::Shared;
use pipelines::protocol::report::ErrorCode;
use pipelines::spec::appspec::{Appspec, FileExists, FileMapping};
use std::collections::{BTreeMap, BTreeSet};
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
    /// Files that stay as they are: the appspec or the group says so.
    pub retained: BTreeSet<PathBuf>,
    /// Of the planned ones, those that are in the way of.
    pub clashing: BTreeSet<PathBuf>,
    /// Made where files outlive every revision: nobody's afterwards.
    pub unowned: BTreeSet<PathBuf>,
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
    /// A script that runs before the installation may take it out of the way.
    pub curable: bool,
}

impl Problem {
    pub fn new(code: ErrorCode, text: impl Into<String>) -> Problem {
        Problem { code, text: text.into(), curable: false }
    }
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
    pub shared: &'a Shared,
}

/// Works out the plan, and everything that forbids it, in the order of the paths. With problems the
/// plan is there to be shown, never to be carried out.
pub fn plan(scene: &Scene<'_>) -> (Plan, Vec<Problem>) {
    let mut planner = Planner { scene, plan: Plan::default(), problems: Vec::new() };
    for mapping in &scene.appspec.files {
        planner.mapping(mapping);
    }
    planner.look_at_the_host();
    planner.tidy_up();
    planner.warn_of_shared();
    let Planner { mut plan, mut problems, .. } = planner;
    permissions::assign(&scene.appspec.permissions, &mut plan, &mut problems);
    (plan, problems)
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

pub struct Planner<'a> {
    pub scene: &'a Scene<'a>,
    pub plan: Plan,
    pub problems: Vec<Problem>,
}

impl Planner<'_> {
    pub fn problem(&mut self, code: ErrorCode, text: String) {
        self.problems.push(Problem::new(code, text));
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
}
