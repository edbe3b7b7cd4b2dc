//! Runs one script of a lifecycle event: its own process group, no input, its output line by line
//! in the task's log, an end by its own time limit or by the word to stop.

use super::fault::Fault;
use super::output::{Drain, Lines, drain};
use super::privileges::Account;
use super::processes::{GRACE, Group, holders};
use crate::context::{Cancel, LogWriter};
use nix::unistd::Uid;
use pipelines::protocol::report::ErrorCode;
use pipelines::spec::appspec::Hook;
use pipelines::time::Millis;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Component, Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};

/// Holds the script back until its process group is in the journal, so that there is no moment in
/// which a crash of the agent would leave something running that nobody knows. When the agent dies
/// first, `read` fails and nothing runs. `exec` also runs files that forgot their `#!` line.
const GATE: &str = "read -r go || exit 125; exec \"$@\" </dev/null";
/// How long output may stay open after a script ended.
const LEFT_OPEN: Duration = Duration::from_secs(2);
/// AWS's default.
const TIMEOUT: Millis = Millis::from_secs(3600);

/// A script and everything it is given.
pub struct Script<'a> {
    pub event: &'a str,
    pub release: &'a Path,
    pub hook: &'a Hook,
    /// All of its environment, apart from what its user adds.
    pub env: &'a [(String, String)],
    /// What is left for it of the event's time; its own limit may be shorter.
    pub left: Millis,
    pub log: &'a LogWriter,
    pub cancel: &'a Cancel,
}

/// How a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Exit(i32),
    Signal(i32),
    TimedOut(Millis),
    /// The task was told to stop, and the script with it.
    Told,
}

impl Ended {
    fn of(status: ExitStatus) -> Ended {
        match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Exit(code),
            (None, signal) => Ended::Signal(signal.unwrap_or(0)),
        }
    }

    /// As shells tell it.
    #[must_use]
    pub fn exit_code(self) -> Option<i32> {
        match self {
            Ended::Exit(code) => Some(code),
            Ended::Signal(signal) => Some(128 + signal),
            Ended::TimedOut(_) | Ended::Told => None,
        }
    }
}

/// Finds a script in its release.
///
/// # Errors
/// `ScriptMissing` when it is not there or not inside.
pub fn find(release: &Path, location: &str) -> Result<PathBuf, Fault> {
    let missing = |why: &str| {
        let message = format!("script '{location}' {why}");
        Fault::of_script(ErrorCode::ScriptMissing, location, message)
    };
    let relative = Path::new(location.trim().trim_start_matches('/'));
    let plain = |c: Component<'_>| matches!(c, Component::Normal(_) | Component::CurDir);
    if relative.as_os_str().is_empty() || !relative.components().all(plain) {
        return Err(missing("is not a path inside the bundle"));
    }
    let release = release.canonicalize().map_err(|_| missing("has lost its release"))?;
    let path = release.join(relative);
    match path.canonicalize() {
        Ok(real) if !real.starts_with(&release) => Err(missing("leads out of the bundle")),
        Ok(real) if !real.is_file() => Err(missing("is not a file")),
        Ok(_) => Ok(path),
        Err(_) => Err(missing("is not in the bundle")),
    }
}

/// Who runs a hook.
///
/// # Errors
/// When the user is not known here.
pub fn account(hook: &Hook) -> Result<Account, Fault> {
    let found = match &hook.runas {
        None => Account::own().map(Some),
        Some(name) => Account::named(name),
    };
    let name = hook.runas.as_deref().unwrap_or("the agent's own user");
    let wrong = |why: String| {
        let message = format!("script '{}' is to run as '{name}': {why}", hook.location);
        Fault::of_script(ErrorCode::AppspecInvalid, &hook.location, message)
    };
    let account = found
        .map_err(|e| wrong(e.to_string()))?
        .ok_or_else(|| wrong("there is no such user on this host".to_owned()))?;
    match account.refusal(Uid::effective()) {
        Some(why) => Err(wrong(why)),
        None => Ok(account),
    }
}

impl Script<'_> {
    /// Runs it to its end. `starting` is told its process group before any of it runs.
    ///
    /// # Errors
    /// When it could not be started.
    pub async fn run<F: Future<Output = io::Result<()>>>(
        &self,
        starting: impl FnOnce(Group) -> F,
    ) -> Result<Ended, Fault> {
        let path = find(self.release, &self.hook.location)?;
        self.make_executable(&path)?;
        let account = account(self.hook)?;
        let (mut child, pipe) = self.spawn(&path, &account).map_err(|e| self.cannot_start(&e))?;
        let pid = child.id().unwrap_or_default().cast_signed();
        let group = Group::led_by(pid).map_err(|e| self.cannot_start(&e))?;
        if let Err(e) = starting(group.clone()).await {
            group.kill();
            return Err(Fault::disk("writing the journal", &e));
        }
        let mut gate = child.stdin.take();
        if let Some(gate) = &mut gate {
            // A script that is gone already will say so by its exit code.
            let _ = gate.write_all(b"go\n").await;
        }
        drop(gate);
        self.attend(child, pipe, &group).await.map_err(|e| {
            // Nobody looks after it any more.
            group.kill();
            self.cannot_start(&e)
        })
    }

    fn cannot_start(&self, error: &io::Error) -> Fault {
        let location = &self.hook.location;
        let message = format!("script '{location}' could not be run: {error}");
        Fault::of_script(ErrorCode::ScriptFailed, location, message)
    }

    fn make_executable(&self, path: &Path) -> Result<(), Fault> {
        let executable = std::fs::metadata(path).and_then(|meta| {
            let mut permissions = meta.permissions();
            if permissions.mode() & 0o111 != 0 {
                return Ok(());
            }
            permissions.set_mode(permissions.mode() | 0o755);
            std::fs::set_permissions(path, permissions)
        });
        let location = &self.hook.location;
        executable.map_err(|e| {
            let message = format!("script '{location}' cannot be made executable: {e}");
            Fault::of_script(ErrorCode::ScriptNotExecutable, location, message)
        })
    }

    fn spawn(&self, path: &Path, account: &Account) -> io::Result<(Child, pipe::Receiver)> {
        let (ours, theirs) = io::pipe()?;
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(GATE).arg("sh");
        if self.hook.sudo && !Uid::effective().is_root() {
            command.args(["sudo", "-n", "-E", "--"]);
        }
        command
            .arg(path)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C.UTF-8")
            .env("HOME", &account.home)
            .env("USER", &account.name)
            .env("LOGNAME", &account.name)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.release)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(theirs.try_clone()?)
            .stderr(theirs);
        account.assume(&mut command);
        let child = command.spawn()?;
        Ok((child, pipe::Receiver::from_owned_fd(OwnedFd::from(ours))?))
    }

    async fn attend(
        &self,
        mut child: Child,
        mut pipe: pipe::Receiver,
        group: &Group,
    ) -> io::Result<Ended> {
        let mut lines = Lines::new(self.log, self.event, &self.hook.location);
        let limit = self.hook.timeout.unwrap_or(TIMEOUT).min(self.left);
        let deadline = Instant::now() + limit.to_std();
        let (mut verdict, mut kill_at) = (None, None);
        let mut buffer = vec![0; 16 * 1024];
        let mut open = true;
        let status = loop {
            let asked_to_end = verdict.is_some();
            tokio::select! {
                read = pipe.read(&mut buffer), if open => match read? {
                    0 => open = false,
                    n => lines.put(&buffer[..n]).await,
                },
                status = child.wait() => break status?,
                () = sleep_until(deadline), if !asked_to_end => {
                    verdict = Some(Ended::TimedOut(limit));
                }
                () = self.cancel.killed(), if !asked_to_end => verdict = Some(Ended::Told),
                () = sleep_until(kill_at.unwrap_or(deadline)), if kill_at.is_some() => {
                    group.kill();
                    kill_at = None;
                }
            }
            if verdict.is_some() && !asked_to_end {
                group.terminate();
                kill_at = Some(Instant::now() + GRACE);
            }
        };
        if let Some(at) = kill_at {
            // What the script started may need its grace even though the script itself has gone.
            if open {
                open = drain(&mut pipe, &mut lines, at).await == Drain::StillOpen;
            }
            group.kill();
        }
        if open
            && drain(&mut pipe, &mut lines, Instant::now() + LEFT_OPEN).await == Drain::StillOpen
        {
            self.leave_open(pipe, &mut lines).await;
        }
        lines.end().await;
        Ok(verdict.unwrap_or_else(|| Ended::of(status)))
    }

    /// Something the script left behind holds its output. CodeDeploy would fail here in the end; we
    /// say who it is and go on. The pipe is still read, or the next line would kill the holder.
    async fn leave_open(&self, mut pipe: pipe::Receiver, lines: &mut Lines<'_>) {
        let inode = std::fs::metadata(format!("/proc/self/fd/{}", pipe.as_raw_fd()))
            .map(|meta| meta.ino())
            .unwrap_or_default();
        let who: Vec<String> =
            holders(inode).iter().map(|(pid, name)| format!("{name} (pid {pid})")).collect();
        let who = if who.is_empty() { "a process".to_owned() } else { who.join(", ") };
        lines.end().await;
        lines
            .say(&format!(
                "warning: the script ended, but {who} keeps its output open. What it writes from \
                 here on is lost: start it with >LOGFILE 2>&1, or as a service"
            ))
            .await;
        tokio::spawn(async move {
            let mut sink = vec![0; 4096];
            while matches!(pipe.read(&mut sink).await, Ok(n) if n > 0) {}
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Spool;
    use std::sync::Arc;

    #[tokio::test]
    async fn nothing_of_a_script_runs_before_its_group_is_in_the_journal() {
        let dir = tempfile::tempdir().unwrap();
        let release = dir.path();
        std::fs::write(release.join("s.sh"), "#!/bin/sh\ntouch ran\n").unwrap();
        let hook = Hook { location: "s.sh".into(), timeout: None, runas: None, sudo: false };
        let log = LogWriter::new(Arc::new(Spool::open(&release.join("log")).unwrap()));
        let cancel = Cancel::default();
        let script = Script {
            event: "AfterInstall",
            release,
            hook: &hook,
            env: &[],
            left: TIMEOUT,
            log: &log,
            cancel: &cancel,
        };
        let ran = || release.join("ran").exists();
        let early = std::cell::Cell::new(false);
        let look = |result: io::Result<()>| {
            let early = &early;
            async move {
                // Long enough for a script that is not held back to show itself.
                let until = Instant::now() + Duration::from_millis(300);
                while !ran() && Instant::now() < until {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                early.set(early.get() | ran());
                result
            }
        };
        let refused = script.run(|_| look(Err(io::ErrorKind::StorageFull.into()))).await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::OutOfDisk);
        assert!(!ran(), "it could not be noted, and ran");
        assert_eq!(script.run(|_| look(Ok(()))).await, Ok(Ended::Exit(0)));
        assert!(!early.get() && ran());
    }
}
