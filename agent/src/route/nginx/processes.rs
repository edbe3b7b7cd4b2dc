//! nginx's processes and their connections, as the kernel knows them.

use crate::route::fault::Fault;
use procfs::net::TcpState;
use procfs::process::{FDTarget, Process, all_processes};
use procfs::{Current, ProcError, Uptime};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The process that reloads, and whose children do the work.
#[derive(Debug)]
pub struct Master {
    pid: i32,
    started: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    pid: i32,
    started: u64,
    /// It ends what it began, and takes nothing new.
    pub is_leaving: bool,
}

impl Worker {
    /// By this machine's clock; None when the kernel does not say how long it runs.
    pub fn began(&self) -> Option<SystemTime> {
        let ran = Uptime::current().ok()?.uptime_duration();
        let ticks = procfs::ticks_per_second();
        let after = Duration::from_millis(self.started.checked_mul(1000)? / ticks.max(1));
        SystemTime::now().checked_sub(ran.checked_sub(after).unwrap_or_default())
    }

    /// Pids are used again.
    pub fn is_same(&self, other: &Worker) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }
}

impl Master {
    /// # Errors
    /// When no nginx runs by this file.
    pub fn find(pid_file: &Path) -> Result<Master, Fault> {
        let shown = pid_file.display();
        let gone = |why: &str| {
            let message =
                format!("nginx does not run ({why}): `systemctl status nginx` says why not");
            Fault::router(message)
        };
        let text = std::fs::read_to_string(pid_file).map_err(|e| gone(&format!("{shown}: {e}")))?;
        let pid = text.trim().parse().map_err(|_| gone(&format!("{shown} holds no number")))?;
        let stat = Process::new(pid).and_then(|process| process.stat());
        let stat = stat.map_err(|_| gone(&format!("there is no process {pid}, of {shown}")))?;
        Ok(Master { pid, started: stat.starttime })
    }

    /// Another one after every start. Not after a reload, which forgets nothing.
    pub fn life(&self) -> String {
        format!("{}-{}", self.pid, self.started)
    }

    pub fn workers(&self) -> Result<Vec<Worker>, Fault> {
        let mut workers = Vec::new();
        for process in all_processes().map_err(|e| strange(&e))? {
            // One that ended while it was looked at is not there.
            let Some((stat, title)) =
                process.ok().and_then(|p| Some((p.stat().ok()?, p.cmdline().ok()?.join(" "))))
            else {
                continue;
            };
            if stat.ppid == self.pid && title.contains("worker process") {
                let is_leaving = title.contains("shutting down");
                workers.push(Worker { pid: stat.pid, started: stat.starttime, is_leaving });
            }
        }
        Ok(workers)
    }

    /// How many connections the workers have, by whom they are to.
    pub fn connections(&self) -> Result<BTreeMap<SocketAddr, u32>, Fault> {
        let mut open: BTreeMap<SocketAddr, u32> = BTreeMap::new();
        let mut sockets = BTreeSet::new();
        for worker in self.workers()? {
            match own_sockets(worker.pid) {
                Ok(own) => sockets.extend(own),
                Err(ProcError::NotFound(_)) => {}
                Err(e) => return Err(strange(&e)),
            }
        }
        // The master's network is its workers', and it does not end at a reload as they do.
        let tables =
            Process::new(self.pid).and_then(|p| Ok((p.tcp()?, p.tcp6().unwrap_or_default())));
        let (four, six) = tables.map_err(|e| strange(&e))?;
        for entry in four.into_iter().chain(six) {
            let is_done =
                matches!(entry.state, TcpState::Listen | TcpState::TimeWait | TcpState::Close);
            if !is_done && sockets.contains(&entry.inode) {
                *open.entry(plain(entry.remote_address)).or_default() += 1;
            }
        }
        Ok(open)
    }
}

fn own_sockets(pid: i32) -> Result<BTreeSet<u64>, ProcError> {
    let mut own = BTreeSet::new();
    for fd in Process::new(pid)?.fd()? {
        if let Ok(FDTarget::Socket(inode)) = fd.map(|fd| fd.target) {
            own.insert(inode);
        }
    }
    Ok(own)
}

/// `::ffff:10.0.0.1` is 10.0.0.1.
fn plain(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(ip) => {
            let ip = ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4);
            SocketAddr::new(ip, address.port())
        }
        IpAddr::V4(_) => address,
    }
}

fn strange(error: &ProcError) -> Fault {
    let denied = match error {
        ProcError::PermissionDenied(_) => true,
        ProcError::Io(e, _) => e.kind() == io::ErrorKind::PermissionDenied,
        _ => false,
    };
    let remedy = if denied { ": run the agent as root" } else { "" };
    Fault::router(format!("looking at nginx's workers and what they have open: {error}{remedy}"))
}
