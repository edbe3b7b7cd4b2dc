//! A Postgres the stories can restart: the one thing a private one does not offer.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub struct Postgres {
    directory: TempDir,
    programs: PathBuf,
}

impl Postgres {
    /// Starts a server of its own on a socket.
    ///
    /// # Panics
    /// When the server programs are missing or refuse.
    #[must_use]
    pub fn start() -> Postgres {
        let programs = programs();
        let directory = tempfile::tempdir().expect("a directory for Postgres");
        let postgres = Postgres { directory, programs };
        run(Command::new("chown").arg("postgres").arg(postgres.path()));
        postgres.program("initdb", &["--auth=trust", "--no-sync", "-U", "postgres", "-E", "UTF8"]);
        postgres.control("start");
        postgres
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn program(&self, name: &str, arguments: &[&str]) {
        let data = self.path().join("data");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
        command.arg(self.programs.join(name)).arg("-D").arg(data).args(arguments);
        run(command.current_dir("/"));
    }

    fn control(&self, verb: &str) {
        let log = self.path().join("log").display().to_string();
        let sockets = self.path().display();
        let settings = format!("-k {sockets} -c listen_addresses=");
        let arguments =
            ["-w", "-s", "-m", "immediate", "-l", log.as_str(), "-o", settings.as_str(), verb];
        // start takes no shutdown mode
        let arguments: Vec<&str> = match verb {
            "start" => {
                arguments.iter().filter(|a| !["-m", "immediate"].contains(a)).copied().collect()
            }
            _ => arguments.to_vec(),
        };
        self.program("pg_ctl", &arguments);
    }

    /// Stops the server as a crash would and starts it again.
    pub fn crash_and_restart(&self) {
        self.control("restart");
    }

    #[must_use]
    pub fn url(&self) -> String {
        let host = self.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{host}/postgres")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.control("stop");
    }
}

fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL's server programs");
    let mut found: Vec<PathBuf> =
        versions.flatten().map(|entry| entry.path().join("bin")).collect();
    found.sort();
    found.pop().expect("PostgreSQL's server programs: run 'make setup'")
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
