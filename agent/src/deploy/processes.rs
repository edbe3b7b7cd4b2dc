//! What `/proc` says about processes: when one began, which ones belong to a task, and which keep a
//! script's output open.

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::io;
use std::time::{Duration, Instant};

/// The variable by which a hook's processes are known again after the agent was started anew.
pub const MARK: &str = "PIPEYARD_TASK";
/// Between TERM and KILL.
pub const GRACE: Duration = Duration::from_secs(5);

/// A process group, told apart from a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub pgid: i32,
    /// Clock ticks after boot at which its leader began.
    started: u64,
    boot: String,
}

impl Group {
    /// The group that this process leads.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn led_by(pid: i32) -> io::Result<Group> {
        let began = stat(pid).ok_or(io::ErrorKind::NotFound)?;
        Ok(Group { pgid: pid, started: began.started, boot: boot()? })
    }

    /// Sends TERM to all of the group.
    pub fn terminate(&self) {
        signal(self.pgid, Signal::SIGTERM);
    }

    /// Sends KILL to all of the group.
    pub fn kill(&self) {
        signal(self.pgid, Signal::SIGKILL);
    }

    /// Ends what an earlier life of the agent left running; says whether there was anything.
    /// Blocks.
    #[must_use]
    pub fn end_leftover(&self, mark: &str) -> bool {
        if !self.is_still_ours(mark) {
            return false;
        }
        self.terminate();
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline && !members(self.pgid).is_empty() {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
        true
    }

    fn is_still_ours(&self, mark: &str) -> bool {
        if boot().ok().as_ref() != Some(&self.boot) {
            return false;
        }
        match stat(self.pgid) {
            // A leader that is there decides; its number may have gone to somebody else.
            Some(leader) => leader.started == self.started && leader.pgid == self.pgid,
            // A number is not given out again while a group has it, but groups can come and go.
            None => members(self.pgid).iter().any(|pid| carries(*pid, mark)),
        }
    }
}

fn signal(pgid: i32, signal: Signal) {
    match killpg(Pid::from_raw(pgid), signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(e) => tracing::warn!("cannot send {signal} to process group {pgid}: {e}"),
    }
}

fn boot() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

struct Stat {
    pgid: i32,
    started: u64,
    dead: bool,
}

fn stat(pid: i32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, so the fields are counted from its end.
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    Some(Stat {
        dead: matches!(*fields.first()?, "Z" | "X"),
        pgid: fields.get(2)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

fn pids() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
}

fn members(pgid: i32) -> Vec<i32> {
    let alive = |pid: &i32| stat(*pid).is_some_and(|s| s.pgid == pgid && !s.dead);
    pids().into_iter().filter(alive).collect()
}

fn carries(pid: i32, mark: &str) -> bool {
    let wanted = format!("{MARK}={mark}");
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|env| env.split(|b| *b == 0).any(|var| var == wanted.as_bytes()))
}

/// Who else has the pipe with this inode open: number and name of each process.
#[must_use]
pub fn holders(pipe_inode: u64) -> Vec<(i32, String)> {
    let target = format!("pipe:[{pipe_inode}]");
    let me = std::process::id().cast_signed();
    let holds = |pid: &i32| {
        let Ok(fds) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        fds.flatten()
            .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|l| l.as_os_str() == &*target))
    };
    let named = |pid: i32| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        (pid, name.trim().to_owned())
    };
    pids().into_iter().filter(|pid| *pid != me).filter(holds).map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    fn sleeper(mark: &str) -> std::process::Child {
        Command::new("sleep").arg("60").env(MARK, mark).process_group(0).spawn().unwrap()
    }

    #[test]
    fn a_leftover_is_ended_but_never_somebody_with_its_number() {
        let mut child = sleeper("t-1.1");
        let group = Group::led_by(child.id().cast_signed()).unwrap();
        let later = Group { started: group.started + 1, ..group.clone() };
        assert!(!later.end_leftover("t-1.1"));
        let other_boot = Group { boot: "x".into(), ..group.clone() };
        assert!(!other_boot.end_leftover("t-1.1"));
        assert!(child.try_wait().unwrap().is_none());
        // The test is the parent and has to collect it, or it stays as a zombie.
        let ended = std::thread::spawn(move || group.end_leftover("t-1.1"));
        child.wait().unwrap();
        assert!(ended.join().unwrap());
    }

    #[test]
    fn members_are_known_by_their_mark_when_the_leader_is_gone() {
        let mut leader = Command::new("sh")
            .args(["-c", "sleep 60 & exec true"])
            .env(MARK, "t-2.1")
            .process_group(0)
            .spawn()
            .unwrap();
        let group = Group::led_by(leader.id().cast_signed()).unwrap();
        leader.wait().unwrap();
        assert!(!group.is_still_ours("t-3.1"));
        assert!(group.is_still_ours("t-2.1"));
        group.kill();
    }
}
