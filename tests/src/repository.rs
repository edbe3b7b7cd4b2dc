//! A developer's clone of the repository.

use crate::files::Revision;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

pub struct Repository {
    directory: TempDir,
    remote: String,
}

impl Repository {
    /// An empty clone that pushes to `remote`.
    ///
    /// # Panics
    /// When git refuses.
    #[must_use]
    pub fn new(remote: String) -> Repository {
        let directory = tempfile::tempdir().expect("a directory for a clone");
        let repository = Repository { directory, remote };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    /// Commits a revision of the application and returns the commit's id.
    pub fn commit(&self, revision: &Revision, message: &str) -> String {
        for (path, text) in revision.files() {
            let path: PathBuf = self.directory.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a file has a directory"))
                .expect("a directory");
            std::fs::write(path, text).expect("a file");
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Pushes; the output says why when it was refused.
    pub fn try_push(&self) -> Output {
        self.command(&["push", "--quiet", &self.remote, "main"]).output().expect("running git")
    }

    /// A push to a changed address, to be run by the caller.
    #[must_use]
    pub fn with_remote(&self, change: impl FnOnce(&str) -> String) -> Command {
        self.command(&["push", "--quiet", &change(&self.remote), "main"])
    }

    pub fn push(&self) {
        let output = self.try_push();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git push: {said}");
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("running git");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .current_dir(self.directory.path())
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
            .args(arguments)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("no_proxy", "*");
        command
    }
}
