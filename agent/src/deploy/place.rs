//! Where an appspec may write: anywhere absolute, except where a host keeps what is no file of any
//! application.

use std::path::{Component, Path, PathBuf};

/// Not files of any application, whatever an appspec says.
const NEVER: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Destination rules.
pub struct Places;

impl Places {
    /// The destination as a clean path.
    ///
    /// # Errors
    /// Why nothing may be written there, for people.
    pub fn check(destination: &str, state: &Path) -> Result<PathBuf, String> {
        let path = Path::new(destination);
        if !path.is_absolute() {
            return Err(format!("destination '{destination}' is not absolute"));
        }
        if path.components().any(|c| matches!(c, Component::ParentDir)) {
            return Err(format!("destination '{destination}' has '..' in it"));
        }
        let path: PathBuf = path.components().collect();
        match Places::forbidden(&path, state) {
            Some(why) => Err(format!("destination '{destination}' {why}")),
            None => Ok(path),
        }
    }

    /// Why nothing may be written at this place, if so.
    pub fn forbidden(path: &Path, state: &Path) -> Option<String> {
        // Links on the way decide where the files would really land.
        let landing = real(path);
        let inside = |root: &Path| landing.starts_with(root) || path.starts_with(root);
        if let Some(root) = NEVER.iter().find(|root| inside(Path::new(root))) {
            return Some(format!("lies in {root}"));
        }
        let own = inside(state) || inside(&real(state));
        own.then(|| "lies in the agent's own directory".to_owned())
    }
}

/// Where a path leads, as far as it is there.
pub fn real(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let (Ok(found), Ok(rest)) = (above.canonicalize(), path.strip_prefix(above)) {
            return found.join(rest);
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_where_a_host_keeps_itself_or_the_agent_its_books() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().canonicalize().unwrap().join("state");
        std::fs::create_dir(&state).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/proc", &link).unwrap();
        let inside = state.join("x").display().to_string();
        let through = link.join("sys/x").display().to_string();
        let bad = ["app", "/srv/../etc", "/proc/sys", "/dev", "/sys/kernel", &inside, &through];
        for bad in bad {
            assert!(Places::check(bad, &state).is_err(), "{bad}");
        }
        let other = dir.path().join("other");
        std::os::unix::fs::symlink(dir.path(), &other).unwrap();
        assert!(Places::check(&inside, &other.join("state")).is_err(), "by another way");
        assert_eq!(Places::check("/srv//app/./x/", &state), Ok("/srv/app/x".into()));
        assert_eq!(Places::check("/", &state), Ok("/".into()));
    }
}
