//! The two ways a host keeps a program running: systemd, or a script in `/etc/init.d`.

use super::{Layout, SERVICE};
use anyhow::{Context, Result, bail};
use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const UNIT: &str = include_str!("pipeyard-agent.service");
const SCRIPT: &str = include_str!("pipeyard-agent.init");
const ROTATION: &str = "/var/log/pipeyard-agent.log {\n    weekly\n    rotate 4\n    compress\n    \
                        missingok\n    notifempty\n    copytruncate\n}\n";
/// For what is called. Nothing of our own environment is passed on: a join token may be in it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What keeps the agent running on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    Systemd,
    Init,
}

impl Keeper {
    /// The one that runs this host.
    #[must_use]
    pub fn of_this_host() -> Keeper {
        // Where systemd says a program should look.
        if Path::new("/run/systemd/system").is_dir() { Keeper::Systemd } else { Keeper::Init }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Keeper::Systemd => "systemd",
            Keeper::Init => "init script",
        }
    }

    /// Where a person reads what the agent said.
    #[must_use]
    pub fn log_hint(self, layout: &Layout) -> String {
        match self {
            Keeper::Systemd => format!("journalctl -u {SERVICE}"),
            Keeper::Init => layout.log().display().to_string(),
        }
    }

    #[must_use]
    pub fn is_installed(self, layout: &Layout) -> bool {
        match self {
            Keeper::Systemd => layout.unit().exists(),
            Keeper::Init => layout.script().exists(),
        }
    }

    /// Writes what the keeper needs to know; says whether that is new.
    pub fn write(self, layout: &Layout) -> Result<bool> {
        match self {
            Keeper::Systemd => replaced(&layout.unit(), UNIT, 0o644),
            Keeper::Init => {
                let rotation = layout.rotation();
                if rotation.parent().is_some_and(Path::is_dir) {
                    replaced(&rotation, ROTATION, 0o644)?;
                }
                replaced(&layout.script(), SCRIPT, 0o755)
            }
        }
    }

    /// Starts the agent now and with the host; one that runs is started again.
    pub fn restart(self, layout: &Layout) -> Result<()> {
        match self {
            Keeper::Systemd => {
                call("systemctl", &["daemon-reload"])?;
                call("systemctl", &["enable", SERVICE])?;
                call("systemctl", &["restart", SERVICE])
            }
            Keeper::Init => {
                // Debian's, and that of others. A host with neither starts the script in its own way.
                if call("update-rc.d", &[SERVICE, "defaults"]).is_err() {
                    let _ = call("chkconfig", &["--add", SERVICE]);
                }
                call(&layout.script().to_string_lossy(), &["restart"])
            }
        }
    }

    /// Ends the agent and takes care that it is not started with the host. One that is not there is fine.
    pub fn stop(self, layout: &Layout) -> Result<()> {
        if !self.is_installed(layout) {
            return Ok(());
        }
        match self {
            Keeper::Systemd => call("systemctl", &["disable", "--now", SERVICE]),
            Keeper::Init => call(&layout.script().to_string_lossy(), &["stop"]),
        }
    }

    /// After its files are gone.
    pub fn forget(self) {
        match self {
            Keeper::Systemd => {
                let _ = call("systemctl", &["daemon-reload"]);
                // A unit that failed is otherwise remembered.
                let _ = call("systemctl", &["reset-failed", SERVICE]);
            }
            Keeper::Init => {
                if call("update-rc.d", &[SERVICE, "remove"]).is_err() {
                    let _ = call("chkconfig", &["--del", SERVICE]);
                }
            }
        }
    }

    #[must_use]
    pub fn is_running(self, layout: &Layout) -> bool {
        match self {
            Keeper::Systemd => call("systemctl", &["is-active", "--quiet", SERVICE]).is_ok(),
            Keeper::Init => call(&layout.script().to_string_lossy(), &["status"]).is_ok(),
        }
    }
}

/// Writes a file that everybody may read, if it is not there in these words.
fn replaced(path: &Path, text: &str, mode: u32) -> Result<bool> {
    if std::fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(false);
    }
    let write = || -> std::io::Result<()> {
        let fresh = path.with_extension("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    };
    write().with_context(|| format!("writing {}", path.display()))?;
    Ok(true)
}

fn call(program: &str, words: &[&str]) -> Result<()> {
    let Output { status, stdout, stderr } = Command::new(program)
        .args(words)
        .env_clear()
        .env("PATH", PATH)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("calling {program}"))?;
    if !status.success() {
        let said = [stderr, stdout].map(|text| String::from_utf8_lossy(&text).trim().to_owned());
        bail!("{program} {}: {} ({status})", words.join(" "), said.join(" ").trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_does_not_start_a_revoked_agent_again() {
        assert!(UNIT.contains(&format!("RestartPreventExitStatus={}", super::super::REVOKED)));
        assert!(SCRIPT.contains(&format!("revoked={}", super::super::REVOKED)));
    }

    #[test]
    fn what_is_written_names_what_uninstalling_removes() {
        let layout = Layout::default();
        for path in [layout.program(), layout.settings()] {
            let path = path.display().to_string();
            assert!(UNIT.contains(&path) && SCRIPT.contains(&path), "{path}");
        }
        for path in [layout.log(), layout.pid()] {
            assert!(SCRIPT.contains(&path.display().to_string()), "{}", path.display());
        }
        assert!(ROTATION.starts_with(&layout.log().display().to_string()));
    }

    #[test]
    fn nothing_of_our_environment_is_passed_on() {
        call("sh", &["-c", "[ -z \"${CARGO_MANIFEST_DIR-}\" ]"]).unwrap();
        let said = call("sh", &["-c", "echo no >&2; exit 3"]).unwrap_err().to_string();
        assert!(said.contains("no (exit status: 3)"), "{said}");
    }

    #[test]
    fn a_file_is_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.service");
        assert!(replaced(&path, "a", 0o644).unwrap());
        assert!(!replaced(&path, "a", 0o644).unwrap());
        assert!(replaced(&path, "b", 0o755).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
    }
}
