//! Which files make up an artifact, by CodeBuild's rules.
//!
//! `*` stays in one directory, `**` crosses; directories count only through the files in them. A
//! pattern that matches nothing is warned about, as CodeBuild does; a set without any file fails.

use super::{FileSet, hints};
use crate::build::beneath::{Strayed, Tree};
use globset::{GlobBuilder, GlobMatcher};
use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use walkdir::WalkDir;

/// The files of one artifact, by their names in it.
#[derive(Debug, Default)]
pub struct Selected {
    pub entries: BTreeMap<PathBuf, Entry>,
    /// For the log.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// On the host, free of links.
    pub path: PathBuf,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    File,
    /// A link to something else in the artifact's directory, relative.
    Link(PathBuf),
}

/// Why an artifact cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum NothingThere {
    #[error("base-directory '{directory}': {why}{hint}")]
    Base { directory: String, why: String, hint: String },
    #[error("no matching artifact paths found: {}", .0.join("; "))]
    Files(Vec<String>),
    #[error("reading the workspace: {0}")]
    Io(#[from] io::Error),
}

struct Pattern {
    text: String,
    matcher: GlobMatcher,
    matches: usize,
}

/// Selects the files of `set` below `source`, the container's path of the directory the build
/// started in.
pub fn select(tree: &Tree, source: &Path, set: &FileSet) -> Result<Selected, NothingThere> {
    let mut selected = Selected::default();
    let mut patterns = Vec::new();
    let mut misses = Vec::new();
    let bases = bases(tree, source, set.base_directory.as_deref().unwrap_or("."))?;
    for text in &set.files {
        match pattern(text, source) {
            Ok(pattern) => patterns.push(pattern),
            Err(why) => misses.push(format!("'{text}' {why}")),
        }
    }
    let excluded: Vec<Pattern> =
        set.exclude_paths.iter().filter_map(|text| pattern(text, source).ok()).collect();
    let mut seen = Vec::new();
    for base in &bases {
        walk(tree, base, set, &mut patterns, &excluded, &mut selected, &mut seen)?;
    }
    for pattern in patterns.iter().filter(|pattern| pattern.matches == 0) {
        misses.push(format!("'{}' {}", pattern.text, hints::miss(&pattern.text, &bases, &seen)));
    }
    if selected.entries.is_empty() {
        return Err(NothingThere::Files(misses));
    }
    selected.warnings.extend(misses.into_iter().map(|miss| format!("artifacts: {miss}")));
    Ok(selected)
}

/// The directories files are looked for in: one, or those a glob names.
fn bases(tree: &Tree, source: &Path, text: &str) -> Result<Vec<PathBuf>, NothingThere> {
    let fail =
        |why: String, hint: String| NothingThere::Base { directory: text.to_owned(), why, hint };
    let missing = match tree.find(&source.join(text)) {
        Ok(found) if found.is_dir() => return Ok(vec![found]),
        Ok(_) => return Err(fail("it is not a directory".into(), String::new())),
        Err(strayed) => strayed,
    };
    let top = tree.find(source).map_err(|e| fail(e.to_string(), String::new()))?;
    let mut directories = Vec::new();
    if let (Strayed::Missing, true, Ok(pattern)) = (&missing, is_glob(text), pattern(text, source))
    {
        let depth = Path::new(&pattern.text).components().count().max(1);
        for item in WalkDir::new(&top).min_depth(1).max_depth(depth).sort_by_file_name() {
            let item = item.map_err(io::Error::from)?;
            let name = item.path().strip_prefix(&top).unwrap_or(item.path());
            if item.file_type().is_dir() && pattern.matcher.is_match(name) {
                directories.push(item.into_path());
            }
        }
    }
    if directories.is_empty() {
        return Err(fail(missing.to_string(), hints::directory(&top, text)));
    }
    Ok(directories)
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// The pattern as one relative to the directory the build started in, or why it cannot be one.
fn pattern(text: &str, source: &Path) -> Result<Pattern, String> {
    let path = Path::new(text);
    let relative = if path.is_absolute() {
        path.strip_prefix(source).map_err(|_| {
            "lies outside the source directory: let the build copy it below $CODEBUILD_SRC_DIR"
                .to_owned()
        })?
    } else {
        path
    };
    // Also takes `./` and doubled slashes out.
    let mut parts = Vec::new();
    for component in relative.components() {
        match component {
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => return Err("leads out of its directory".to_owned()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    let text = parts.join("/");
    let glob =
        |text: &str| GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
    // A name with brackets that is no pattern is still a name.
    let built = glob(&text).or_else(|_| glob(&globset::escape(&text)));
    let matcher = built.map_err(|e| format!("is not a pattern: {}", e.kind()))?.compile_matcher();
    Ok(Pattern { text, matcher, matches: 0 })
}

impl Pattern {
    fn takes(&self, name: &Path) -> bool {
        // `pages/[id].js` is also the name of a file.
        self.matcher.is_match(name) || name == Path::new(&self.text)
    }
}

fn walk(
    tree: &Tree,
    base: &Path,
    set: &FileSet,
    patterns: &mut [Pattern],
    excluded: &[Pattern],
    selected: &mut Selected,
    seen: &mut Vec<PathBuf>,
) -> Result<(), NothingThere> {
    let relative = |path: &Path| path.strip_prefix(base).unwrap_or(path).to_owned();
    // A directory that is excluded by its very name is not even entered.
    let entered = |item: &walkdir::DirEntry| {
        let name = relative(item.path());
        !(item.file_type().is_dir() && excluded.iter().any(|p| Path::new(&p.text) == name))
    };
    let walk = WalkDir::new(base).min_depth(1).sort_by_file_name().into_iter();
    for item in walk.filter_entry(entered) {
        let item = item.map_err(io::Error::from)?;
        if item.file_type().is_dir() {
            continue;
        }
        let name = relative(item.path());
        let mut wanted = false;
        for pattern in patterns.iter_mut().filter(|pattern| pattern.takes(&name)) {
            pattern.matches += 1;
            wanted = true;
        }
        if wanted && !excluded.iter().any(|pattern| pattern.takes(&name)) {
            take(tree, base, &item, &name, set, selected);
        }
        seen.push(name);
    }
    Ok(())
}

fn take(
    tree: &Tree,
    base: &Path,
    item: &walkdir::DirEntry,
    name: &Path,
    set: &FileSet,
    selected: &mut Selected,
) {
    let mut warn = |why: &str| {
        selected.warnings.push(format!("artifacts: '{}' is left out: {why}", name.display()));
    };
    let entry = if item.file_type().is_file() {
        Entry { path: item.path().to_owned(), kind: Kind::File }
    } else if item.file_type().is_symlink() {
        match linked(tree, base, item.path(), set.enable_symlinks) {
            Ok(entry) => entry,
            Err(why) => return warn(&why),
        }
    } else {
        return warn("it is neither a file nor a link");
    };
    let name = match (set.discard_paths, name.file_name()) {
        (true, Some(last)) => PathBuf::from(last),
        (true | false, _) => name.to_owned(),
    };
    if let Some(other) = selected.entries.insert(name.clone(), entry)
        && let Some(entry) = selected.entries.get(&name)
    {
        selected.warnings.push(format!(
            "artifacts: two files are called '{}': {} replaces {}",
            name.display(),
            shown(tree, &entry.path),
            shown(tree, &other.path),
        ));
    }
}

fn shown(tree: &Tree, path: &Path) -> String {
    path.strip_prefix(&tree.host).unwrap_or(path).display().to_string()
}

/// What a link becomes: the file it leads to, or a link if links are kept.
fn linked(tree: &Tree, base: &Path, link: &Path, keep: bool) -> Result<Entry, String> {
    let inside = |path: &Path| tree.inside.join(path.strip_prefix(&tree.host).unwrap_or(path));
    let target = tree.find(&inside(link)).map_err(|e| format!("the link is not usable, {e}"))?;
    if keep {
        let Ok(within) = target.strip_prefix(base) else {
            return Err("the link leads out of the artifact's directory".to_owned());
        };
        let from = link.strip_prefix(base).unwrap_or(link);
        let ups = from.components().count().saturating_sub(1);
        let climb: PathBuf = std::iter::repeat_n("..", ups).collect();
        return Ok(Entry { path: link.to_owned(), kind: Kind::Link(climb.join(within)) });
    }
    if target.is_file() {
        return Ok(Entry { path: target, kind: Kind::File });
    }
    Err("it is a link to a directory; `enable-symlinks: yes` keeps links".to_owned())
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
