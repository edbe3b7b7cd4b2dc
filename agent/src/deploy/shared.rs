//! Paths of a group that outlive every revision: uploads, databases, what people put there.

use super::place::real;
use super::plan::Problem;
use pipelines::protocol::report::ErrorCode;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// Nothing at or below these is removed or replaced by an installation.
#[derive(Debug, Clone, Default)]
pub struct Shared {
    /// As written, and where that leads.
    paths: Vec<(PathBuf, PathBuf)>,
}

impl Shared {
    /// With what is wrong about them.
    pub fn of(paths: &[String]) -> (Shared, Vec<Problem>) {
        let (mut shared, mut problems) = (Shared::default(), Vec::new());
        for text in paths {
            let path = Path::new(text);
            let plain = |c: Component<'_>| !matches!(c, Component::ParentDir);
            if !path.is_absolute() || !path.components().all(plain) {
                let text =
                    format!("the group's shared path '{text}' has to be absolute, without '..'");
                problems.push(Problem::new(ErrorCode::AppspecInvalid, text));
                continue;
            }
            let path: PathBuf = path.components().collect();
            shared.paths.push((path.clone(), real(&path)));
        }
        (shared, problems)
    }

    /// Whether a path is one of them or lies below one, by name or by where it leads.
    #[must_use]
    pub fn covers(&self, path: &Path) -> bool {
        self.covering(path).is_some()
    }

    fn covering(&self, path: &Path) -> Option<&Path> {
        if self.paths.is_empty() {
            return None;
        }
        let landing = landing(path);
        let covers = |(shared, leads): &&(PathBuf, PathBuf)| {
            path.starts_with(shared) || landing.starts_with(leads)
        };
        self.paths.iter().find(covers).map(|(shared, _)| shared.as_path())
    }

    /// Whether taking this path away would take a shared one along.
    #[must_use]
    pub fn touches(&self, path: &Path) -> bool {
        let landing = if self.paths.is_empty() { PathBuf::new() } else { landing(path) };
        let below = |(shared, leads): &(PathBuf, PathBuf)| {
            shared.starts_with(path) || leads.starts_with(&landing)
        };
        self.paths.iter().any(below) || self.covers(path)
    }

    /// How many of the paths each of them covers, where any.
    pub fn count<'p>(&self, paths: impl Iterator<Item = &'p PathBuf>) -> BTreeMap<&Path, usize> {
        let mut counts = BTreeMap::new();
        for shared in paths.filter_map(|path| self.covering(path)) {
            *counts.entry(shared).or_default() += 1;
        }
        counts
    }
}

/// Where a path is: links on the way are followed, one at its end is not.
fn landing(path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => real(parent).join(name),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_path_is_known_by_every_way_that_leads_there() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(top.join("data/uploads")).unwrap();
        std::os::unix::fs::symlink(top.join("data"), top.join("app")).unwrap();
        let written = top.join("data/uploads/").display().to_string();
        let (shared, problems) = Shared::of(&[written]);
        assert_eq!(problems, []);
        for (path, covered, touched) in [
            ("data/uploads", true, true),
            ("data/uploads/a/b", true, true),
            ("app/uploads/a", true, true),
            ("data", false, true),
            ("data/uploads2", false, false),
            ("other", false, false),
        ] {
            let path = top.join(path);
            assert_eq!(
                (shared.covers(&path), shared.touches(&path)),
                (covered, touched),
                "{path:?}"
            );
        }
        for bad in ["uploads", "/srv/../etc"] {
            assert_eq!(Shared::of(&[bad.to_owned()]).1.len(), 1, "{bad}");
        }
        assert!(!Shared::default().touches(Path::new("/")));
    }
}
