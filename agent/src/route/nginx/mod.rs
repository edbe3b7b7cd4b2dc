//! nginx, by a file with the servers of one upstream, and reloads.
//!
//! What is told is in the file, so a reload forgets nothing. That it was loaded is noted beside (`loaded`),
//! and a file that was not is no proof of anything. nginx as distributions have it neither
//! checks its servers nor counts per server. What is open is read from the kernel instead: the
//! connections that workers have to a server, old workers included, which end what they began.

mod conf;
mod disk;
mod file;
mod loaded;
mod processes;

use super::fault::{Fault, instead};
use super::order::Target;
use super::router::{Change, Router, Seen, Share, View};
use crate::context::Settings;
use conf::Conf;
use disk::Earlier;
use file::Entry;
use loaded::{Known, Loaded};
use pipelines::protocol::answer::{Check, Counters};
use processes::{Master, Worker};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// How long a master may take to have new workers.
const RELOAD: Duration = Duration::from_secs(10);
/// How long a task at work may take between writing the file and the reload.
const LOADING: Duration = Duration::from_secs(3);
/// Starts of processes are known to a few hundredths of a second.
const SAME_TIME: Duration = Duration::from_millis(50);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// One upstream of the nginx on this host.
#[derive(Debug)]
pub struct Nginx {
    command: conf::Command,
    file: PathBuf,
    upstream: String,
    /// The configuration as it was found, once it was looked at.
    conf: Option<Conf>,
    loaded: Loaded,
    /// The file before it was first changed here without a reload.
    earlier: Option<Earlier>,
}

impl Nginx {
    /// `state` is the agent's state directory.
    pub fn new(settings: &Settings, state: &Path, file: &Path, upstream: &str) -> Nginx {
        let command = conf::Command::new(settings.nginx.as_deref());
        let (file, upstream) = (file.to_owned(), upstream.to_owned());
        let target = Target::Nginx { file: file.clone(), upstream: upstream.clone() };
        let loaded = Loaded::at(state, &target);
        Nginx { command, file, upstream, conf: None, loaded, earlier: None }
    }

    /// For who only looks: the file counts for nothing until nginx has loaded it.
    pub async fn refuse_unloaded(&mut self) -> Result<(), Fault> {
        let master = self.master().await?;
        let deadline = Instant::now() + LOADING;
        while !self.is_in_force(&master)? {
            if Instant::now() >= deadline {
                let file = self.file.display();
                return Err(Fault::router(format!(
                    "nginx has not loaded {file} as it is yet, so what is in it says nothing: reload nginx \
                     (`nginx -s reload`), or deploy to the group once more"
                )));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Whether this agent saw the file being loaded as it is, or somebody else reloaded since it was
    /// written.
    fn is_in_force(&self, master: &Master) -> Result<bool, Fault> {
        let Earlier { text, modified } = self.now()?;
        Ok(match self.loaded.known(&master.life(), &text) {
            Known::Loaded => true,
            Known::Unsure => false,
            Known::Other => {
                let workers = master.workers()?;
                let mut taking = workers.iter().filter(|worker| !worker.is_leaving).peekable();
                taking.peek().is_some()
                    && taking
                        .all(|worker| worker.began().is_some_and(|at| at + SAME_TIME >= modified))
            }
        })
    }

    async fn master(&mut self) -> Result<Master, Fault> {
        let conf = match &self.conf {
            Some(conf) => conf,
            None => {
                let conf = self.command.dump().await?;
                self.refuse_other(&conf)?;
                self.conf.insert(conf)
            }
        };
        Master::find(&conf.pid_file)
    }

    /// The configuration has to have this upstream, and this file in it.
    fn refuse_other(&self, conf: &Conf) -> Result<(), Fault> {
        let (upstream, file) = (&self.upstream, self.file.display());
        if !conf.upstreams.contains(upstream) {
            let all: Vec<&str> = conf.upstreams.iter().map(String::as_str).collect();
            let message =
                format!("nginx has no upstream '{upstream}': {}", instead(upstream, &all));
            return Err(Fault::router(message));
        }
        let here = self.file.canonicalize().unwrap_or_else(|_| self.file.clone());
        if !conf.files.iter().any(|file| *file == here || *file == self.file) {
            return Err(Fault::router(format!(
                "nginx does not read {file}: write `include {file};` into `upstream {upstream}`, and at least \
                 one line `server ADDRESS:PORT; # NAME` into the file"
            )));
        }
        Ok(())
    }

    /// Has nginx take a file it accepts. When it does not, the earlier file is put back.
    async fn load(&mut self, text: &str) -> Result<(), Fault> {
        let master = self.master().await?;
        let now = self.now()?;
        if now.text != text {
            self.write(text)?;
            self.earlier.get_or_insert(now);
        }
        let life = master.life();
        if let Err(fault) = self.reload(&master).await {
            if let Some(earlier) = self.earlier.take() {
                self.put_back(&earlier)?;
            }
            return Err(fault);
        }
        self.earlier = None;
        self.loaded.note(&life, Some(text)).map_err(|e| Fault::disk(&e))
    }

    /// Proves that nginx took its configuration: no worker of before takes requests.
    async fn reload(&mut self, master: &Master) -> Result<(), Fault> {
        self.command.test().await?;
        let old = master.workers()?;
        // It may still do it when nobody waits any more.
        self.loaded.note(&master.life(), None).map_err(|e| Fault::disk(&e))?;
        self.command.reload().await?;
        let deadline = Instant::now() + RELOAD;
        loop {
            let now = master.workers()?;
            let is_old = |worker: &&Worker| old.iter().any(|old| old.is_same(worker));
            let taking = now.iter().filter(|worker| !worker.is_leaving);
            let (old, new): (Vec<&Worker>, Vec<&Worker>) = taking.partition(is_old);
            if old.is_empty() && !new.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Fault::router(format!(
                    "nginx was told to reload, and {} of its workers are those of before after {} s: its error \
                     log says why",
                    old.len(),
                    RELOAD.as_secs()
                )));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Open connections to the servers of the file.
    async fn open(&mut self) -> Result<(String, BTreeMap<SocketAddr, u32>), Fault> {
        let master = self.master().await?;
        Ok((master.life(), master.connections()?))
    }
}

impl Router for Nginx {
    async fn look(&mut self) -> Result<View, Fault> {
        let (life, open) = self.open().await?;
        let seen = |entry: &Entry| Seen {
            name: entry.name.clone(),
            address: entry.socket_address(),
            share: if entry.down { Share::Out } else { Share::In { weight: entry.weight } },
            check: Check::None,
            in_flight: entry.socket_address().and_then(|at| open.get(&at).copied()).unwrap_or(0),
            words: entry.to_string(),
        };
        Ok(View { life, servers: self.read()?.servers().map(seen).collect() })
    }

    async fn settle(&mut self) -> Result<bool, Fault> {
        let life = self.master().await?.life();
        let Earlier { text, .. } = self.now()?;
        if self.loaded.known(&life, &text) == Known::Loaded {
            return Ok(false);
        }
        // What is no list of servers is refused before nginx gets it.
        self.read()?;
        self.load(&text).await.map(|()| true)
    }

    async fn add(&mut self, name: &str, address: SocketAddr) -> Result<(), Fault> {
        let mut file = self.read()?;
        if let Some(entry) = file.servers().find(|entry| entry.socket_address() == Some(address)) {
            return Err(Fault::router(format!(
                "{} has {address} as '{}': write `# {name}` behind it",
                self.file.display(),
                entry.name
            )));
        }
        file.add(name, address);
        let now = self.now()?;
        // Loaded with the change that follows; it gets nothing before.
        self.write(&file.to_string())?;
        self.earlier.get_or_insert(now);
        Ok(())
    }

    async fn prove(&mut self, _names: &[String]) -> Result<(), Fault> {
        // There is no check to wait for.
        Ok(())
    }

    async fn shift(&mut self, changes: &[Change]) -> Result<(), Fault> {
        let mut file = self.read()?;
        for change in changes {
            let Some(entry) = file.server(change.name()) else { continue };
            match change {
                Change::In { weight, .. } => (entry.weight, entry.down) = (*weight, false),
                Change::Drain { name } | Change::Out { name } => {
                    if entry.socket_address().is_none() {
                        return Err(Fault::router(format!(
                            "{}: '{name}' is `{}`, whose open requests cannot be counted: write an IP address",
                            self.file.display(),
                            entry.address
                        )));
                    }
                    entry.down = true;
                }
                Change::Gone { name } => file.remove(name),
            }
        }
        let text = file.to_string();
        let life = self.master().await?.life();
        if text == self.now()?.text && self.loaded.known(&life, &text) == Known::Loaded {
            return Ok(());
        }
        self.load(&text).await
    }

    /// nginx cannot end the requests of one server. They are counted; who stops the application, ends
    /// them.
    async fn cut(&mut self, names: &[String]) -> Result<BTreeMap<String, u32>, Fault> {
        let view = self.look().await?;
        let named = view.servers.into_iter().filter(|seen| names.contains(&seen.name));
        Ok(named
            .filter(|seen| seen.in_flight > 0)
            .map(|seen| (seen.name, seen.in_flight))
            .collect())
    }

    /// It has no counters per server, and none are made up.
    async fn count(&mut self, _names: &[String]) -> Result<Counters, Fault> {
        let life = self.master().await?.life();
        Ok(Counters { life, servers: Vec::new() })
    }
}
