//! The agent on its host: installed, kept running by the host's own means, removed again.
//!
//! What an installation makes is listed once, in [`Layout`]; uninstalling removes that list and looks
//! whether anything of it is left.

pub mod install;
mod service;
mod settings;
pub mod uninstall;

pub use service::Keeper;
pub use settings::Settings;

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// Where the agent keeps its state unless told otherwise.
pub const STATE_DIR: &str = "/var/lib/pipeyard-agent";
/// The service's name, with systemd and elsewhere.
pub const SERVICE: &str = "pipeyard-agent";
/// The program's exit code when the controller does not know it any more: starting it again would not
/// help. sysexits.h calls it "permission denied".
pub const REVOKED: u8 = 77;

/// Everything an installation makes outside the state directory.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Default for Layout {
    fn default() -> Layout {
        Layout { root: "/".into() }
    }
}

impl Layout {
    #[must_use]
    pub fn program(&self) -> PathBuf {
        self.root.join("usr/local/bin/pipeyard-agent")
    }

    /// How the operator set the agent up: `PIPEYARD_SLOTS='4'`.
    #[must_use]
    pub fn settings(&self) -> PathBuf {
        self.root.join("etc/pipeyard-agent.env")
    }

    /// What systemd runs.
    #[must_use]
    pub fn unit(&self) -> PathBuf {
        self.root.join("etc/systemd/system/pipeyard-agent.service")
    }

    /// What other service managers run.
    #[must_use]
    pub fn script(&self) -> PathBuf {
        self.root.join("etc/init.d/pipeyard-agent")
    }

    /// Where the script's agent writes; with systemd that is the journal.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("var/log/pipeyard-agent.log")
    }

    #[must_use]
    pub fn rotation(&self) -> PathBuf {
        self.root.join("etc/logrotate.d/pipeyard-agent")
    }

    fn pid(&self) -> PathBuf {
        self.root.join("run/pipeyard-agent.pid")
    }

    /// All of it that is there now, and what a download that was cut off left.
    #[must_use]
    pub fn made(&self) -> Vec<PathBuf> {
        let bin = self.program().parent().map(Path::to_owned).unwrap_or_default();
        let mut made = vec![
            self.program(),
            self.settings(),
            self.unit(),
            self.script(),
            self.rotation(),
            self.pid(),
        ];
        made.extend(beginning_with(&bin, ".pipeyard."));
        // With what rotating made of it.
        made.extend(beginning_with(&self.root.join("var/log"), "pipeyard-agent.log"));
        made.retain(|path| path.symlink_metadata().is_ok());
        made
    }
}

fn beginning_with(dir: &Path, start: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let named = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with(start);
    entries.filter(named).map(|entry| entry.path()).collect()
}

fn need_root(what: &str) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("'pipeyard-agent {what}' needs root: repeat it as root, or with sudo");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_counts_as_made() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout { root: root.path().to_owned() };
        assert!(layout.made().is_empty());
        let at = |path: &str| root.path().join(path);
        std::fs::create_dir_all(at("usr/local/bin/.pipeyard.x7")).unwrap();
        std::fs::create_dir_all(at("var/log")).unwrap();
        for file in ["usr/local/bin/pipeyard-agent", "var/log/pipeyard-agent.log.1", "var/log/x"] {
            std::fs::write(at(file), "").unwrap();
        }
        let mut made = layout.made();
        made.sort();
        let mut expected = [
            at("usr/local/bin/.pipeyard.x7"),
            at("usr/local/bin/pipeyard-agent"),
            at("var/log/pipeyard-agent.log.1"),
        ];
        expected.sort();
        assert_eq!(made, expected);
    }
}
