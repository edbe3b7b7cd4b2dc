//! The private Postgres: started in the data directory when no `DATABASE_URL` is given.
//!
//! Uses the server programs the distribution installed. `initdb` and `postgres` refuse to run as root,
//! so as root they run as the `postgres` user (or `nobody`). The server listens on a Unix socket in the
//! data directory only. It dies with the controller (parent-death signal); one that was left over is
//! stopped before a new one starts.

use anyhow::{Context as _, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, User, geteuid};
use std::fs::File;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long starting or stopping may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running private server.
pub struct Server {
    pid: Pid,
    url: String,
    /// Held while the server runs: nobody else may take its files for left over.
    _lock: Flock<File>,
    /// Ends when the server process does.
    exited: tokio::sync::watch::Receiver<bool>,
}

/// Whom the server runs as, when we are root.
#[derive(Clone, Copy)]
struct RunAs {
    uid: Uid,
    gid: Gid,
}

impl Server {
    /// Starts the server of this data directory, creating its database on the first start.
    ///
    /// # Errors
    /// When no server programs are found (the text says what to install), or the server does not come
    /// up; its log is `postgres.log` in the data directory.
    pub fn start(data: &Path, programs: Option<&Path>) -> Result<Server> {
        let lock = alone(data)?;
        let programs = find_programs(programs)?;
        let run_as = run_as()?;
        let cluster = data.join("postgres");
        let sockets = socket_directory(data)?;
        for directory in [&cluster, &sockets] {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("creating {}", directory.display()))?;
            std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))?;
            if let Some(owner) = run_as {
                chown(directory, Some(owner.uid.as_raw()), Some(owner.gid.as_raw()))?;
            }
        }
        if !cluster.join("data").exists() {
            initialise(&programs, &cluster, run_as)?;
        }
        let cluster = cluster.join("data");
        stop_left_over(&cluster)?;
        let (pid, exited) = spawn(&programs, &cluster, &sockets, data, run_as)?;
        let user = owner_name(run_as);
        let host = encode(&sockets.to_string_lossy());
        let server =
            Server { pid, _lock: lock, url: format!("postgres://{user}@{host}/postgres"), exited };
        server.wait_until_ready(&programs, &sockets, data)?;
        Ok(server)
    }

    /// The URL the controller connects with.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Completes when the server process has ended by itself.
    pub async fn ended(&mut self) {
        // An error means the watching thread is gone, which only happens after the server is.
        let _ = self.exited.wait_for(|ended| *ended).await;
    }

    /// Stops the server and waits for it.
    pub fn stop(&self) {
        // Fast shutdown: sessions are ended, the data directory is left clean.
        let _ = kill(self.pid, Signal::SIGINT);
        let deadline = Instant::now() + PATIENCE;
        while !*self.exited.borrow() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait_until_ready(&self, programs: &Path, sockets: &Path, data: &Path) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ready = Command::new(programs.join("pg_isready"))
                .arg("--quiet")
                .arg("--host")
                .arg(sockets)
                .status()
                .context("running pg_isready")?;
            if ready.success() {
                return Ok(());
            }
            if *self.exited.borrow() || Instant::now() > deadline {
                let log = data.join("postgres.log");
                bail!("the private Postgres did not start; see {}", log.display());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// One controller at a time runs the private server of a data directory. The lock of a controller that
/// was just killed may live on for a moment in a child it had forked and not started yet.
fn alone(data: &Path) -> Result<Flock<File>> {
    let path = data.join("postgres.lock");
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("opening {}", path.display()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(25)),
            Err(_) => bail!(
                "another controller runs the private Postgres of {}; set DATABASE_URL to share it, or \
                 name another --data",
                data.display()
            ),
        }
    }
}

/// The newest server programs: a configured directory, the distribution's, or those on the PATH.
fn find_programs(configured: Option<&Path>) -> Result<PathBuf> {
    let usable = |dir: &Path| dir.join("initdb").exists() && dir.join("postgres").exists();
    if let Some(dir) = configured {
        if usable(dir) {
            return Ok(dir.to_owned());
        }
        bail!("no initdb and postgres in {}", dir.display());
    }
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .filter(|(_, dir)| usable(dir))
        .collect();
    versions.sort();
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .find(|dir| usable(dir));
    versions.pop().map(|(_, dir)| dir).or(on_path).context(
        "no PostgreSQL server programs found: install them ('apt-get install postgresql'), name \
         their directory with --postgres-bin, or set DATABASE_URL to use an existing server",
    )
}

fn run_as() -> Result<Option<RunAs>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name).context("looking up a user")? {
            return Ok(Some(RunAs { uid: user.uid, gid: user.gid }));
        }
    }
    bail!("running as root, and neither user postgres nor nobody exists to run PostgreSQL as")
}

fn owner_name(run_as: Option<RunAs>) -> String {
    let uid = run_as.map_or_else(geteuid, |owner| owner.uid);
    User::from_uid(uid).ok().flatten().map_or_else(|| "postgres".to_owned(), |user| user.name)
}

/// Socket paths are limited to 107 bytes, so a deep data directory gets a short one elsewhere.
fn socket_directory(data: &Path) -> Result<PathBuf> {
    let data = std::fs::canonicalize(data).context("resolving the data directory")?;
    let near = data.join("pg");
    if near.as_os_str().len() < 80 {
        return Ok(near);
    }
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in data.as_os_str().as_encoded_bytes() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    Ok(PathBuf::from(format!("/tmp/pipeyard-{}-{hash:x}", geteuid())))
}

fn prepared(program: PathBuf, run_as: Option<RunAs>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).current_dir("/").env_remove("PGDATA");
    if let Some(owner) = run_as {
        command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
    }
    command
}

fn initialise(programs: &Path, cluster: &Path, run_as: Option<RunAs>) -> Result<()> {
    // Made aside and moved: a half-made directory looks like a whole one.
    let aside = cluster.join("new");
    let _ = std::fs::remove_dir_all(&aside);
    let output = prepared(programs.join("initdb"), run_as)
        .args(["--auth=peer", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"])
        .arg("--auth-local=trust")
        .arg("--pgdata")
        .arg(&aside)
        .output()
        .context("running initdb")?;
    if !output.status.success() {
        bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    std::fs::rename(&aside, cluster.join("data")).context("moving the new database into place")
}

/// A server whose controller was killed ends by itself; this waits for it, and helps.
fn stop_left_over(cluster: &Path) -> Result<()> {
    let file = cluster.join("postmaster.pid");
    let deadline = Instant::now() + PATIENCE;
    let mut asked = false;
    while let Ok(text) = std::fs::read_to_string(&file) {
        let pid: Option<i32> = text.lines().next().and_then(|line| line.trim().parse().ok());
        let Some(pid) = pid.filter(|pid| is_postgres(*pid)) else { break };
        if Instant::now() > deadline {
            bail!("another PostgreSQL (process {pid}) uses {} and does not end", cluster.display());
        }
        if !asked {
            asked = true;
            let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The pid file may outlive its process, and the number may be somebody else's by now.
fn is_postgres(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == "postgres")
}

/// Starts the server from a thread that lives as long as it: the parent-death signal is tied to the
/// thread that forked.
fn spawn(
    programs: &Path,
    cluster: &Path,
    sockets: &Path,
    data: &Path,
    run_as: Option<RunAs>,
) -> Result<(Pid, tokio::sync::watch::Receiver<bool>)> {
    let log = std::fs::File::create(data.join("postgres.log")).context("creating postgres.log")?;
    let mut command = prepared(programs.join("postgres"), run_as);
    command.arg("-D").arg(cluster).arg("-k").arg(sockets).args([
        "-c",
        "listen_addresses=",
        "-c",
        "max_connections=50",
        "-c",
        "shared_buffers=64MB",
    ]);
    command.stdout(log.try_clone()?).stderr(log);
    crate::process::die_with_parent(&mut command, Signal::SIGINT);
    let (started, start) = std::sync::mpsc::channel();
    let (ended, exited) = tokio::sync::watch::channel(false);
    std::thread::Builder::new().name("postgres".to_owned()).spawn(move || {
        match command.spawn() {
            Ok(mut child) => {
                let _ = started.send(Ok(child.id()));
                let _ = child.wait();
            }
            Err(error) => drop(started.send(Err(error))),
        }
        ended.send_replace(true);
    })?;
    let pid = start.recv().context("starting postgres")?.context("starting postgres")?;
    Ok((Pid::from_raw(i32::try_from(pid).context("a process id")?), exited))
}

/// A directory as the host part of a Postgres URL.
fn encode(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                (byte as char).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
